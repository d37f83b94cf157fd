//! What a run is to do.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use clap::ValueEnum;
use echo_cli::Endpoint;

use crate::{Connector, figures};

/// One run: the load, how long, and what is asked of the path.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// Where the echo service is.
    pub target: Endpoint,
    /// Connections of the whole load; an instance of several opens its share of them.
    pub connections: u32,
    /// Bytes of a message.
    pub size: usize,
    /// Messages in flight per connection: kept there in a closed loop, at most so many in an open
    /// one.
    pub depth: u32,
    /// When messages are sent.
    pub mode: Mode,
    /// Load before measuring begins.
    pub warmup: Duration,
    /// How long the load is measured.
    pub duration: Duration,
    /// Threads that carry the load.
    pub threads: u32,
    /// How long a datagram is waited for before it counts as lost.
    pub wait: Duration,
    /// The share of datagrams that may be lost or late, 0 to 1.
    pub max_loss: f64,
    /// Whether returned bytes are compared with those sent.
    pub verify: bool,
    /// What latency is asked for.
    pub slo: Vec<Slo>,
    /// Send one message at a time beside the load and tell its latency.
    pub probe: bool,
    /// When the load begins, in place of at once.
    pub start_at: Option<SystemTime>,
    /// Which part of a load from several machines this is.
    pub instance: Option<Instance>,
    /// How long the end of the run waits for what is still missing.
    pub timeout: Duration,
    /// How connections are made.
    pub connector: Connector,
}

impl Settings {
    /// Whether each message is a datagram.
    #[must_use]
    pub fn is_datagrams(&self) -> bool {
        matches!(self.target, Endpoint::Udp { .. })
    }

    /// How long a message that is missing is waited for.
    pub(super) fn patience(&self) -> Duration {
        if self.is_datagrams() { self.wait } else { self.timeout }
    }
}

impl Default for Settings {
    /// One connection that exchanges 64 bytes in a closed loop with the default target for 10 s.
    fn default() -> Self {
        Self {
            target: Endpoint::Tcp { host: "127.0.0.1".to_owned(), port: 65432 },
            connections: 1,
            size: 64,
            depth: 1,
            mode: Mode::Closed,
            warmup: Duration::from_secs(1),
            duration: Duration::from_secs(10),
            threads: 1,
            wait: Duration::from_secs(1),
            max_loss: 0.0,
            verify: true,
            slo: Vec::new(),
            probe: false,
            start_at: None,
            instance: None,
            timeout: Duration::from_secs(10),
            connector: Connector::default(),
        }
    }
}

/// When messages are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    /// The next one when one has come back.
    Closed,
    /// At times fixed beforehand, whatever comes back.
    Open {
        /// Messages per second of the whole load.
        rate: f64,
        /// How they are spaced.
        arrival: Arrival,
    },
}

impl Mode {
    /// `closed` or `open`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
        }
    }
}

/// How the messages of an open loop are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Arrival {
    /// At equal distances.
    Even,
    /// As if each came independently of the others.
    Poisson,
}

impl fmt::Display for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Even => "even",
            Self::Poisson => "Poisson",
        })
    }
}

/// One of several instances that run one load together; prints as it is typed, `0/4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instance {
    /// Which one, from 0.
    pub index: u32,
    /// How many there are; more than `index`.
    pub count: u32,
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// A latency objective: `p99=5ms`. In an open loop it is about response time, in a closed loop about
/// service time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slo {
    /// Which latency.
    pub what: Statistic,
    /// The most that it may be.
    pub limit: Duration,
}

/// A figure of a latency distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statistic {
    /// The latency within which so many percent of the messages come back; more than 0, below 100.
    Percentile(f64),
    /// The average.
    Mean,
    /// The longest.
    Max,
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percentile(percent) => f.write_str(&figures::percentile(*percent)),
            Self::Mean => f.write_str("mean"),
            Self::Max => f.write_str("max"),
        }
    }
}
