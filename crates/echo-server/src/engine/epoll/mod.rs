//! Readiness: each worker polls its connections, and gives those a turn that have something to do.
//!
//! ```text
//!          ┌───────────────────────────────────────────────────────────────┐
//!          ▼                                                               │
//! poll ──▶ turns of those that are ready ──▶ accept some ──▶ queue ──▶ timers
//!            │ read ──▶ hot ──▶ write          │               ▲
//!            └─────────────────────────────────┼───────────────┘ not finished within its budget
//! ```
//!
//! Everything is watched edge-triggered and once, so a message costs two system calls and its share
//! of a poll, and a listener that is left alone, at a limit or in an overload, is silent. All
//! connections of a worker are received into one hot buffer. Nothing here waits but the poll, and
//! every step is bounded, so that no connection waits long for its turn.
//!
//! Payload goes through user memory. Splicing large raw flows through one pipe of the worker's was
//! tried, and left out: it takes a sixth off the server's CPU time there, as bare splice does, and
//! that is not worth a second way for every byte. Below that the figures were the same. Measured on
//! 22 November 2026 on a busy machine of 2 cores, in interleaved rounds, in us of CPU per message of
//! 64 KiB on 4 connections, 4 in flight; medians, least and greatest:
//!
//! ```text
//! cargo xtask bench server --only 4x65536x4 --rounds 31 --seconds 0.3 --who 'bare splice' --server ...
//! rounds   through memory      spliced             bare splice         ratio of the first two
//! 31       25.5 [20.6 40.7]    21.2 [18.5 56.4]    20.8 [16.4 35.9]    1.20
//! 31       27.2 [20.3 47.4]    22.9 [18.7 42.4]    22.4 [17.7 44.6]    1.18
//! 21       28.9 [23.2 50.4]    28.1 [19.9 53.3]    24.5 [18.2 36.2]    1.03
//! 21       41.2 [23.2 55.7]    28.3 [22.7 34.2]    27.0 [22.8 52.3]    1.46
//! ```
//!
//! With 500 connections and 64 B, 95.6 % of the samples of a worker are in the kernel, 2.8 % in this
//! program and 1.5 % in libc (`perf record -e cpu-clock`); 10.2 us of CPU per message beside 9.6 us
//! for a bare loop, medians of 11 rounds on the same machine.

pub(crate) mod connection;
pub(crate) mod driver;

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, AsRawFd},
    sync::Arc,
    time::{Duration, Instant},
};

use echo_core::ECHO_READ_SIZE;
use mio::{Events, Interest, Poll, Token, event::Event, unix::SourceFd};
use socket2::Socket;
use tracing::warn;

use self::{
    connection::Ready,
    driver::{Driver, Watch},
};
use super::Work;
use crate::{
    acceptor::{Accepted, Acceptor},
    listener::Listener,
    service::Service,
    session::Session,
    slots::Key,
    spin::Spin,
};

/// Events taken from the kernel at once.
const EVENTS: usize = 256;

/// Connections accepted before those that are here have another turn.
const ACCEPTS_PER_ROUND: usize = 16;

/// A worker that serves until a shutdown has begun and every connection has ended or was cut.
///
/// # Errors
/// When the system has not what it takes, such as a descriptor.
pub(super) fn prepare(listeners: Vec<Listener>, service: &Arc<Service>) -> io::Result<Work> {
    let mut worker = Worker::new(listeners, service)?;
    Ok(Box::new(move || {
        let mut events = Events::with_capacity(EVENTS);
        while !worker.is_done() {
            worker.round(&mut events)?;
        }
        Ok(())
    }))
}

struct Worker {
    service: Arc<Service>,
    acceptor: Acceptor,
    poll: Poll,
    /// Listeners that may have connections waiting, each once. All, when a shutdown has begun: who
    /// is in the backlog is served. Empty from when nobody is to be accepted any more.
    backlogs: VecDeque<usize>,
    driver: Driver<Socket>,
    spin: Spin,
    /// When the poll returned.
    now: Duration,
}

/// What an event is about.
enum Source {
    Connection(Key),
    Listener(usize),
    Bell,
    Shutdown,
}

impl Worker {
    fn new(listeners: Vec<Listener>, service: &Arc<Service>) -> io::Result<Self> {
        let poll = Poll::new()?;
        for (which, listener) in listeners.iter().enumerate() {
            watch(&poll, listener, &Source::Listener(which), Interest::READABLE)?;
        }
        let acceptor = Acceptor::new(service, listeners)?;
        watch(&poll, &**acceptor.bell(), &Source::Bell, Interest::READABLE)?;
        watch(&poll, &*service.shutdown, &Source::Shutdown, Interest::READABLE)?;
        Ok(Self {
            service: Arc::clone(service),
            acceptor,
            poll,
            backlogs: VecDeque::new(),
            driver: Driver::new(ECHO_READ_SIZE),
            spin: Spin::new(service.config.spin),
            now: service.now(),
        })
    }

    fn is_done(&self) -> bool {
        let heard = self.driver.is_draining() == self.service.shutdown.has_begun();
        let idle = self.backlogs.is_empty() && self.driver.is_empty();
        self.acceptor.is_done() && heard && idle
    }

