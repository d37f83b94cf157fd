//! What the server is to do, checked.

use std::time::Duration;

use echo_cli::{Endpoint, NoFrameLimit};
use echo_core::Codec;

use crate::args::Args;

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: Vec<Endpoint>,
    /// How bytes are grouped into frames; cloned for each direction of each connection.
    pub codec: Codec,
    /// Connections served at once, at least 1.
    pub max_connections: usize,
    /// How long nothing may move on a connection.
    pub idle_timeout: Option<Duration>,
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
            max_connections: usize::try_from(args.max_connections).unwrap_or(usize::MAX),
            idle_timeout: Some(args.idle_timeout).filter(|timeout| !timeout.is_zero()),
            drain_timeout: args.drain_timeout,
            once: args.once,
        })
    }
}
