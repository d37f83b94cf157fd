//! JSON lines: one that says how it was measured, then one for each contender of each cell.

use serde_json::{Value, json};

use super::{
    Entry, Run, rate,
    standing::{Standing, To, cpu},
};
use crate::{cell::Cell, loader::Sample, spread::Spread};

/// What was and was not measured, where, and when.
pub(super) fn head(run: &Run<'_>) -> Value {
    let absent: Vec<Value> =
        run.absent.iter().map(|(absent, why)| json!({"name": absent.name, "why": why})).collect();
    json!({
        "schema": 2, "kind": format!("bench-{}", run.task), "machine": run.machine.to_json(),
        "measure_s": run.times.measure.as_secs_f64(), "warm_up_s": run.times.warm_up.as_secs_f64(),
        "absent": absent, "left_out": run.left_out,
    })
}

/// One object for each contender of a cell.
pub(super) fn entries(cell: Cell, all: &[Entry<'_>]) -> Vec<Value> {
    all.iter().map(|entry| object(cell, entry, all)).collect()
}

fn object(cell: Cell, entry: &Entry<'_>, all: &[Entry<'_>]) -> Value {
    let Entry { contender, series } = entry;
    let figure = |figure: fn(&Sample) -> f64| spread(series.spread(figure));
    let standing = Standing::of(entry, all);
    let to =
        |to: Option<To<'_>>| to.map(|to| json!({"of": to.name, "ratio": spread(Some(to.ratio))}));
    json!({
        "schema": 2, "kind": "cell", "cell": cell.to_string(),
        "connections": cell.connections, "bytes": cell.bytes, "depth": cell.depth,
        "name": contender.name,
        "is": format!("{:?}", contender.kind).to_lowercase(),
        "spins": contender.spins,
        "rounds": series.rounds.len(),
        "messages_per_s": figure(rate),
        "server_cpu_us_per_message": figure(cpu),
        "p50_us": figure(|s| s.p50_us),
        "p99_us": figure(|s| s.p99_us),
        "load_cpu": figure(|s| s.load_cpu),
        "load_waited": figure(|s| s.load_waited),
        "anonymous_bytes": figure(|s| s.own_bytes),
        "messages_per_s_to_fastest_peer": to(standing.fastest_peer),
        "messages_per_s_to_fastest_bare": to(standing.fastest_bare),
        "cpu_to_most_frugal_peer": to(standing.frugal_peer),
        "cpu_to_most_frugal_bare": to(standing.frugal_bare),
        "invalid": entry.invalid().map(|(rounds, why)| json!({"rounds": rounds, "why": why})),
        "failure": series.failure,
    })
}

pub(crate) fn spread(spread: Option<Spread>) -> Value {
    spread.map_or(
        Value::Null,
        |Spread { min, median, max }| json!({"min": min, "median": median, "max": max}),
    )
}
