//! Engines move bytes between sockets and the core; none of them knows the protocol.
//!
//! ```text
//! workers ─┬─▶ Acceptor ──▶ Session (EchoConnection, slot) ──▶ read, write, FIN
//!          └─▶ the same, with listeners of its own (SO_REUSEPORT)
//! ```

mod epoll;
mod threads;
mod uring;

use std::{io, num::NonZero, sync::Arc, thread};

use clap::ValueEnum;
use tracing::warn;

use crate::{Datagrams, listener::Listener, service::Service};

/// How bytes are moved, as asked for with `--engine`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum EngineChoice {
    /// The fastest that this system has
    #[default]
    Auto,
    /// Completions: Linux's io_uring
    Uring,
    /// Readiness: epoll on Linux, kqueue on the BSDs and macOS
    Epoll,
    /// A blocking thread per connection
    Threads,
}

/// An engine that this system has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Uring,
    Epoll,
    Threads,
}

/// What an engine did until it ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections that a shutdown had to cut, because they were not finished at its deadline.
    pub cut: usize,
    /// Bytes taken from peers, on all connections that have ended.
    pub received: u64,
    /// Bytes sent back on them, framing included. Equal to `received` when nothing was lost.
    pub echoed: u64,
    /// What came over UDP.
    pub datagrams: Datagrams,
}

impl Engine {
    /// The engine for `choice`, after a look whether the system has it.
    pub(crate) fn choose(choice: EngineChoice) -> Self {
        match choice {
            EngineChoice::Threads => Self::Threads,
            EngineChoice::Uring => Self::Uring,
            EngineChoice::Auto | EngineChoice::Epoll => Self::Epoll,
        }
    }

    /// How many workers to have, when `asked` for so many. One is enough to serve one connection,
    /// and to accept for threads.
    pub(crate) fn workers(self, asked: Option<usize>, once: bool) -> usize {
        match self {
            Self::Threads => 1,
            Self::Uring | Self::Epoll if once => 1,
            Self::Uring | Self::Epoll => {
                asked.unwrap_or_else(|| thread::available_parallelism().map_or(1, NonZero::get))
            }
        }
    }

    /// Serves with as many workers as there are sets of listeners, until a shutdown has begun and
    /// every connection has ended or was cut.
    pub(crate) fn serve(
        self,
        workers: Vec<Vec<Listener>>,
        service: &Arc<Service>,
    ) -> io::Result<Summary> {
        let work = match self {
            Self::Uring => uring::serve,
            Self::Epoll => epoll::serve,
            Self::Threads => threads::serve,
        };
        let workers = workers.into_iter().map(|listeners| {
            let worker = Arc::clone(service);
            let thread = thread::Builder::new().name("worker".into());
            thread.spawn(move || {
                let result = work(listeners, &worker);
                if let Err(error) = &result {
                    // The others end in good order; what they have done is not lost.
                    warn!(%error, "a worker failed, ending");
                    worker.shutdown.begin();
                }
                result
            })
        });
        let workers: Vec<_> = workers.collect();
        let failed = |_| io::Error::other("a worker has panicked");
        let ended: Vec<io::Result<()>> = workers
            .into_iter()
            .map(|worker| {
                worker.and_then(|worker| worker.join().unwrap_or_else(|p| Err(failed(p))))
            })
            .collect();
        ended.into_iter().collect::<io::Result<()>>()?;
        Ok(service.summary())
    }
}

impl Summary {
    /// Adds what another connection, or worker, did.
    pub(crate) fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.cut += other.cut;
        self.received += other.received;
        self.echoed += other.echoed;
        self.datagrams.add(&other.datagrams);
    }
}
