//! echo-server and echo-client beside their peers and beside bare loops, in one run.
//!
//! ```text
//! server   who echoes: contenders in turns over the cells of the grid
//! scale    who echoes: from 1 connection to 19,000, from 1 B to 64 MiB
//! memory   who echoes: what idle and active connections cost
//! client   who asks: our load generator beside the minimal loop, ping beside a bare one
//!
//! load, ping-pong, serve, pinned     pieces of the above, each a process of its own
//! ```
//!
//! Exits 1 when somebody failed, 2 for what it does not know.

mod args;
mod bare;
mod cell;
mod client;
mod contender;
mod foreign;
mod grid;
mod inetd;
mod loader;
mod machine;
mod memory;
mod minimal;
mod pattern;
mod peers;
mod ping_pong;
mod report;
mod scale;
mod server;
mod spread;
mod turns;

use std::{io, net::SocketAddr, process::ExitCode, time::SystemTime};

use clap::Parser;
use serde_json::json;

use args::{Args, LoadArgs, Task};

fn main() -> ExitCode {
    let done = match Args::parse().task {
        Task::Server(args) => grid::run("server", &args, &args.cells(cell::grid), |contender| {
            contender.is_key || !args.effort.quick
        }),
        Task::Scale(args) => grid::run("scale", &args, &args.cells(scale::cells), |contender| {
            contender.is_key && !contender.spins
        }),
        Task::Client(args) => client::run(&args),
        Task::Memory(args) => memory::run(&args),
        Task::Load(args) => load(&args),
        Task::PingPong { target, bytes, count } => ping_pong::run(target, bytes, count).map(|ns| {
            println!("{ns}");
            true
        }),
        Task::Serve { name } => serve(&name).map(|()| true).map_err(Into::into),
        Task::Pinned { core, command } => Err(server::exec_pinned(core, &command)),
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

fn load(args: &LoadArgs) -> anyhow::Result<bool> {
    let measured = minimal::run(args.target, args.cell, args.times())?;
    let started = measured.started.duration_since(SystemTime::UNIX_EPOCH)?;
    let line = json!({
        "valid": true,
        "reasons": [],
        "started_unix_ns": started.as_nanos() as u64,
        "elapsed_ns": measured.elapsed.as_nanos() as u64,
        "throughput": {"messages": measured.messages, "bytes": measured.bytes},
        "cpu": [measured.cpu],
    });
    println!("{line}");
    Ok(true)
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
        "socat" | "xinetd" => inetd::serve(name),
        _ => Err(io::Error::other(format!("nobody is called {name}"))),
    }
}
