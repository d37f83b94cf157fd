//! What the server is to do, checked.

use std::time::Duration;

use echo_cli::Endpoint;
use echo_core::{Codec, Framing};
use thiserror::Error;

use crate::args::Args;

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: Vec<Endpoint>,
    /// How bytes are grouped into frames.
    pub framing: Framing,
    /// The largest payload of a frame in bytes; `None` is the framing's default.
    pub max_frame: Option<usize>,
    /// Connections served at once, at least 1.
    pub max_connections: usize,
    /// How long nothing may move on a connection.
    pub idle_timeout: Option<Duration>,
    /// How long connections may take to finish after a shutdown has begun.
    pub drain_timeout: Duration,
    /// Serve one connection only.
    pub once: bool,
}

/// Flags that are fine one by one but make no sense together.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A limit for frames where there are none, or where each is of one size.
    #[error(
        "--max-frame has no meaning with --framing {0}; leave it out, or choose another framing"
    )]
    MaxFrame(Framing),
}

impl Config {
    /// A fresh codec for one direction of one connection.
    #[must_use]
    pub fn codec(&self) -> Codec {
        let codec = self.framing.codec();
        match self.max_frame {
            Some(bytes) => codec.max_payload(bytes),
            None => codec,
        }
    }
}

impl TryFrom<&Args> for Config {
    type Error = ConfigError;

    fn try_from(args: &Args) -> Result<Self, Self::Error> {
        let has_limit = !matches!(args.framing, Framing::Raw | Framing::Fixed(_));
        if args.max_frame.is_some() && !has_limit {
            return Err(ConfigError::MaxFrame(args.framing.clone()));
        }
        Ok(Self {
            listen: args.listen.clone(),
            framing: args.framing.clone(),
            max_frame: args.max_frame,
            max_connections: usize::try_from(args.max_connections).unwrap_or(usize::MAX),
            idle_timeout: Some(args.idle_timeout).filter(|timeout| !timeout.is_zero()),
            drain_timeout: args.drain_timeout,
            once: args.once,
        })
    }
}
