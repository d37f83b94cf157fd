//! What all workers of an engine share: the configuration, the wish to end, who may come in, and
//! what has become of those who came.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

#[cfg(test)]
use clap::Parser;
#[cfg(test)]
use echo_core::EchoConnection;

use crate::{Summary, admission::Admission, config::Config, shutdown::Shutdown};
#[cfg(test)]
use crate::{args::Args, framed::Framed, peer::Peer};

/// One running service.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) config: Config,
    pub(crate) shutdown: Arc<Shutdown>,
    pub(crate) admission: Admission,
    /// The moment from which connections count their time.
    epoch: Instant,
    ended: Mutex<Summary>,
    /// Connections that have ended, as they were then.
    #[cfg(test)]
    witnessed: Mutex<Vec<(Peer, EchoConnection<Framed>)>>,
}

impl Service {
    pub(crate) fn new(config: Config, shutdown: Arc<Shutdown>) -> Arc<Self> {
        let admission = Admission::new(config.max_connections, config.max_per_peer);
        let epoch = Instant::now();
        Arc::new(Self {
            config,
            shutdown,
            admission,
            epoch,
            ended: Mutex::default(),
            #[cfg(test)]
            witnessed: Mutex::default(),
        })
    }

    /// One that is asked for on the command line with `args`.
    #[cfg(test)]
    pub(crate) fn asked_for(args: &[&str]) -> Arc<Self> {
        let args = Args::parse_from([&["echo-server"], args].concat());
        let config = Config::try_from(&args).unwrap();
        let shutdown = Shutdown::new(config.drain_timeout).unwrap();
        Self::new(config, Arc::new(shutdown))
    }

    /// The time, as connections are told it.
    pub(crate) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// The moment that a connection calls `at`; `None` when no clock will ever show it.
    pub(crate) fn instant(&self, at: Duration) -> Option<Instant> {
        self.epoch.checked_add(at)
    }

    /// Adds what one connection, or several, have come to.
    pub(crate) fn settle(&self, ended: &Summary) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).add(ended);
    }

    /// Leaves so many connections, which were cut, to a system that does not let go of them.
    pub(crate) fn abandon(&self, connections: usize) {
        let accepted = u64::try_from(connections).unwrap_or(u64::MAX);
        self.settle(&Summary { accepted, cut: connections, ..Summary::default() });
    }

    /// The sum of everything settled.
    pub(crate) fn summary(&self) -> Summary {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what a connection was like when it ended, for those who look.
    #[cfg(test)]
    pub(crate) fn witness(&self, peer: Peer, echo: EchoConnection<Framed>) {
        self.witnessed.lock().unwrap_or_else(PoisonError::into_inner).push((peer, echo));
    }

    /// Those that have ended since this was last asked.
    #[cfg(test)]
    pub(crate) fn witnessed(&self) -> Vec<(Peer, EchoConnection<Framed>)> {
        std::mem::take(&mut self.witnessed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
