//! One blocking thread per connection: the guide's model, with limits.
//!
//! ```text
//! accept loop ── poll: listeners, shutdown, bell ──▶ thread: echo loop over one Connection
//!      ▲                                                  │
//!      └──────────────── bell: a connection has ended ────┘
//! ```
//!
//! The accept loop rests at the connection limit and after errors by leaving the listeners out of
//! its poll set. The kernel's backlog holds who comes meanwhile.

use std::{
    io, mem,
    net::{SocketAddr, TcpStream},
    os::fd::AsFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags};
use tracing::warn;

use super::Summary;
use crate::{
    config::Config,
    connection,
    listener::Listener,
    shutdown::Shutdown,
    wait::{Bell, wait, wait_all},
};

/// The longest pause after the system could not give us a connection, a descriptor or a thread. It
/// ends early when a connection does.
const OVERLOAD_PAUSE: Duration = Duration::from_millis(100);

/// The shortest time between two log lines about that.
const OVERLOAD_LOG_EVERY: Duration = Duration::from_secs(5);

/// A connection's stack: the echo loop is shallow, its buffer is on the heap.
const STACK_SIZE: usize = 256 << 10;

/// Serves until a shutdown has begun and every connection has ended or was cut.
pub(crate) fn serve(
    listeners: Vec<Listener>,
    config: &Arc<Config>,
    shutdown: &Arc<Shutdown>,
) -> io::Result<Summary> {
    let engine = Engine {
        config: Arc::clone(config),
        shutdown: Arc::clone(shutdown),
        open: Arc::new(Open { counts: Mutex::default(), ended: Bell::new()? }),
        accepted: 0,
        overload: Overload::default(),
    };
    engine.run(listeners)
}

struct Engine {
    config: Arc<Config>,
    shutdown: Arc<Shutdown>,
    open: Arc<Open>,
    accepted: u64,
    overload: Overload,
}

/// The connections being served.
#[derive(Debug)]
struct Open {
    counts: Mutex<Counts>,
    ended: Bell,
}

#[derive(Debug, Default)]
struct Counts {
    open: usize,
    /// What has become of the connections that have ended.
    ended: Summary,
}

/// One of the connections being served, until dropped.
struct Slot(Arc<Open>);

/// What an attempt to accept has led to.
enum Accepted {
    /// A connection, or one that was gone by then: there may be more.
    GoOn,
    NoneWaiting,
    Overload,
}

impl Engine {
    fn run(mut self, listeners: Vec<Listener>) -> io::Result<Summary> {
        while !self.is_done_accepting() {
            for ready in self.wait(&listeners)? {
                if self.has_room() && !self.is_done_accepting() {
                    self.accept(&listeners[ready]);
                }
            }
        }
        let backlog = if self.config.once { Vec::new() } else { listeners };
        self.drain(backlog)
    }

    fn is_done_accepting(&self) -> bool {
        self.shutdown.has_begun() || (self.config.once && self.accepted > 0)
    }

    fn has_room(&self) -> bool {
        self.open.counts().open < self.config.max_connections
    }

    /// Waits for something to do; returns which listeners have connections waiting.
    fn wait(&mut self, listeners: &[Listener]) -> io::Result<Vec<usize>> {
        let pause = self.overload.pause();
        let resting = pause.is_some() || !self.has_room();
        let mut fds = vec![
            PollFd::new(&*self.shutdown, PollFlags::IN),
            PollFd::new(&self.open.ended, PollFlags::IN),
        ];
        let fixed = fds.len();
        if !resting {
            fds.extend(listeners.iter().map(|l| PollFd::new(&l.tcp, PollFlags::IN)));
        }
        wait_all(&mut fds, pause)?;
        let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        if is_ready(&fds[1]) {
            self.open.ended.silence();
            self.overload.is_over();
        }
        Ok((0..fds.len() - fixed).filter(|i| is_ready(&fds[fixed + i])).collect())
    }

