//! echo-server beside its peers and beside bare loops, in one run.
//!
//! ```text
//! run      (the default) contenders in turns over the cells of the grid
//! memory   what idle connections cost each of them
//! load     the load alone, on a server that is there already
//! serve    one of the peers or bare loops that are part of this program
//! ```
//!
//! Exits 1 when somebody failed, 2 for what it does not know.

mod args;
mod bare;
mod cell;
mod contender;
mod foreign;
mod load;
mod memory;
mod pattern;
mod peers;
mod report;
mod runner;
mod server;
mod spread;

use std::{io, net::SocketAddr, process::ExitCode};

use clap::Parser;

use args::{Args, LoadArgs, MemoryArgs, RunArgs, Task, Who};
use contender::{Contender, Field};

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match args.task {
        None => run(&args.run),
        Some(Task::Run(args)) => run(&args),
        Some(Task::Memory(args)) => memory(&args),
        Some(Task::Load(args)) => load(&args),
        Some(Task::Serve { name }) => serve(&name).map(|()| true).map_err(Into::into),
        Some(Task::Pinned { core, command }) => Err(server::exec_pinned(core, &command)),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("echo-server-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Says where a server listens, as ours does.
fn announce(address: SocketAddr) {
    println!("listening on tcp://{address}");
}

fn run(args: &RunArgs) -> anyhow::Result<bool> {
    let field = gather(&args.who)?;
    let (chosen, left_out): (Vec<&Contender>, Vec<&Contender>) = field
        .present
        .iter()
        .partition(|contender| args.who.includes(contender) && (contender.is_key || !args.quick));
    let left_out: Vec<&str> = left_out.iter().map(|contender| &*contender.name).collect();
    prepare_load()?;
    let (rounds, times) = (args.rounds(), args.times());
    if args.json {
        report::json_preamble(&field, &left_out, rounds, times);
    } else {
        report::preamble(&field, &left_out, rounds, times);
    }
    let mut all_well = true;
    for cell in args.cells() {
        let able: Vec<&Contender> = chosen
            .iter()
            .copied()
            .filter(|contender| cell.connections <= contender.max_connections)
            .collect();
        let all = runner::measure(cell, &able, rounds, times);
        all_well &= all.iter().all(|series| series.failure.is_none());
        if args.json {
            report::json(cell, &all);
        } else {
            report::table(cell, &all);
        }
    }
    if !args.json {
        report::legend();
    }
    Ok(all_well)
}

fn memory(args: &MemoryArgs) -> anyhow::Result<bool> {
    let field = gather(&args.who)?;
    prepare_load()?;
    let chosen: Vec<&Contender> =
        field.present.iter().filter(|contender| args.who.includes(contender)).collect();
    Ok(memory::run(&chosen, args.idle, args.json))
}

fn load(args: &LoadArgs) -> anyhow::Result<bool> {
    prepare_load()?;
    let measured = load::run(args.target, args.cell, args.times(), || Ok(()))?;
    let us = |quantile| measured.service_ns.value_at_quantile(quantile) as f64 / 1e3;
    println!(
        "{:.0} messages/s, p50 {:.1} us, p99 {:.1} us, load {:.0} % of its core",
        measured.messages as f64 / measured.took.as_secs_f64(),
        us(0.5),
        us(0.99),
        measured.load_cpu * 100.0,
    );
    Ok(true)
}

fn gather(who: &Who) -> anyhow::Result<Field> {
    Field::gather(who.ours.as_deref(), &who.server)
}

fn prepare_load() -> anyhow::Result<()> {
    server::raise_descriptors()?;
    server::pin(server::LOAD_CORE)
}

/// Serves until killed.
fn serve(name: &str) -> io::Result<()> {
    use bare::{blocking, epoll, splice, uring};
    use peers::{compio, glommio, monoio, smol, threads, tokio};
    match name {
        "bare-epoll" => epoll::serve(false),
        "bare-epoll-spin" => epoll::serve(true),
        "bare-uring" => uring::serve(uring::SMALL, false),
        "bare-uring-large" => uring::serve(uring::LARGE, false),
        "bare-uring-spin" => uring::serve(uring::SMALL, true),
        "bare-blocking" => blocking::serve(),
        "bare-splice" => splice::serve(),
        "tokio" => tokio::multi_thread(),
        "tokio-current" => tokio::current_thread(),
        "monoio" => monoio::serve(),
        "smol" => smol::serve(),
        "glommio" => glommio::serve(),
        "compio" => compio::serve(),
        "threads" => threads::serve(),
        _ => Err(io::Error::other(format!("nobody is called {name}"))),
    }
}
