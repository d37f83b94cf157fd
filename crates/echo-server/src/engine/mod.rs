//! Engines move bytes between sockets and the core; none of them knows the protocol.
//!
//! ```text
//! workers ─┬─▶ Acceptor ──▶ Session (EchoConnection, slot) ──▶ read, write, FIN
//!          └─▶ the same, with listeners of its own (SO_REUSEPORT)
//! ```

pub(crate) mod epoll;
mod threads;
#[cfg(target_os = "linux")]
pub(crate) mod uring;

use std::{
    io,
    num::NonZero,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};

use clap::ValueEnum;
use rustix::io::Errno;
use thiserror::Error;
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

/// The engine that was asked for cannot be had.
#[derive(Debug, Error)]
#[error("this system lets us have no io_uring")]
pub struct EngineError(#[source] pub(crate) io::Error);

/// How long it may take to end what is cut, in the kernel or on threads, before we leave without
/// waiting for it.
const CUT_GRACE: Duration = Duration::from_secs(1);

/// What a worker does until it ends, on a thread of its own.
type Work = Box<dyn FnOnce() -> io::Result<()> + Send>;

impl Engine {
    /// The engine for `choice`, after a look whether the system has it, and why it is not a better
    /// one.
    pub(crate) fn choose(choice: EngineChoice) -> Result<(Self, Option<EngineError>), EngineError> {
        let engine = match choice {
            EngineChoice::Threads => Self::Threads,
            EngineChoice::Epoll => Self::Epoll,
            EngineChoice::Uring | EngineChoice::Auto => match uring::probe().map_err(EngineError) {
                Ok(()) => Self::Uring,
                Err(why) if choice == EngineChoice::Auto => return Ok((Self::Epoll, Some(why))),
                Err(why) => return Err(why),
            },
        };
        Ok((engine, None))
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
    ) -> io::Result<()> {
        // All are ready before the first accepts: newcomers shall not take what a worker needs.
        let workers: Vec<Work> = workers
            .into_iter()
            .map(|listeners| self.prepare(listeners, service))
            .collect::<io::Result<_>>()?;
        let workers = workers.into_iter().map(|work| {
            let service = Arc::clone(service);
            thread::Builder::new().name("worker".into()).spawn(move || run(work, &service))
        });
        let workers: Vec<_> = workers.collect();
        if workers.iter().any(Result::is_err) {
            service.shutdown.begin();
        }
        let ended: Vec<io::Result<()>> = workers
            .into_iter()
            .map(|worker| worker?.join().unwrap_or_else(|_| Err(has_panicked())))
            .collect();
        ended.into_iter().collect()
    }

    fn prepare(self, listeners: Vec<Listener>, service: &Arc<Service>) -> io::Result<Work> {
        match self {
            Self::Uring => uring::prepare(listeners, service),
            Self::Epoll => epoll::prepare(listeners, service),
            Self::Threads => threads::prepare(listeners, service),
        }
    }
}

/// Works until that ends. A failure ends the others, in good order: what they have done is not lost.
fn run(work: Work, service: &Service) -> io::Result<()> {
    let ended = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(has_panicked()));
    ended.inspect_err(|error| {
        warn!(%error, "a worker failed, ending");
        service.shutdown.begin();
    })
}

fn has_panicked() -> io::Error {
    io::Error::other("a worker has panicked")
}

impl EngineError {
    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match Errno::from_io_error(&self.0) {
            Some(Errno::PERM | Errno::ACCESS) => {
                "the sysctl kernel.io_uring_disabled or a seccomp filter (a container's?) forbids it; \
                 allow it there, or use --engine epoll"
            }
            Some(Errno::NOSYS) => {
                "this kernel was built without it, or a seccomp filter (a container's?) hides it; \
                 use --engine epoll"
            }
            Some(Errno::NOMEM) => {
                "raise the limit of locked memory (ulimit -l), or use --engine epoll"
            }
            Some(Errno::MFILE | Errno::NFILE) => "raise the limit of open files (ulimit -n)",
            _ => "Linux 6.0 or later is needed; use --engine epoll",
        }
    }
}

/// Elsewhere there is none.
#[cfg(not(target_os = "linux"))]
mod uring {
    use super::{Arc, Listener, Service, Work, io};

    pub(super) fn probe() -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn prepare(_: Vec<Listener>, _: &Arc<Service>) -> io::Result<Work> {
        Err(io::ErrorKind::Unsupported.into())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_panics_ends_the_others() {
        let service = Service::asked_for(&[]);
        let shutdown = Arc::clone(&service.shutdown);
        run(Box::new(|| Ok(())), &service).unwrap();
        assert!(!shutdown.has_begun());
        run(Box::new(|| panic!("on purpose")), &service).unwrap_err();
        assert!(shutdown.has_begun());
    }
}
