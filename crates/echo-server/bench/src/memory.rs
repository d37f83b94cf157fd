//! `memory`: what an idle connection costs a server, and whether it holds as many as there may be.

use anyhow::Context;
use serde_json::json;

use crate::{
    contender::Contender,
    load,
    pattern::Pattern,
    server::{Memory, Server},
};

/// What a server had in memory before its idle connections, and with them.
struct Held {
    before: Memory,
    after: Memory,
}

/// Has each contender hold idle connections on each of which something was echoed, and prints what
/// memory that took. True when all of them held as many.
///
/// Who is not made for so many is named, and is no failure.
pub(crate) fn run(contenders: &[&Contender], idle: usize, as_json: bool) -> bool {
    if !as_json {
        println!("{idle} connections, each has echoed 64 B and is idle\n");
        println!(
            "{:<30} {:>14} {:>12} {:>12} {:>14}",
            "", "B/connection", "before MiB", "after MiB", "resident MiB"
        );
    }
    let mut all_held = true;
    for contender in contenders {
        if idle > contender.max_connections {
            // In a JSON object, its absence says so.
            if !as_json {
                println!("{:<30} at most {}", contender.name, contender.max_connections);
            }
            continue;
        }
        let held = hold(contender, idle);
        all_held &= held.is_ok();
        if as_json {
            print_json(contender, idle, &held);
        } else {
            print_row(contender, idle, &held);
        }
    }
    all_held
}

fn hold(contender: &Contender, idle: usize) -> anyhow::Result<Held> {
    let pattern = Pattern::new();
    let server = Server::start(contender)?;
    // What is made for the first connection is no cost of each.
    let first = load::connect(server.address, 1, &pattern)?;
    let before = server.memory()?;
    let connections = load::connect(server.address, idle, &pattern).context("not all are held")?;
    let after = server.memory()?;
    drop((first, connections));
    Ok(Held { before, after })
}

fn per_connection(held: &Held, idle: usize) -> f64 {
    (held.after.anonymous as f64 - held.before.anonymous as f64) / idle as f64
}

fn print_row(contender: &Contender, idle: usize, held: &anyhow::Result<Held>) {
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    match held {
        Ok(held) => println!(
            "{:<30} {:>14.0} {:>12.2} {:>12.2} {:>14.2}",
            contender.name,
            per_connection(held, idle),
            mebibytes(held.before.anonymous),
            mebibytes(held.after.anonymous),
            mebibytes(held.after.resident),
        ),
        Err(why) => println!("{:<30} FAILED: {why:#}", contender.name),
    }
}

fn print_json(contender: &Contender, idle: usize, held: &anyhow::Result<Held>) {
    let line = match held {
        Ok(held) => json!({
            "schema": 1, "kind": "memory", "name": contender.name, "idle": idle,
            "bytes_per_connection": per_connection(held, idle),
            "anonymous_bytes": {"before": held.before.anonymous, "after": held.after.anonymous},
            "resident_bytes": {"before": held.before.resident, "after": held.after.resident},
        }),
        Err(why) => json!({
            "schema": 1, "kind": "memory", "name": contender.name, "idle": idle,
            "failure": format!("{why:#}"),
        }),
    };
    println!("{line}");
}
