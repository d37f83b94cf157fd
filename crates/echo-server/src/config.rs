//! What the server is to do, checked.

use std::time::Duration;

use echo_cli::{Endpoint, NoFrameLimit};
use echo_core::Codec;

use crate::{EngineChoice, args::Args};

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
}

impl TryFrom<&Args> for Config {
    type Error = NoFrameLimit;

    fn try_from(args: &Args) -> Result<Self, Self::Error> {
        Ok(Self {
            listen: args.listen.clone(),
            codec: args.framing.codec()?,
            engine: args.engine,
            workers: args.workers.map(usize::from),
            max_connections: usize::try_from(args.max_connections).unwrap_or(usize::MAX),
            max_per_peer: args.max_per_peer,
            idle_timeout: unless_zero(args.idle_timeout),
            stall_timeout: unless_zero(args.stall_timeout),
            spin: args.spin,
            drain_timeout: args.drain_timeout,
            once: args.once,
        })
    }
}

/// `0s` switches a timeout off.
fn unless_zero(timeout: Duration) -> Option<Duration> {
    Some(timeout).filter(|timeout| !timeout.is_zero())
}
