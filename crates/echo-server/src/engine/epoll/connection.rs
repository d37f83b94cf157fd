//! One connection's turn: what is there is received and sent back at once, until nothing more can be
//! moved or it is the others' turn.
//!
//! ```text
//!            read            released             write
//! socket ──────────▶ hot ──────────────────────────────────▶ socket
//!                     │ what is left: not taken by the peer, or a frame that is not whole
//!                     ▼
//!                    kept  (memory of the connection's own, only while there is something in it)
//! ```
//!
//! Readiness is told once, when it begins (edge-triggered), so it is remembered here until a call
//! shows that it is over. No sockets, no clock and no poll in here: a simulation drives it, too.

use std::{io, net::Shutdown as Half, time::Duration};

use echo_core::{Buffer, ECHO_READ_SIZE, Intake};
use socket2::Socket;

use crate::session::Session;

/// How many bytes a connection may receive before it is the others' turn.
const TURN_BUDGET: usize = 2 * ECHO_READ_SIZE;

/// What a read takes of the budget at least, so that many small reads end a turn, too.
const READ_COST: usize = 1 << 10;

/// The memory that a connection may have beyond what it keeps in it.
const KEPT_SIZE: usize = 4 << 10;

/// What a turn needs of a non-blocking socket.
pub(crate) trait Stream {
    /// Receives what is there; 0 is the peer's FIN.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize>;

    /// Sends what can be sent now, at least one byte.
    fn write(&mut self, from: &[u8]) -> io::Result<usize>;

    /// Sends FIN.
    fn shut_down_write(&mut self) -> io::Result<()>;
}

/// One connection, without its socket.
#[derive(Debug)]
pub(crate) struct Connection {
    session: Session,
    /// What was received and not sent: first what is released, then what is held. Never empty, and
    /// a box since most connections have none.
    kept: Option<Box<Buffer>>,
    readable: bool,
    writable: bool,
    /// A short read does not mean that nothing more is there.
    short_reads_deceive: bool,
}

/// What an event says of a socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// There is something to be read behind what a read returns: FIN, or the place where urgent data
    /// was, at which every read stops short. It is not told again.
    pub(crate) behind: bool,
}

/// How a turn has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing can be moved until the socket is ready again.
    Waits,
    /// There is more to do: another turn, after the others'.
    Unfinished,
    /// The connection has ended. Close the socket, then [`settle`](Connection::settle).
    Ended,
}

impl Ready {
    /// Whatever it is, try.
    pub(crate) const MAYBE: Self = Self { readable: true, writable: true, behind: false };
}

impl Connection {
    pub(crate) fn new(session: Session) -> Self {
        let (readable, writable) = (false, true);
        Self { session, kept: None, readable, writable, short_reads_deceive: false }
    }

    /// Takes note of an event. The next turn acts on it.
    #[inline]
    pub(crate) fn ready(&mut self, ready: Ready) {
        self.readable |= ready.readable || ready.behind;
        self.writable |= ready.writable;
        self.short_reads_deceive |= ready.behind;
    }

    /// Moves what can be moved. `hot` is memory to receive into; what it holds afterwards is of no
    /// use. An error is the connection's failure, and its end.
    pub(crate) fn turn(
        &mut self,
        stream: &mut impl Stream,
        hot: &mut [u8],
        now: Duration,
    ) -> io::Result<Turn> {
        let mut budget = TURN_BUDGET;
        loop {
            if self.writable && self.kept.is_some() {
                self.flush(stream, now)?;
            }
            if self.session.echo.owes_fin() {
                stream.shut_down_write()?;
                self.session.echo.fin_sent(now);
            }
            if self.session.echo.end().is_some() {
                return Ok(Turn::Ended);
            }
            let most = self.reads();
            let interrupted = self.writable && self.session.echo.unsent() > 0;
            match most {
                None if !interrupted => break,
                Some(most) if budget > 0 => {
                    let room = most.min(hot.len());
                    let received = self.read(stream, &mut hot[..room], now)?;
                    budget = budget.saturating_sub(received.max(READ_COST));
                }
                _ => return Ok(Turn::Unfinished),
            }
        }
        if let Some(kept) = &mut self.kept {
            kept.shrink(); // the wait may be long
        }
        Ok(Turn::Waits)
    }

    /// A turn, and then what is due at `now`: a peer is not late when we are, so what has arrived is
    /// taken in before.
    pub(crate) fn tick(
        &mut self,
        stream: &mut impl Stream,
        hot: &mut [u8],
        now: Duration,
    ) -> io::Result<Turn> {
        self.ready(Ready::MAYBE);
        self.turn(stream, hot, now)?;
        self.session.echo.tick(now);
        self.turn(stream, hot, now)
    }

