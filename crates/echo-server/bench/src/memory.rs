//! `memory`: what a connection costs a server, idle and with a message in flight, and whether it holds
//! as many as there may be.

use std::{thread, time::Duration};

use anyhow::Context;
use serde_json::{Value, json};

use crate::{
    args::MemoryArgs,
    cell::Cell,
    contender::{Contender, Field},
    loader::{Loader, Times},
    minimal,
    pattern::Pattern,
    report::Lines,
    server::{self, Memory, Server},
};

/// What is in flight on an active connection: more than a read takes at once.
const ACTIVE_BYTES: usize = 65_536;

/// Idle connections before those that are counted: what is there for some, such as a fixed number of
/// buffers, is no cost of each.
const FIRST: usize = 100;

/// Between two looks at the server's memory while it is loaded.
const LOOK: Duration = Duration::from_millis(50);

/// How long active connections are loaded.
const LOAD: Times = Times { warm_up: Duration::from_millis(500), measure: Duration::from_secs(1) };

/// What a server had in memory.
struct Held {
    before: Memory,
    /// With the first connections.
    first: Memory,
    idle: Memory,
    /// The most that it had while all its connections were loaded.
    active: Option<Memory>,
}

/// Has each contender hold connections, and prints what memory that took. True when all of them held
/// as many.
///
/// Who is not made for so many is named, and is no failure.
pub(crate) fn run(args: &MemoryArgs) -> anyhow::Result<bool> {
    let field = Field::gather(&args.who)?;
    server::prepare()?;
    let mut lines = Lines::create(&args.output.json)?;
    let (idle, active) = (args.idle(), args.active());
    println!("{idle} connections, each has echoed 64 B and is idle;");
    println!("{active} connections with {ACTIVE_BYTES} B in flight on each\n");
    println!(
        "{:<30} {:>14} {:>14} {:>12} {:>12} {:>14}",
        "", "B/idle", "B/active", "before MiB", "idle MiB", "resident MiB"
    );
    for (contender, why) in field.absent.iter().filter(|(absent, _)| args.who.includes(absent)) {
        println!("{:<30} absent: {why}", contender.name);
    }
    let mut all_held = true;
    for contender in field.present.iter().filter(|contender| args.who.includes(contender)) {
        if idle.max(active) > contender.max_connections {
            println!("{:<30} at most {}", contender.name, contender.max_connections);
            continue;
        }
        let client = Loader::client(&args.who.client, &[]);
        let held = hold(contender, idle, &client, active);
        all_held &= held.is_ok();
        lines.write(&object(contender, idle, active, &held))?;
        print_row(contender, idle, active, &held);
    }
    Ok(all_held)
}

fn hold(
    contender: &Contender,
    idle: usize,
    client: &Loader,
    active: usize,
) -> anyhow::Result<Held> {
    let pattern = Pattern::new();
    let server = Server::start(contender)?;
    let one = minimal::connect(server.address, 1, &pattern)?;
    let before = server.memory()?;
    let some = minimal::connect(server.address, FIRST, &pattern)?;
    let first = server.memory()?;
    let connections = minimal::connect(server.address, idle, &pattern).context("not all held")?;
    let held = server.memory()?;
    drop((one, some, connections));

    // A fresh one, for memory that was freed may be kept.
    let server = Server::start(contender)?;
    let cell = Cell::new(active, ACTIVE_BYTES, 1);
    let most = thread::scope(|scope| -> anyhow::Result<_> {
        let load = scope.spawn(|| client.load(&server, cell, LOAD));
        let mut most: Option<Memory> = None;
        while !load.is_finished() {
            let now = server.memory()?;
            most = most.filter(|most| most.anonymous >= now.anonymous).or(Some(now));
            thread::sleep(LOOK);
        }
        load.join().map_err(|_| anyhow::anyhow!("the load has panicked"))?.context("active")?;
        Ok(most)
    })?;
    Ok(Held { before, first, idle: held, active: most })
}

impl Held {
    fn per_idle(&self, count: usize) -> f64 {
        (self.idle.anonymous as f64 - self.first.anonymous as f64) / count as f64
    }

    fn per_active(&self, count: usize) -> f64 {
        let grown = |to: Memory| to.anonymous as f64 - self.before.anonymous as f64;
        self.active.map_or(f64::NAN, |active| grown(active) / count as f64)
    }
}

fn print_row(contender: &Contender, idle: usize, active: usize, held: &anyhow::Result<Held>) {
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    match held {
        Ok(held) => println!(
            "{:<30} {:>14.0} {:>14.0} {:>12.2} {:>12.2} {:>14.2}",
            contender.name,
            held.per_idle(idle),
            held.per_active(active),
            mebibytes(held.before.anonymous),
            mebibytes(held.idle.anonymous),
            mebibytes(held.idle.resident),
        ),
        Err(why) => println!("{:<30} FAILED: {why:#}", contender.name),
    }
}

fn object(contender: &Contender, idle: usize, active: usize, held: &anyhow::Result<Held>) -> Value {
    match held {
        Ok(held) => json!({
            "schema": 2, "kind": "memory", "name": contender.name, "idle": idle, "active": active,
            "bytes_per_idle_connection": held.per_idle(idle),
            "bytes_per_active_connection": held.per_active(active),
            "anonymous_bytes": {
                "before": held.before.anonymous, "idle": held.idle.anonymous,
                "active": held.active.map(|active| active.anonymous),
            },
            "resident_bytes": {"before": held.before.resident, "idle": held.idle.resident},
        }),
        Err(why) => json!({
            "schema": 2, "kind": "memory", "name": contender.name, "idle": idle, "active": active,
            "failure": format!("{why:#}"),
        }),
    }
}
