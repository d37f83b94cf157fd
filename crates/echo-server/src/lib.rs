//! An echo service (RFC 862) that can be left running.
//!
//! ```text
//! args ──▶ config ──▶ Server::bind ──▶ listening on ... ──▶ engine ──▶ Session ──▶ echo-core
//!                                   │                         ▲
//!                                   └─▶ udp      signals ──▶ Shutdown
//! ```
//!
//! An engine moves bytes; what is echoed, and when a connection is over, is decided in `echo-core`.
//! With `--fault` a bad relay stands in front of the engine, see `fault`; without, there is none.
#![warn(clippy::print_stderr, reason = "it panics when stderr is closed or full; use `say`")]

mod acceptor;
mod admission;
mod args;
mod config;
mod engine;
mod fault;
mod framed;
mod limits;
mod listener;
mod overload;
mod peer;
mod service;
mod session;
mod shutdown;
#[cfg(test)]
mod sim;
mod slots;
mod spin;
mod timers;
mod udp;
mod wait;

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use anyhow::Context;
use echo_cli::{Endpoint, exit, say};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};
use thiserror::Error;
use tracing::{error, info};

pub use config::{Config, ConfigError};
pub use engine::{EngineChoice, EngineError, Summary};
pub use fault::{Fault, Needs, ParseFaultError};
pub use listener::BindError;
pub use shutdown::Shutdown;
pub use udp::{Datagrams, Dropped};

use args::Args;
use engine::Engine;
use fault::{FaultArg, Front};
use listener::Listener;
use service::Service;
use udp::UdpSocket;

/// How long the last words may take, at a second signal.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// The `echo-server` command.
#[must_use]
pub fn main() -> ExitCode {
    let args = match echo_cli::parse::<Args>(std::env::args_os()) {
        Ok(args) => args,
        Err(code) => return code,
    };
    if args.fault.iter().any(|fault| matches!(fault, FaultArg::List)) {
        // A closed pipe (`--fault list | head`) is no error, nor is there anybody to tell another.
        let _ = fault::list(&mut io::stdout().lock());
        return exit::OK;
    }
    let log = args.verbosity.init(args.log_format);
    let code = match run(&args) {
        Ok(Summary { cut: 0, .. }) => exit::OK,
        Ok(_) => ExitCode::from(exit::FAILED),
        Err(error) => {
            let fix = error.downcast_ref().map(|e: &StartError| format!("; {}", e.fix()));
            say(format_args!("echo-server: {error:#}{}", fix.unwrap_or_default()));
            let usage = error.is::<StartError>() || error.is::<ConfigError>();
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
    engine: Engine,
    /// Why it is not a better one.
    instead: Option<EngineError>,
    /// Of each worker, one for each endpoint.
    workers: Vec<Vec<Listener>>,
    udp: Vec<UdpSocket>,
    /// Before all these, if we are to misbehave.
    front: Front,
    /// As announced.
    endpoints: Vec<String>,
    config: Config,
}

/// A server cannot start as it is configured.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The engine asked for cannot be had.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// An endpoint cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
}

impl StartError {
    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Engine(error) => error.fix(),
            Self::Bind(error) => error.fix(),
        }
    }
}

impl Server {
    /// Binds every endpoint of `config`.
    ///
    /// # Errors
    /// [`StartError`] for the first thing that cannot be had.
    pub fn bind(config: Config) -> Result<Self, StartError> {
        let (engine, instead) = Engine::choose(config.engine)?;
        let mut workers: Vec<Vec<Listener>> = Vec::new();
        workers.resize_with(engine.workers(config.workers, config.once), Vec::new);
        let (mut udp, mut endpoints) = (Vec::new(), Vec::new());
        let mut front = Front::new(&config.faults);
        for endpoint in &config.listen {
            if let Some(bound) = front.bind(endpoint)? {
                endpoints.push(bound);
                continue;
            }
            if let Endpoint::Udp { host, port } = endpoint {
                let socket = UdpSocket::bind(endpoint, host, *port)?;
                endpoints.push(socket.endpoint());
                udp.push(socket);
                continue;
            }
            let listeners = Listener::bind(endpoint, workers.len())?;
            endpoints.extend(listeners.first().map(ToString::to_string));
            for (worker, listener) in workers.iter_mut().zip(listeners) {
                worker.push(listener);
            }
        }
        let private = front.private(workers.len())?;
        for (worker, listener) in workers.iter_mut().zip(private) {
            worker.push(listener);
        }
        workers.retain(|listeners| !listeners.is_empty()); // those of UDP alone
        Ok(Self { engine, instead, workers, udp, front, endpoints, config })
    }

