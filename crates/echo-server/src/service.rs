//! What all workers of an engine share: the configuration, the wish to end, who may come in, and
//! what has become of those who came.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

#[cfg(test)]
use echo_core::{Codec, EchoConnection};

#[cfg(test)]
use crate::peer::Peer;
use crate::{Summary, admission::Admission, config::Config, shutdown::Shutdown};

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
    witnessed: Mutex<Vec<(Peer, EchoConnection<Codec>)>>,
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

    /// The sum of everything settled.
    pub(crate) fn summary(&self) -> Summary {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what a connection was like when it ended, for those who look.
    #[cfg(test)]
    pub(crate) fn witness(&self, peer: Peer, echo: EchoConnection<Codec>) {
        self.witnessed.lock().unwrap_or_else(PoisonError::into_inner).push((peer, echo));
    }

    /// Those that have ended since this was last asked.
    #[cfg(test)]
    pub(crate) fn witnessed(&self) -> Vec<(Peer, EchoConnection<Codec>)> {
        std::mem::take(&mut self.witnessed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
