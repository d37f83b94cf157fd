//! One connection on a thread of its own: moves bytes, and asks the echo connection what to do next.
//!
//! It waits in `poll` for the socket and the shutdown at once, so neither an idle peer nor one that
//! does not read keeps it from hearing that the service ends.

use std::{
    io::{self, Read, Write},
    net::Shutdown as Half,
    os::fd::AsFd,
    sync::Arc,
    time::{Duration, Instant},
};

use echo_core::{Buffer, ECHO_READ_SIZE, Intake};
use rustix::event::PollFlags;
use socket2::Socket;

use crate::{service::Service, session::Session, wait::wait};

/// The room for reads until one fills it: most connections are idle, or send small messages.
const SMALL_READ: usize = 4 << 10;

/// Echoes on one connection until it ends.
pub(crate) fn serve(socket: Socket, session: Session) {
    let service = Arc::clone(session.service());
    let buffer = Buffer::new(SMALL_READ);
    let mut connection = Connection { socket, session, service, buffer, is_small: true };
    let failure = connection.run().err();
    let Connection { socket, session, service, .. } = connection;
    drop(socket); // before the slot: who waits for that may need the descriptor
    session.settle(failure.as_ref(), service.now());
}

struct Connection {
    socket: Socket,
    session: Session,
    service: Arc<Service>,
    /// What was received and not sent: first what is released, then what is held.
    buffer: Buffer,
    /// No read has filled it yet.
    is_small: bool,
}

impl Connection {
    /// Until the connection has ended; an error is its failure.
    fn run(&mut self) -> io::Result<()> {
        let mut readable = false;
        loop {
            let now = self.service.now();
            let told = self.service.shutdown.has_begun();
            if told {
                self.session.echo.drain(now);
            }
            // Before the time is judged: what is there to be read, or can be written, is in time.
            if readable && self.reads() {
                // A read that fills its space likely leaves more, which needs no waiting for.
                readable = self.read(now)?;
            }
            let stuck = self.session.echo.unsent() > 0 && !self.write(now)?;
            let is_over = self.service.shutdown.deadline().is_some_and(|at| at <= Instant::now());
            let echo = &mut self.session.echo;
            // Who was let in late has as long as all others.
            echo.tick(if is_over { Duration::MAX } else { now });
            if echo.end().is_some() {
                return Ok(());
            }
            if echo.owes_fin() {
                self.socket.shutdown(Half::Write)?;
                echo.fin_sent(now);
                continue;
            }
            let goes_on = echo.unsent() > 0 && !stuck || readable && self.reads();
            if !goes_on {
                self.buffer.shrink();
                readable = self.wait(told)?;
            }
        }
    }

    /// Whether to read: to discard, or to echo when everything before is sent. One thing at a time.
    fn reads(&self) -> bool {
        match self.session.echo.intake() {
            Intake::Discard => true,
            Intake::Echo(_) => self.session.echo.unsent() == 0,
            Intake::Pause | Intake::Done => false,
        }
    }

    /// Sends some of what is released; false when the peer takes nothing now.
    fn write(&mut self, now: Duration) -> io::Result<bool> {
        let released = &self.buffer.pending()[..self.session.unsent()];
        let Some(n) = unless_it_would_wait((&self.socket).write(released))? else {
            return Ok(false);
        };
        if n == 0 {
            return Err(io::ErrorKind::WriteZero.into()); // or it would be tried for ever
        }
        self.buffer.discard(n);
        self.session.sent(n, now);
        Ok(true)
    }

    /// Receives once; true when more is likely to be there.
    fn read(&mut self, now: Duration) -> io::Result<bool> {
        // What is discarded needs room beside what is not sent yet.
        let unsent = self.session.unsent();
        let most = match self.session.echo.intake() {
            Intake::Echo(n) => n,
            _ => ECHO_READ_SIZE,
        };
        let bound = self.session.max_held().map(|held| held.saturating_add(unsent));
        let space = self.buffer.space(bound);
        let room = space.len().min(most);
        let space = &mut space[..room];
        let Some(n) = unless_it_would_wait((&self.socket).read(space))? else { return Ok(false) };
        self.buffer.filled(n).map_err(io::Error::other)?;
        self.session.received(&self.buffer.pending()[unsent..], n, now);
        if self.session.echo.intake() == Intake::Discard {
            self.buffer.truncate(self.session.unsent());
        }
        if n == room && self.is_small {
            let mut buffer = Buffer::new(ECHO_READ_SIZE);
            buffer.push(self.buffer.pending(), bound);
            (self.buffer, self.is_small) = (buffer, false);
        }
        Ok(n == room)
    }

    /// Waits for the socket, the shutdown, or the time for something; true when it can be read.
    ///
    /// A shutdown that the echo connection has not been `told` of ends the wait, so that it is.
    fn wait(&self, told: bool) -> io::Result<bool> {
        let reads = self.reads();
        let echo = &self.session.echo;
        let mut events = PollFlags::empty();
        events.set(PollFlags::IN, reads);
        events.set(PollFlags::OUT, echo.unsent() > 0);
        let wake_at = echo.wake_at().and_then(|at| self.service.instant(at));
        let wake_at = wake_at.into_iter().chain(self.service.shutdown.deadline()).min();
        let socket = (self.socket.as_fd(), events);
        let [ready] = if told {
            wait([socket], wake_at)?
        } else {
            let [ready, _] =
                wait([socket, (self.service.shutdown.as_fd(), PollFlags::IN)], wake_at)?;
            [ready]
        };
        Ok(reads && ready)
    }
}

/// `None` when the call would have to wait, or was interrupted: either way, wait and try again.
fn unless_it_would_wait(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(n) => Ok(Some(n)),
        Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(e) => Err(e),
    }
}