    /// The endpoints bound, as in `tcp://127.0.0.1:65432`, with the ports the system has chosen.
    pub fn endpoints(&self) -> impl Iterator<Item = &str> {
        self.endpoints.iter().map(String::as_str)
    }

    /// Lowers the number of connections to what this process has descriptors for.
    fn fit_into_descriptors(&mut self) {
        let own = self.workers.iter().map(Vec::len).sum::<usize>() + self.udp.len();
        let (asked, each) = (self.config.max_connections, self.front.descriptors_of_each());
        let (workers, sockets) = (self.workers.len(), own + self.front.descriptors());
        self.config.max_connections = limits::connections(asked, each, workers, sockets);
    }

    /// Serves until `shutdown` has begun and every connection has ended or was cut; then the log is
    /// told what was done.
    ///
    /// # Errors
    /// When the system cannot even tell what is going on; a failing connection is no error. What was
    /// done until then is told, too.
    pub fn serve(self, shutdown: &Arc<Shutdown>) -> io::Result<Summary> {
        if let Some(EngineError(error)) = self.instead {
            info!(engine = "epoll", why = "no io_uring", %error, "not the fastest engine");
        }
        let service = Service::new(self.config, Arc::clone(shutdown));
        let serves_udp = !self.udp.is_empty();
        let standing = self.front.stand(&service)?;
        let udp = udp::Endpoints::serve(self.udp, &service);
        let serves_connections = !self.workers.is_empty();
        let served = match &udp {
            Ok(_) => self.engine.serve(self.workers, &service),
            Err(_) => Ok(()),
        };
        if serves_connections || udp.is_err() {
            shutdown.begin(); // when it was the engine that ended, the rest does, too
        }
        let answered = udp.and_then(udp::Endpoints::join);
        let stood = standing.join();
        let mut summary = service.summary();
        summary.cut = summary.cut.max(*stood.as_ref().unwrap_or(&0));
        tell(&summary, serves_udp);
        stood?;
        answered?;
        served?;
        Ok(summary)
    }
}

fn run(args: &Args) -> anyhow::Result<Summary> {
    let config = Config::try_from(args)?;
    let shutdown = Arc::new(Shutdown::new(config.drain_timeout).context("cannot start")?);
    // Before the endpoints are announced: who reads the line may send a signal at once.
    begin_on_signal(&shutdown).context("cannot handle signals")?;
    limits::raise_descriptors();
    let mut server = Server::bind(config)?;
    server.fit_into_descriptors();
    announce(&server).context("cannot write to stdout")?;
    server.serve(&shutdown).context("cannot go on")
}

/// What was done, also when something has failed in the end.
fn tell(summary: &Summary, serves_udp: bool) {
    let Summary { accepted: connections, cut, received, echoed, datagrams } = *summary;
    if serves_udp {
        tell_of_datagrams(&datagrams);
    }
    if cut == 0 {
        info!(connections, received, echoed, "done");
    } else {
        let why = "they did not finish within --drain-timeout";
        error!(connections, received, echoed, cut, why, "connections were cut");
    }
}

/// What has become of datagrams; a reason for which none was dropped is left out.
fn tell_of_datagrams(datagrams: &Datagrams) {
    let Datagrams { received, returned, dropped } = datagrams;
    let some = |count: u64| (count > 0).then_some(count);
    info!(
        datagrams = received,
        returned,
        truncated = some(dropped.truncated),
        service_port = some(dropped.service_port),
        not_unicast = some(dropped.not_unicast),
        source_rate = some(dropped.source_rate),
        total_rate = some(dropped.total_rate),
        ourselves = some(dropped.ourselves),
        unsent = some(dropped.unsent),
        "done with UDP"
    );
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

/// Says it, if stderr takes it soon. Not by the log, whose thread would not come to write it.
fn last_words(words: &'static str) {
    let (said, heard) = mpsc::channel();
    let saying = thread::Builder::new().spawn(move || {
        say(format_args!("{words}"));
        let _ = said.send(());
    });
    if saying.is_ok() {
        let _ = heard.recv_timeout(LAST_WORDS);
    }
}

/// The first SIGTERM or SIGINT begins the shutdown, the second ends the process.
fn begin_on_signal(shutdown: &Arc<Shutdown>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let shutdown = Arc::clone(shutdown);
    thread::Builder::new().name("signals".into()).spawn(move || {
        for _ in signals.forever() {
            if shutdown.has_begun() {
                last_words("echo-server: ended by a second signal; connections were cut");
                std::process::exit(i32::from(exit::FAILED));
            }
            info!("finishing connections; a second signal ends at once");
            shutdown.begin();
        }
    })?;
    Ok(())
}