    fn accept(&mut self, listener: &Listener) -> Accepted {
        let error = match listener.tcp.accept() {
            Ok((stream, peer)) => match self.start(stream, peer) {
                Ok(()) => return Accepted::GoOn,
                Err(error) => error,
            },
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => return Accepted::NoneWaiting,
                // The peer gave up while it waited, or a signal came: nobody's loss.
                io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => {
                    return Accepted::GoOn;
                }
                _ => error,
            },
        };
        // No descriptor, no memory, no thread, or something unheard of: it may pass.
        self.overload.begin(&error);
        Accepted::Overload
    }

    fn start(&mut self, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
        let slot = Slot::take(&self.open);
        let (config, shutdown) = (Arc::clone(&self.config), Arc::clone(&self.shutdown));
        let thread = thread::Builder::new().name("connection".into()).stack_size(STACK_SIZE);
        let started = thread.spawn(move || {
            match connection::serve(stream, peer, &config, &shutdown) {
                Ok(ended) => slot.settle(&ended),
                Err(error) => warn!(%peer, %error, "cannot set up the connection"),
            }
            // Last, when the socket is closed: who waits for the slot may need its descriptor.
            drop(slot);
        });
        // The slot of a connection that got no thread has rung; that ends no overload.
        started.inspect_err(|_| self.open.ended.silence())?;
        self.accepted += 1;
        Ok(())
    }

    /// Waits for the connections to end, to the deadline once a shutdown has begun.
    ///
    /// Who is in the backlog has been told by the kernel that we are here: they are served, too.
    fn drain(mut self, mut backlog: Vec<Listener>) -> io::Result<Summary> {
        loop {
            backlog.retain(|listener| !self.take_backlog(listener));
            let (open, mut summary) = {
                let counts = self.open.counts();
                (counts.open, counts.ended)
            };
            let deadline = self.shutdown.deadline();
            let is_over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if is_over && !backlog.is_empty() {
                warn!("connections in the backlog were not served in time");
            }
            if is_over || open == 0 && backlog.is_empty() {
                summary.accepted = self.accepted;
                summary.cut += open;
                return Ok(summary);
            }
            let ended = (self.open.ended.as_fd(), PollFlags::IN);
            if self.shutdown.has_begun() {
                wait([ended], [deadline, self.overload.pause()].into_iter().flatten().min())?;
            } else {
                wait([ended, (self.shutdown.as_fd(), PollFlags::IN)], None)?;
            }
            self.open.ended.silence();
        }
    }

    /// Accepts who waits; false when some may be left, for want of room.
    fn take_backlog(&mut self, listener: &Listener) -> bool {
        while self.overload.pause().is_none() && self.has_room() {
            if matches!(self.accept(listener), Accepted::NoneWaiting) {
                return true;
            }
        }
        false
    }
}

impl Open {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn take(open: &Arc<Open>) -> Self {
        open.counts().open += 1;
        Self(Arc::clone(open))
    }

    fn settle(&self, one: &Summary) {
        let ended = &mut self.0.counts().ended;
        ended.cut += one.cut;
        ended.received += one.received;
        ended.echoed += one.echoed;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.counts().open -= 1;
        self.0.ended.ring();
    }
}

/// When to leave the listeners alone, and when to say so.
#[derive(Debug, Default)]
struct Overload {
    until: Option<Instant>,
    logged: Option<Instant>,
    unlogged: u64,
}

impl Overload {
    fn begin(&mut self, error: &io::Error) {
        let now = Instant::now();
        self.until = now.checked_add(OVERLOAD_PAUSE);
        if self.logged.is_some_and(|logged| now - logged < OVERLOAD_LOG_EVERY) {
            self.unlogged += 1;
            return;
        }
        let since_last_line = mem::take(&mut self.unlogged);
        self.logged = Some(now);
        warn!(%error, since_last_line, "cannot accept; pausing, connections go on");
    }

    fn is_over(&mut self) {
        self.until = None;
    }

    /// Until when to pause, if at all.
    fn pause(&mut self) -> Option<Instant> {
        self.until = self.until.filter(|until| Instant::now() < *until);
        self.until
    }
}