    /// Waits until there is something to do, and does it.
    fn round(&mut self, events: &mut Events) -> io::Result<()> {
        let timeout = self.timeout();
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => self.now = self.service.now(),
        }
        if !events.is_empty() || self.driver.is_pressing() {
            self.spin.worked(self.now);
        }
        for event in events.iter() {
            match Source::of(event.token()) {
                Source::Connection(key) => {
                    self.driver.ready(key, told_by(event), self.now, &mut self.poll);
                }
                Source::Listener(which) => self.knocked(which),
                Source::Bell => self.acceptor.bell().silence(),
                Source::Shutdown => self.begin_drain(),
            }
        }
        self.accept_some();
        self.driver.finish(self.now, &mut self.poll);
        Ok(())
    }

    /// How long the poll may wait.
    fn timeout(&mut self) -> Option<Duration> {
        let mut rest_ends = None;
        if !self.backlogs.is_empty() {
            if !self.acceptor.rests() {
                return Some(Duration::ZERO);
            }
            let deadline = self.service.shutdown.deadline();
            let ends = [self.acceptor.pause(), deadline].into_iter().flatten().min();
            rest_ends = ends.map(|at| at.saturating_duration_since(Instant::now()));
        }
        if self.driver.is_pressing() || self.spin.goes_on(self.now) {
            return Some(Duration::ZERO);
        }
        let timer = self.driver.wake_at().map(|at| at.saturating_sub(self.now));
        [rest_ends, timer].into_iter().flatten().min()
    }

    /// Somebody came to the listener at `which`.
    fn knocked(&mut self, which: usize) {
        // In a drain, who came after the backlog was taken came too late.
        if !self.driver.is_draining() && !self.backlogs.contains(&which) {
            self.backlogs.push_back(which);
        }
    }

    /// Accepts a few of those who wait, as far as they are wanted and there is room.
    fn accept_some(&mut self) {
        for _ in 0..ACCEPTS_PER_ROUND {
            if !self.driver.is_draining() && self.acceptor.is_done() {
                self.backlogs.clear();
            }
            let Some(&which) = self.backlogs.front() else { break };
            match self.acceptor.accept(which) {
                Accepted::Connection(socket, seat) => {
                    let session = Session::new(seat, self.now);
                    let admitted = self.driver.admit(socket, session, self.now, &mut self.poll);
                    if let Err(error) = admitted {
                        self.acceptor.overloaded(&error);
                    }
                }
                Accepted::GoOn => {}
                Accepted::NoneWaiting => drop(self.backlogs.pop_front()),
                Accepted::Rest => break,
            }
            if self.backlogs.front() == Some(&which) {
                self.backlogs.rotate_left(1);
            }
        }
        if self.driver.is_draining() {
            self.close_listeners();
        }
    }

    /// Once nobody waits there any more, or for too long.
    fn close_listeners(&mut self) {
        let deadline = self.service.shutdown.deadline();
        if !self.backlogs.is_empty() && deadline.is_some_and(|by| by <= Instant::now()) {
            warn!("connections in the backlog were not served in time");
            self.backlogs.clear();
        }
        if self.backlogs.is_empty() {
            self.acceptor.close();
        }
    }

    /// Tells every connection that the service ends.
    fn begin_drain(&mut self) {
        if self.driver.is_draining() {
            return;
        }
        self.driver.drain(self.now);
        self.backlogs = (0..self.acceptor.listeners().len()).collect();
        if self.service.config.once {
            self.backlogs.clear();
        }
    }
}

impl Source {
    /// Connections count up from 0, everything else down from the end.
    const fn token(&self) -> Token {
        Token(match self {
            Self::Connection(key) => key.token(),
            Self::Bell => usize::MAX,
            Self::Shutdown => usize::MAX - 1,
            Self::Listener(which) => usize::MAX - 2 - *which,
        })
    }

    fn of(token: Token) -> Self {
        match (Key::of_token(token.0), usize::MAX - token.0) {
            (Some(key), _) => Self::Connection(key),
            (None, 0) => Self::Bell,
            (None, 1) => Self::Shutdown,
            (None, other) => Self::Listener(other - 2),
        }
    }
}

impl Watch<Socket> for Poll {
    fn input(&mut self, key: Key, socket: &Socket) -> io::Result<()> {
        watch(self, socket, &Source::Connection(key), FOR_INPUT)
    }

    fn input_and_room(&mut self, key: Key, socket: &Socket) -> io::Result<()> {
        let (fd, token) = (socket.as_raw_fd(), Source::Connection(key).token());
        let interest = FOR_INPUT | Interest::WRITABLE;
        self.registry().reregister(&mut SourceFd(&fd), token, interest)
    }
}

/// What an event says of a connection.
fn told_by(event: &Event) -> Ready {
    Ready {
        readable: event.is_readable() || event.is_error(),
        writable: event.is_writable() || event.is_write_closed() || event.is_error(),
        behind: event.is_read_closed() || event.is_priority(),
    }
}

fn watch(poll: &Poll, fd: &impl AsFd, source: &Source, interest: Interest) -> io::Result<()> {
    let fd = fd.as_fd().as_raw_fd();
    poll.registry().register(&mut SourceFd(&fd), source.token(), interest)
}

/// What connections are watched for at first. Urgent data is not echoed, but has to be known of.
#[cfg(target_os = "linux")]
const FOR_INPUT: Interest = Interest::READABLE.add(Interest::PRIORITY);
#[cfg(not(target_os = "linux"))]
const FOR_INPUT: Interest = Interest::READABLE;
