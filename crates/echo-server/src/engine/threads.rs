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
    Connection,
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
        if !self.config.once {
            // Who is in the backlog has been told by the kernel that we are here.
            for listener in &listeners {
                while self.has_room() && matches!(self.accept(listener), Accepted::Connection) {}
            }
        }
        drop(listeners);
        self.drain()
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
                Ok(()) => return Accepted::Connection,
                Err(error) => error,
            },
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => return Accepted::NoneWaiting,
                // The peer gave up while it waited, or a signal came: nobody's loss.
                io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => {
                    return Accepted::Connection;
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
        thread::Builder::new().name("connection".into()).stack_size(STACK_SIZE).spawn(
            move || {
                match connection::serve(stream, peer, &config, &shutdown) {
                    Ok(ended) => slot.settle(&ended),
                    Err(error) => warn!(%peer, %error, "cannot set up the connection"),
                }
                // Last, when the socket is closed: who waits for the slot may need its descriptor.
                drop(slot);
            },
        )?;
        self.accepted += 1;
        Ok(())
    }

    /// Waits for the connections to end, to the deadline once a shutdown has begun.
    fn drain(self) -> io::Result<Summary> {
        loop {
            let (open, mut summary) = {
                let counts = self.open.counts();
                (counts.open, counts.ended)
            };
            let deadline = self.shutdown.deadline();
            let is_over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if open == 0 || is_over {
                summary.accepted = self.accepted;
                summary.cut += open;
                return Ok(summary);
            }
            let ended = (self.open.ended.as_fd(), PollFlags::IN);
            if deadline.is_some() {
                wait([ended], deadline)?;
            } else {
                wait([ended, (self.shutdown.as_fd(), PollFlags::IN)], None)?;
            }
            self.open.ended.silence();
        }
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
