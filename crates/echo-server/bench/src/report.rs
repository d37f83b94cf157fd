//! What a run prints: a table per cell for people, or a JSON object per line.

use serde_json::{Value, json};

use crate::{
    cell::Cell,
    contender::{Field, Kind},
    load::Times,
    runner::{Sample, Series, best},
    spread::Spread,
};

/// A load that took more of its core may have been what was measured.
const BUSY_LOAD: f64 = 0.95;

/// When others took more of the load's core than this, the figures are theirs, too.
const DISTURBED: f64 = 0.02;

/// Who was measured how, before the first cell.
pub(crate) fn preamble(field: &Field, left_out: &[&str], rounds: usize, times: Times) {
    println!(
        "{rounds} rounds in turns of {:.2?} after {:.2?}; medians, (least to greatest)",
        times.measure, times.warm_up
    );
    println!("ratios of messages per second within a round, to the best of the others");
    for (name, why) in &field.absent {
        println!("absent: {name}: {why}");
    }
    if !left_out.is_empty() {
        println!("not in this run: {}", left_out.join(", "));
    }
}

/// The table of one cell, best first.
pub(crate) fn table(cell: Cell, all: &[Series<'_>]) {
    println!("\n{} connections x {} B x {} in flight", cell.connections, cell.bytes, cell.depth);
    println!(
        "  {:<28} {:>8} {:<19} {:>18} {:>18} {:>8} {:>10} {:>8} {:>8} {:>6} {:>9}",
        "",
        "k msg/s",
        "",
        "to best peer",
        "to best bare",
        "CPU us",
        "cpu/peer",
        "p50 us",
        "p99 us",
        "load",
        "own MiB"
    );
    let mut order: Vec<&Series<'_>> = all.iter().collect();
    let rate = |series: &Series<'_>| series.spread(rate).map_or(0.0, |s| s.median);
    order.sort_by(|a, b| rate(b).total_cmp(&rate(a)));
    for series in order {
        row(series, all);
    }
}

fn row(series: &Series<'_>, all: &[Series<'_>]) {
    let contender = series.contender;
    let mark = match contender.kind {
        Kind::Ours => '*',
        Kind::Peer => ' ',
        Kind::Bare => '-',
    };
    let Some(rates) = series.spread(rate) else {
        let why = series.failure.as_deref().unwrap_or("not measured");
        println!("{mark} {:<28} FAILED: {why}", contender.name);
        return;
    };
    let median = |figure: fn(&Sample) -> f64| series.spread(figure).map_or(f64::NAN, |s| s.median);
    let to = |kind| best(all, kind, series).and_then(|other| series.ratio(other, rate));
    let cpu = best(all, Kind::Peer, series).and_then(|other| series.ratio(other, |s| s.cpu_us));
    let (load, waited) = (median(|s| s.load_cpu), median(|s| s.load_waited));
    println!(
        "{mark} {:<28} {:>8.1} {:<19} {:>18} {:>18} {:>8.2} {:>10} {:>8.1} {:>8.1} {:>5.0}%{}{} {:>8.2}{}",
        contender.name,
        rates.median / 1e3,
        format!("({:.1}-{:.1})", rates.min / 1e3, rates.max / 1e3),
        shown(to(Kind::Peer)),
        shown(to(Kind::Bare)),
        median(|s| s.cpu_us),
        cpu.map_or(String::new(), |s| format!("{:.2}", s.median)),
        median(|s| s.p50_us),
        median(|s| s.p99_us),
        load * 100.0,
        if load > BUSY_LOAD { '!' } else { ' ' },
        if waited > DISTURBED { '~' } else { ' ' },
        median(|s| s.memory.anonymous as f64) / f64::from(1 << 20),
        series.failure.as_ref().map_or(String::new(), |why| format!("  FAILED once: {why}")),
    );
}

fn shown(ratio: Option<Spread>) -> String {
    ratio.map_or(String::new(), |Spread { min, median, max }| {
        format!("{median:.2} ({min:.2}-{max:.2})")
    })
}

/// Below the last table.
pub(crate) fn legend() {
    println!(
        "\n* ours, - bare loop; ratios: spinning bare loops for those that spin; CPU us: of the \
         server per message;\ncpu/peer: that of the best peer is 1; load: of its core, ! it may \
         be the limit,\n~ others kept it from its core for over {:.0} % of the time; own: anonymous \
         memory",
        DISTURBED * 100.0
    );
}

/// What was and was not measured.
pub(crate) fn json_preamble(field: &Field, left_out: &[&str], rounds: usize, times: Times) {
    let absent: Vec<Value> =
        field.absent.iter().map(|(name, why)| json!({"name": name, "why": why})).collect();
    let line = json!({
        "schema": 1, "kind": "bench-server", "rounds": rounds,
        "measure_s": times.measure.as_secs_f64(), "warm_up_s": times.warm_up.as_secs_f64(),
        "absent": absent, "left_out": left_out,
    });
    println!("{line}");
}

/// One object for each contender of a cell.
pub(crate) fn json(cell: Cell, all: &[Series<'_>]) {
    for series in all {
        let ratio = |kind| {
            let other = best(all, kind, series)?;
            Some(json!({
                "of": other.contender.name,
                "messages_per_s": json_spread(series.ratio(other, rate)),
                "cpu": json_spread(series.ratio(other, |s| s.cpu_us)),
            }))
        };
        let figure = |figure: fn(&Sample) -> f64| json_spread(series.spread(figure));
        let line = json!({
            "schema": 1, "kind": "cell", "cell": cell.to_string(),
            "connections": cell.connections, "bytes": cell.bytes, "depth": cell.depth,
            "name": series.contender.name,
            "is": format!("{:?}", series.contender.kind).to_lowercase(),
            "spins": series.contender.spins,
            "messages_per_s": figure(rate),
            "server_cpu_us_per_message": figure(|s| s.cpu_us),
            "p50_us": figure(|s| s.p50_us),
            "p99_us": figure(|s| s.p99_us),
            "load_cpu": figure(|s| s.load_cpu),
            "load_waited": figure(|s| s.load_waited),
            "resident_bytes": figure(|s| s.memory.resident as f64),
            "anonymous_bytes": figure(|s| s.memory.anonymous as f64),
            "to_best_peer": ratio(Kind::Peer),
            "to_best_bare": ratio(Kind::Bare),
            "failure": series.failure,
        });
        println!("{line}");
    }
}

fn json_spread(spread: Option<Spread>) -> Value {
    spread.map_or(
        Value::Null,
        |Spread { min, median, max }| json!({"min": min, "median": median, "max": max}),
    )
}

fn rate(sample: &Sample) -> f64 {
    sample.messages_per_s
}