    /// The service ends.
    pub(crate) fn drain(&mut self, now: Duration) {
        self.session.echo.drain(now);
    }

    /// When to [`tick`](Self::tick) at the latest.
    pub(crate) fn wake_at(&self) -> Option<Duration> {
        self.session.echo.wake_at()
    }

    /// True while [`wake_at`](Self::wake_at) only moves away.
    #[inline]
    pub(crate) fn is_steady(&self) -> bool {
        self.session.echo.is_steady()
    }

    /// True when it waits to be told that it can write.
    #[inline]
    pub(crate) fn awaits_writable(&self) -> bool {
        !self.writable && self.session.echo.unsent() > 0
    }

    /// Tells how it ended; the socket is to be closed before.
    pub(crate) fn settle(self, failure: Option<&io::Error>, now: Duration) {
        self.session.settle(failure, now);
    }

    /// How much to read now, if anything: to discard, or to echo when all before is sent.
    #[inline]
    fn reads(&self) -> Option<usize> {
        match self.session.echo.intake() {
            _ if !self.readable => None,
            Intake::Discard => Some(usize::MAX),
            Intake::Echo(most) => Some(most).filter(|_| self.session.echo.unsent() == 0),
            Intake::Pause | Intake::Done => None,
        }
    }

    /// Receives once into `space`, and sends what that releases; returns how much came in.
    fn read(
        &mut self,
        stream: &mut impl Stream,
        space: &mut [u8],
        now: Duration,
    ) -> io::Result<usize> {
        let n = match stream.read(space) {
            Ok(n) => n,
            Err(error) => {
                // Interrupted, it is tried again, as far as the budget goes.
                self.readable = error.kind() == io::ErrorKind::Interrupted;
                return if is_temporary(&error) { Ok(0) } else { Err(error) };
            }
        };
        self.readable = n > 0 && (n == space.len() || self.short_reads_deceive);
        let new = &space[..n];
        let discards = self.session.echo.intake() == Intake::Discard;
        if let Some(kept) = self.kept.as_mut().filter(|_| !discards) {
            // The front of a frame is kept, nothing is unsent: `kept` is what is held.
            kept.push(new);
            self.session.received(kept.pending(), n, now);
            self.forget(0);
        } else {
            let released = self.session.received(new, n, now);
            let sent = self.write(stream, &new[..released], now)?;
            if sent < n && !discards {
                let kept = self.kept.get_or_insert_with(|| Box::new(Buffer::new(KEPT_SIZE)));
                kept.push(&new[sent..]);
                self.forget(0);
            }
        }
        Ok(n)
    }

    /// Sends of what is kept what is released.
    fn flush(&mut self, stream: &mut impl Stream, now: Duration) -> io::Result<()> {
        let Some(kept) = self.kept.take() else { return Ok(()) };
        let unsent = self.session.unsent();
        let sent = self.write(stream, &kept.pending()[..unsent], now)?;
        self.kept = Some(kept);
        self.forget(sent);
        Ok(())
    }

    /// Sends some of `released`; returns how much.
    fn write(
        &mut self,
        stream: &mut impl Stream,
        released: &[u8],
        now: Duration,
    ) -> io::Result<usize> {
        if released.is_empty() {
            return Ok(0);
        }
        let sent = match stream.write(released) {
            Ok(sent) => sent,
            Err(error) if is_temporary(&error) => {
                self.writable = error.kind() == io::ErrorKind::Interrupted;
                return Ok(0);
            }
            Err(error) => return Err(error),
        };
        // It takes less than all when it has no room for more. None at all is as good as that.
        self.writable = sent == released.len();
        if sent > 0 {
            self.session.sent(sent, now);
        }
        Ok(sent)
    }

    /// Drops the first `sent` bytes of what is kept, and what is held when it is of no use any more.
    /// Memory is given back with the last byte.
    fn forget(&mut self, sent: usize) {
        let Some(kept) = &mut self.kept else { return };
        kept.discard(sent);
        if matches!(self.session.echo.intake(), Intake::Discard | Intake::Done) {
            kept.truncate(self.session.unsent());
        }
        if kept.pending().is_empty() {
            self.kept = None;
        }
    }
}

impl Stream for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        io::Read::read(self, into)
    }

    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        io::Write::write(self, from)
    }

    fn shut_down_write(&mut self) -> io::Result<()> {
        self.shutdown(Half::Write)
    }
}

/// Would wait, or was interrupted: no failure of the connection.
fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
