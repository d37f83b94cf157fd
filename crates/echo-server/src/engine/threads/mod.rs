//! One blocking thread per connection: the guide's model, with limits.
//!
//! ```text
//! accept loop ── poll: listeners, shutdown, bell ──▶ thread: echo loop over one Session
//!      ▲                                                  │
//!      └──────────────── bell: a connection has ended ────┘
//! ```
//!
//! A thread is started before its connection is accepted: when the system has none to give, who
//! comes stays in the backlog.
//!
//! The accept loop rests at the connection limit and after errors by leaving the listeners out of
//! its poll set. The kernel's backlog holds who comes meanwhile.

mod connection;

use std::{
    io,
    os::fd::AsFd,
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::Instant,
};

use rustix::event::{PollFd, PollFlags};
use socket2::Socket;
use tracing::warn;

use super::{CUT_GRACE, Work};
use crate::{
    acceptor::{Accepted, Acceptor},
    admission::Seat,
    listener::{BACKLOG, Listener},
    service::Service,
    session::Session,
    wait::{wait, wait_all},
};

/// A connection's stack: the echo loop is shallow, its buffer is on the heap.
const STACK_SIZE: usize = 256 << 10;

/// An accept loop that serves until a shutdown has begun and every connection has ended or was cut.
///
/// # Errors
/// When the system has not what it takes, such as a descriptor.
pub(super) fn prepare(listeners: Vec<Listener>, service: &Arc<Service>) -> io::Result<Work> {
    let acceptor = Acceptor::new(service, listeners)?;
    let engine = Engine { service: Arc::clone(service), acceptor, spare: None };
    Ok(Box::new(|| engine.run()))
}

struct Engine {
    service: Arc<Service>,
    acceptor: Acceptor,
    /// A thread that waits for its connection: nobody is accepted whom no thread can serve.
    spare: Option<SyncSender<(Socket, Seat)>>,
}

impl Engine {
    fn run(mut self) -> io::Result<()> {
        while !self.acceptor.is_done() {
            for ready in self.wait()? {
                if !self.acceptor.is_done() {
                    self.accept(ready);
                }
            }
        }
        self.drain()
    }

    /// Waits for something to do; returns which listeners have connections waiting.
    fn wait(&mut self) -> io::Result<Vec<usize>> {
        let rests = self.acceptor.rests();
        let pause = self.acceptor.pause();
        let bell = Arc::clone(self.acceptor.bell());
        let shutdown = Arc::clone(&self.service.shutdown);
        let mut fds =
            vec![PollFd::new(&*shutdown, PollFlags::IN), PollFd::new(&*bell, PollFlags::IN)];
        let fixed = fds.len();
        if !rests {
            let listeners = self.acceptor.listeners();
            fds.extend(listeners.iter().map(|listener| PollFd::new(listener, PollFlags::IN)));
        }
        wait_all(&mut fds, pause)?;
        let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        let rung = is_ready(&fds[1]);
        let ready = (0..fds.len() - fixed).filter(|i| is_ready(&fds[fixed + i])).collect();
        if rung {
            bell.silence();
        }
        Ok(ready)
    }

    fn accept(&mut self, which: usize) -> Accepted {
        let thread = match self.spare.take().map_or_else(start, Ok) {
            Ok(thread) => thread,
            Err(error) => {
                self.acceptor.overloaded(&error);
                return Accepted::Rest;
            }
        };
        match self.acceptor.accept(which) {
            Accepted::Connection(socket, seat) => {
                // It waits for nothing else, and there is room for one.
                let _ = thread.send((socket, seat));
                Accepted::GoOn
            }
            other => {
                self.spare = Some(thread);
                other
            }
        }
    }

    /// Waits for the connections to end, to the deadline once a shutdown has begun.
    ///
    /// Who is in the backlog has been told by the kernel that we are here: they are served, too.
    fn drain(mut self) -> io::Result<()> {
        let mut backlog: Vec<usize> = (0..self.acceptor.listeners().len()).collect();
        if self.service.config.once {
            backlog.clear();
        }
        let service = Arc::clone(&self.service);
        loop {
            backlog.retain(|which| !self.take_backlog(*which));
            let bell = Arc::clone(self.acceptor.bell());
            service.admission.ring_when_freed(&bell);
            let open = service.admission.open();
            let deadline = service.shutdown.deadline();
            let is_over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if is_over && !backlog.is_empty() {
                warn!("connections in the backlog were not served in time");
                backlog.clear();
            }
            if open == 0 && backlog.is_empty() {
                return Ok(());
            }
            // Connections cut themselves at the deadline, and tell what they came to.
            let leaves_at = deadline.and_then(|deadline| deadline.checked_add(CUT_GRACE));
            if leaves_at.is_some_and(|at| Instant::now() >= at) {
                service.abandon(open);
                return Ok(());
            }
            let rung = (bell.as_fd(), PollFlags::IN);
            if service.shutdown.has_begun() {
                let pause = self.acceptor.pause();
                let ends = if is_over { leaves_at } else { deadline };
                wait([rung], [ends, pause].into_iter().flatten().min())?;
            } else {
                wait([rung, (service.shutdown.as_fd(), PollFlags::IN)], None)?;
            }
            bell.silence();
        }
    }

    /// Accepts who waits; false when some may be left, for want of room. More than the system keeps
    /// waiting were not there when the service ended.
    fn take_backlog(&mut self, which: usize) -> bool {
        for _ in 0..BACKLOG {
            match self.accept(which) {
                Accepted::NoneWaiting => return true,
                Accepted::Rest => return false,
                Accepted::Connection(..) | Accepted::GoOn => {}
            }
        }
        true
    }
}

/// Starts a thread that serves the connection that it is sent, if any.
fn start() -> io::Result<SyncSender<(Socket, Seat)>> {
    let (sender, receiver) = sync_channel::<(Socket, Seat)>(1);
    let thread = thread::Builder::new().name("connection".into()).stack_size(STACK_SIZE);
    thread.spawn(move || {
        if let Ok((socket, seat)) = receiver.recv() {
            let now = seat.service().now();
            connection::serve(socket, Session::new(seat, now));
        }
    })?;
    Ok(sender)
}
