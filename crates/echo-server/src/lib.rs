//! An echo service (RFC 862) that can be left running.
//!
//! ```text
//! args ──▶ config ──▶ Server::bind ──▶ listening on ... ──▶ engine ──▶ Connection ──▶ echo-core
//!                                                             ▲
//!                                            signals ──▶ Shutdown
//! ```
//!
//! An engine moves bytes; what is echoed, and when a connection is over, is decided in `echo-core`.
#![warn(clippy::print_stderr, reason = "it panics when stderr is closed or full; use `say`")]

mod args;
mod config;
mod connection;
mod engine;
mod listener;
mod shutdown;
mod wait;

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    thread,
};

use anyhow::Context;
use echo_cli::{NoFrameLimit, exit, say};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};
use tracing::{error, info};

pub use config::Config;
pub use engine::Summary;
pub use listener::BindError;
pub use shutdown::Shutdown;

use args::Args;
use listener::Listener;

/// The `echo-server` command.
#[must_use]
pub fn main() -> ExitCode {
    let args = match echo_cli::parse::<Args>(std::env::args_os()) {
        Ok(args) => args,
        Err(code) => return code,
    };
    let log = args.verbosity.init(args.log_format);
    let code = match run(&args) {
        Ok(Summary { cut: 0, .. }) => exit::OK,
        Ok(_) => ExitCode::from(exit::FAILED),
        Err(error) => {
            let fix = error.downcast_ref().map(|e: &BindError| format!("; {}", e.fix()));
            say(format_args!("echo-server: {error:#}{}", fix.unwrap_or_default()));
            let usage = error.is::<BindError>() || error.is::<NoFrameLimit>();
            ExitCode::from(if usage { exit::USAGE } else { exit::FAILED })
        }
    };
    drop(log); // writes what is still waiting
    code
}

/// The command line, as `--help` and the man pages tell it.
#[must_use]
pub fn command() -> clap::Command {
    <Args as clap::CommandFactory>::command()
}

/// A server whose endpoints are bound.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<Listener>,
    config: Arc<Config>,
}

impl Server {
    /// Binds every endpoint of `config`.
    ///
    /// # Errors
    /// [`BindError`] for the first that cannot be had.
    pub fn bind(config: Config) -> Result<Self, BindError> {
        let listeners = config.listen.iter().map(Listener::bind).collect::<Result<_, _>>()?;
        Ok(Self { listeners, config: Arc::new(config) })
    }

    /// The endpoints bound, as in `tcp://127.0.0.1:65432`, with the ports the system has chosen.
    pub fn endpoints(&self) -> impl Iterator<Item = String> {
        self.listeners.iter().map(ToString::to_string)
    }

    /// Serves until `shutdown` has begun and every connection has ended or was cut.
    ///
    /// # Errors
    /// When the system cannot even tell what is going on; a failing connection is no error.
    pub fn serve(self, shutdown: &Arc<Shutdown>) -> io::Result<Summary> {
        engine::threads::serve(self.listeners, &self.config, shutdown)
    }
}

fn run(args: &Args) -> anyhow::Result<Summary> {
    let config = Config::try_from(args)?;
    let shutdown = Arc::new(Shutdown::new(config.drain_timeout).context("cannot start")?);
    // Before the endpoints are announced: who reads the line may send a signal at once.
    begin_on_signal(&shutdown).context("cannot handle signals")?;
    let server = Server::bind(config)?;
    announce(&server).context("cannot write to stdout")?;
    let summary = server.serve(&shutdown).context("cannot go on")?;
    let Summary { accepted: connections, cut, received, echoed } = summary;
    if cut == 0 {
        info!(connections, received, echoed, "done");
    } else {
        let why = "they did not finish within --drain-timeout";
        error!(connections, received, echoed, cut, why, "connections were cut");
    }
    Ok(summary)
}

/// Prints where we listen. Nobody reading (a closed pipe) is no error.
fn announce(server: &Server) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let written = server
        .endpoints()
        .try_for_each(|endpoint| writeln!(stdout, "listening on {endpoint}"))
        .and_then(|()| stdout.flush());
    match written {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// The first SIGTERM or SIGINT begins the shutdown, the second ends the process.
fn begin_on_signal(shutdown: &Arc<Shutdown>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let shutdown = Arc::clone(shutdown);
    thread::Builder::new().name("signals".into()).spawn(move || {
        for _ in signals.forever() {
            if shutdown.has_begun() {
                // Not by the log, whose thread would not come to write it.
                say(format_args!("echo-server: ended by a second signal; connections were cut"));
                std::process::exit(i32::from(exit::FAILED));
            }
            info!("finishing connections; a second signal ends at once");
            shutdown.begin();
        }
    })?;
    Ok(())
}
