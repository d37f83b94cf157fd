//! A listener whose connections are relayed, each by a thread of its own, to a service behind it.

mod connection;

use std::{
    io,
    os::fd::AsFd,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags};
use socket2::Socket;
use tracing::debug;

use super::{door::Door, spoiler::Spoilers};
use crate::{
    Summary,
    acceptor::{Accepted, Acceptor},
    admission::Seat,
    listener::Listener,
    service::Service,
    wait::{wait, wait_all},
};
use connection::Ending;

/// A connection's stack: its buffers are on the heap.
const STACK_SIZE: usize = 256 << 10;

/// How long after the deadline of a shutdown connections have to end, which they do by themselves.
const GRACE: Duration = Duration::from_millis(500);

/// What stands between its peers and a service.
pub(super) struct Relay {
    /// Of this relay alone: it counts its own connections.
    service: Arc<Service>,
    acceptor: Acceptor,
    way: Arc<Way>,
}

/// What happens to connections.
struct Way {
    spoilers: Spoilers,
    /// To the service.
    behind: Door,
}

impl Relay {
    pub(super) fn new(
        service: Arc<Service>,
        listeners: Vec<Listener>,
        spoilers: Spoilers,
        behind: Door,
    ) -> io::Result<Self> {
        let acceptor = Acceptor::new(&service, listeners)?;
        Ok(Self { service, acceptor, way: Arc::new(Way { spoilers, behind }) })
    }

    /// Relays until a shutdown has begun and every connection has ended or was cut. Who is in the
    /// backlog by then is not accepted any more.
    pub(super) fn run(mut self) -> io::Result<()> {
        while !self.acceptor.is_done() {
            for which in self.wait()? {
                if !self.acceptor.is_done() {
                    self.accept(which);
                }
            }
        }
        self.acceptor.close();
        self.finish()
    }

    fn accept(&mut self, which: usize) {
        if let Accepted::Connection(socket, seat) = self.acceptor.accept(which) {
            let way = Arc::clone(&self.way);
            let thread = thread::Builder::new().name("relay".into()).stack_size(STACK_SIZE);
            if let Err(error) = thread.spawn(move || way.serve(socket, &seat)) {
                self.acceptor.overloaded(&error);
            }
        }
    }

    /// Waits for something to do; returns which listeners have connections waiting.
    fn wait(&mut self) -> io::Result<Vec<usize>> {
        let rests = self.acceptor.rests();
        let pause = self.acceptor.pause();
        let bell = Arc::clone(self.acceptor.bell());
        let listeners = if rests { &[] } else { self.acceptor.listeners() };
        let mut fds: Vec<_> = listeners.iter().map(|it| PollFd::new(it, PollFlags::IN)).collect();
        fds.push(PollFd::new(&*self.service.shutdown, PollFlags::IN));
        fds.push(PollFd::new(&*bell, PollFlags::IN));
        wait_all(&mut fds, pause)?;
        bell.silence();
        let is_ready = |which: &usize| !fds[*which].revents().is_empty();
        Ok((0..listeners.len()).filter(is_ready).collect())
    }

    /// Waits for the connections to end, to the deadline once a shutdown has begun.
    fn finish(&self) -> io::Result<()> {
        let Self { service, acceptor, .. } = self;
        loop {
            service.admission.ring_when_freed(acceptor.bell());
            let open = service.admission.open();
            let leaves_at = service.shutdown.deadline().and_then(|it| it.checked_add(GRACE));
            if open == 0 {
                return Ok(());
            }
            if leaves_at.is_some_and(|at| Instant::now() >= at) {
                service.settle(&Summary { cut: open, ..Summary::default() });
                return Ok(());
            }
            let rung = (acceptor.bell().as_fd(), PollFlags::IN);
            if service.shutdown.has_begun() {
                wait([rung], leaves_at)?;
            } else {
                wait([rung, (service.shutdown.as_fd(), PollFlags::IN)], None)?;
            }
            acceptor.bell().silence();
        }
    }
}

impl Way {
    fn serve(&self, socket: Socket, seat: &Seat) {
        let (service, peer) = (seat.service(), seat.peer());
        let mut spoiler = (self.spoilers)();
        debug!(%peer, "relaying");
        let ending = connection::relay(socket, service, self.behind.way(), &mut *spoiler);
        debug!(%peer, ?ending, "relayed");
        if ending == Ending::Cut {
            service.settle(&Summary { cut: 1, ..Summary::default() });
        }
    }
}
