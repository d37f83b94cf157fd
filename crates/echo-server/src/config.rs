//! What the server is to do, checked.

use std::{num::NonZeroU32, time::Duration};

use echo_cli::{Endpoint, NoFrameLimit};
use echo_core::{Codec, ECHO_READ_SIZE, Framing};
use thiserror::Error;

use crate::{
    EngineChoice, Fault,
    args::Args,
    fault::{FaultArg, Needs},
    udp,
};

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: Vec<Endpoint>,
    /// How bytes are grouped into frames; cloned for each direction of each connection.
    pub codec: Codec,
    /// What moves the bytes.
    pub engine: EngineChoice,
    /// Workers that share the listening and the connections, at least 1; `None` for as many as
    /// there are cores. The threads engine has one.
    pub workers: Option<usize>,
    /// Connections served at once, at least 1.
    pub max_connections: usize,
    /// Connections served at once for one IPv4 address or one IPv6 network of /64, at least 1.
    pub max_per_peer: Option<u32>,
    /// Datagrams a second that are answered of one IPv4 address or one IPv6 network of /64.
    pub udp_rate: Option<NonZeroU32>,
    /// Datagrams a second that are answered of all together.
    pub udp_rate_total: Option<NonZeroU32>,
    /// Unsent bytes of a connection at which receiving from it pauses.
    pub high_water: usize,
    /// How long nothing may move on a connection.
    pub idle_timeout: Option<Duration>,
    /// How long a peer may take none of the bytes that are ready for it.
    pub stall_timeout: Option<Duration>,
    /// How long a worker of the epoll and uring engines polls before it sleeps.
    pub spin: Duration,
    /// How long connections may take to finish after a shutdown has begun.
    pub drain_timeout: Duration,
    /// Serve one connection only.
    pub once: bool,
    /// How to misbehave, on purpose.
    pub faults: Vec<Fault>,
}

/// Flags that make no sense together.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A limit for frames, but no frames.
    #[error(transparent)]
    NoFrameLimit(#[from] NoFrameLimit),
    /// Workers, where each connection has a thread.
    #[error("--engine threads has a thread per connection and no workers; leave --workers out")]
    NoWorkers,
    /// Spinning, where each connection's thread sleeps in the kernel.
    #[error("--engine threads does not spin, its threads sleep at once; leave --spin out")]
    NoSpin,
    /// A flag for connections, where only datagrams are served.
    #[error("{0} is for connections, and UDP has none; leave it out, or add a --listen for them")]
    NoConnections(&'static str),
    /// A flag for datagrams, where none are served.
    #[error("{0} is for UDP; leave it out, or add a --listen udp://HOST:PORT")]
    NoDatagrams(&'static str),
    /// A fault, and no endpoint that could show it.
    #[error(
        "--fault {fault} shows on no endpoint given; add a --listen {needs}, or choose another"
    )]
    FaultUnseen {
        /// As it is written.
        fault: String,
        /// Where it shows.
        needs: Needs,
    },
    /// Two faults of datagrams.
    #[error("one --fault for datagrams at a time; leave out {0}, or start two servers")]
    TwoOfDatagrams(String),
}

impl TryFrom<&Args> for Config {
    type Error = ConfigError;

    fn try_from(args: &Args) -> Result<Self, Self::Error> {
        if args.engine == EngineChoice::Threads && args.workers.is_some() {
            return Err(ConfigError::NoWorkers);
        }
        if args.engine == EngineChoice::Threads && !args.spin.is_zero() {
            return Err(ConfigError::NoSpin);
        }
        let is_udp = |endpoint: &Endpoint| matches!(endpoint, Endpoint::Udp { .. });
        if args.listen.iter().all(is_udp) {
            // A datagram is a frame already.
            if args.framing.framing != Framing::Raw {
                return Err(ConfigError::NoConnections("--framing"));
            }
            if args.once {
                return Err(ConfigError::NoConnections("--once"));
            }
        }
        if !args.listen.iter().any(is_udp) {
            let rates = [("--udp-rate", args.udp_rate), ("--udp-rate-total", args.udp_rate_total)];
            if let Some((flag, _)) = rates.iter().find(|(_, rate)| rate.is_some()) {
                return Err(ConfigError::NoDatagrams(flag));
            }
        }
        let faults = faults(args)?;
        Ok(Self {
            listen: args.listen.clone(),
            codec: args.framing.codec()?,
            engine: args.engine,
            workers: args.workers.map(usize::from),
            max_connections: usize::try_from(args.max_connections).unwrap_or(usize::MAX),
            max_per_peer: args.max_per_peer,
            udp_rate: NonZeroU32::new(args.udp_rate.unwrap_or(udp::RATE)),
            udp_rate_total: NonZeroU32::new(args.udp_rate_total.unwrap_or(udp::RATE_TOTAL)),
            high_water: ECHO_READ_SIZE,
            idle_timeout: unless_zero(args.idle_timeout),
            stall_timeout: unless_zero(args.stall_timeout),
            spin: args.spin,
            drain_timeout: args.drain_timeout,
            once: args.once,
            faults,
        })
    }
}

/// Those asked for, each of which has an endpoint to be shown on.
fn faults(args: &Args) -> Result<Vec<Fault>, ConfigError> {
    let faults = args.fault.iter().filter_map(FaultArg::fault).cloned();
    let faults: Vec<Fault> = faults.collect();
    let unseen = |fault: &&Fault| !args.listen.iter().any(|it| fault.needs().is_met_by(it));
    if let Some(fault) = faults.iter().find(unseen) {
        let needs = fault.needs();
        return Err(ConfigError::FaultUnseen { fault: fault.to_string(), needs });
    }
    match faults.iter().filter(|fault| fault.is_of_datagrams()).nth(1) {
        Some(second) => Err(ConfigError::TwoOfDatagrams(second.to_string())),
        None => Ok(faults),
    }
}

/// `0s` switches a timeout off.
fn unless_zero(timeout: Duration) -> Option<Duration> {
    Some(timeout).filter(|timeout| !timeout.is_zero())
}
