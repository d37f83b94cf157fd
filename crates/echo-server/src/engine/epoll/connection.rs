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

use echo_core::{Buffer, Intake};
use socket2::Socket;

use crate::session::Session;

/// How many whole reads a connection may take before it is the others' turn: more than the 128 KiB that
/// Linux keeps for a socket at first. When a turn leaves some of that, the peer finds the window closed.
const TURN_READS: usize = 4;

/// How many it may take when they are short, or were interrupted.
const TURN_SHORT_READS: usize = 256;

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
        // A read of a Unix socket ends behind bytes that came with a descriptor.
        let short_reads_deceive = session.is_local();
        Self { session, kept: None, readable, writable, short_reads_deceive }
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
        let (mut bytes, mut reads) = (TURN_READS * hot.len(), TURN_SHORT_READS);
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
            if most.is_none() && !interrupted {
                break;
            }
            if bytes == 0 || reads == 0 {
                return Ok(Turn::Unfinished);
            }
            // A write that was interrupted is tried again before the time is judged, as a read is.
            let received = match most {
                Some(most) => {
                    let room = most.min(hot.len());
                    self.read(stream, &mut hot[..room], now)?
                }
                None => 0,
            };
            bytes = bytes.saturating_sub(received);
            reads -= 1;
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
        self.forget(0); // the front of a frame is of no use when the input has ended
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

    #[cfg(test)]
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Bytes in memory of its own.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.kept.as_ref().map_or(0, |kept| kept.pending().len())
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
                // Interrupted, it is tried again, as often as a turn allows.
                self.readable = error.kind() == io::ErrorKind::Interrupted;
                return if is_temporary(&error) { Ok(0) } else { Err(error) };
            }
        };
        self.readable = n > 0 && (n == space.len() || self.short_reads_deceive);
        let new = &space[..n];
        let discards = self.session.echo.intake() == Intake::Discard;
        if let Some(kept) = self.kept.as_mut().filter(|_| !discards) {
            // The front of a frame is kept, nothing is unsent: `kept` is what is held.
            kept.push(new, self.session.max_held());
            self.session.received(kept.pending(), n, now);
            self.forget(0);
        } else {
            let released = self.session.received(new, n, now);
            let sent = self.write(stream, &new[..released], now)?;
            if sent < n && !discards {
                let kept = self.kept.get_or_insert_with(|| Box::new(Buffer::new(KEPT_SIZE)));
                kept.push(&new[sent..], self.session.max_held());
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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use echo_core::{ECHO_READ_SIZE, End};

    use super::*;
    use crate::{admission::Slot, peer::Peer, service::Service};

    const TURN: usize = TURN_READS * ECHO_READ_SIZE;
    const SECOND: Duration = Duration::from_secs(1);
    const DATA: Ready = Ready { readable: true, writable: false, behind: false };
    const ROOM: Ready = Ready { readable: false, writable: true, behind: false };
    const FIN: Ready = Ready { readable: true, writable: false, behind: true };

    /// A socket that does as it is told, and then would wait; writes take everything by default.
    #[derive(Default)]
    struct Script {
        reads: VecDeque<io::Result<Vec<u8>>>,
        writes: VecDeque<io::Result<usize>>,
        written: Vec<u8>,
        fin: bool,
        calls: usize,
    }

    impl Stream for Script {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.calls += 1;
            let mut data = self.reads.pop_front().ok_or(io::ErrorKind::WouldBlock)??;
            let n = data.len().min(into.len());
            into[..n].copy_from_slice(&data[..n]);
            data.drain(..n);
            if !data.is_empty() {
                self.reads.push_front(Ok(data));
            }
            Ok(n)
        }

        fn write(&mut self, from: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            let n = self.writes.pop_front().unwrap_or(Ok(usize::MAX))?.min(from.len());
            self.written.extend_from_slice(&from[..n]);
            Ok(n)
        }

        fn shut_down_write(&mut self) -> io::Result<()> {
            self.fin = true;
            Ok(())
        }
    }

    /// A connection, its socket, and the memory it receives into.
    struct Rig {
        connection: Connection,
        stream: Script,
        hot: Vec<u8>,
    }

    impl Rig {
        fn new(args: &[&str]) -> Self {
            let slot = Slot::reserve(&Service::asked_for(args)).unwrap();
            let peer = Peer::Inet("192.0.2.1:1".parse().unwrap());
            let connection =
                Connection::new(Session::new(slot.claim(peer).unwrap(), Duration::ZERO));
            Self { connection, stream: Script::default(), hot: vec![0; ECHO_READ_SIZE] }
        }

        fn comes(&mut self, data: &[u8]) {
            self.stream.reads.push_back(Ok(data.to_vec()));
        }

        fn turn(&mut self, ready: Ready) -> io::Result<Turn> {
            self.connection.ready(ready);
            self.connection.turn(&mut self.stream, &mut self.hot, SECOND)
        }

        fn kept(&self) -> &[u8] {
            self.connection.kept.as_ref().map_or(&[], |kept| kept.pending())
        }
    }

    fn error(kind: io::ErrorKind) -> io::Error {
        kind.into()
    }

    #[test]
    fn a_message_takes_one_read_and_one_write_and_no_memory() {
        let mut rig = Rig::new(&[]);
        for message in 1..=3 {
            rig.comes(b"ping");
            assert_eq!(rig.turn(DATA).unwrap(), Turn::Waits);
            assert_eq!((rig.stream.written.len(), rig.stream.calls), (4 * message, 2 * message));
        }
        assert!(rig.connection.kept.is_none() && rig.connection.is_steady());
    }

    #[test]
    fn what_the_peer_does_not_take_is_kept_until_it_does_and_nothing_is_read_meanwhile() {
        let mut rig = Rig::new(&[]);
        rig.comes(b"hello");
        rig.comes(b"world");
        rig.stream.writes.extend([Ok(2), Err(error(io::ErrorKind::WouldBlock))]);
        assert_eq!(rig.turn(FIN).unwrap(), Turn::Waits);
        assert_eq!((&*rig.stream.written, rig.kept()), (&b"he"[..], &b"llo"[..]));
        assert!(rig.connection.awaits_writable() && !rig.connection.is_steady());
        assert_eq!(rig.turn(ROOM).unwrap(), Turn::Waits, "it was told too early");
        assert_eq!(rig.turn(DATA).unwrap(), Turn::Waits);
        assert_eq!((rig.kept(), rig.stream.calls), (&b"llo"[..], 3));
        assert_eq!(rig.turn(ROOM).unwrap(), Turn::Waits);
        assert_eq!(rig.stream.written, b"helloworld");
        assert!(rig.connection.kept.is_none());
    }

    #[test]
    fn a_fin_told_with_the_data_before_it_is_found_in_the_same_turn() {
        let mut rig = Rig::new(&[]);
        rig.comes(b"bye");
        rig.comes(b"");
        assert_eq!(rig.turn(FIN).unwrap(), Turn::Ended);
        assert_eq!((&*rig.stream.written, rig.stream.fin), (&b"bye"[..], true));
        assert_eq!(rig.connection.session.echo.end(), Some(End::InOrder));
    }

    #[test]
    fn a_fin_waits_for_everything_before_it_to_be_sent() {
        let mut rig = Rig::new(&[]);
        rig.comes(b"bye");
        rig.comes(b"");
        rig.stream.writes.push_back(Ok(1));
        assert_eq!(rig.turn(FIN).unwrap(), Turn::Waits);
        assert!(!rig.stream.fin);
        assert_eq!(rig.turn(ROOM).unwrap(), Turn::Ended);
        assert_eq!((&*rig.stream.written, rig.stream.fin), (&b"bye"[..], true));
    }

    #[test]
    fn only_whole_frames_are_sent_and_the_rest_is_kept_no_longer_than_needed() {
        let mut rig = Rig::new(&["--framing", "line"]);
        for (data, written, kept) in [
            (&b"one\ntw"[..], &b"one\n"[..], &b"tw"[..]),
            (b"o", b"one\n", b"two"),
            (b"\nthr", b"one\ntwo\n", b"thr"),
            (b"ee\n", b"one\ntwo\nthree\n", b""),
        ] {
            rig.comes(data);
            assert_eq!(rig.turn(DATA).unwrap(), Turn::Waits);
            assert_eq!((&*rig.stream.written, rig.kept()), (written, kept));
        }
        assert!(rig.connection.kept.is_none());
        rig.comes(b"cut");
        rig.comes(b"");
        assert_eq!(rig.turn(FIN).unwrap(), Turn::Ended, "what is cut off is not sent");
        assert_eq!(rig.stream.written, b"one\ntwo\nthree\n");
    }

    #[test]
    fn behind_a_bad_frame_all_is_discarded_while_the_good_ones_wait_to_be_sent() {
        let mut rig = Rig::new(&["--framing", "line", "--max-frame", "4"]);
        rig.comes(b"good\nfar too long\n");
        rig.comes(b"more\n");
        rig.stream.writes.push_back(Ok(1));
        assert_eq!(rig.turn(FIN).unwrap(), Turn::Waits);
        assert_eq!(rig.kept(), b"ood\n");
        assert_eq!(rig.connection.session.echo.bytes_discarded(), 5);
        assert_eq!(rig.turn(ROOM).unwrap(), Turn::Waits);
        assert_eq!((&*rig.stream.written, rig.stream.fin), (&b"good\n"[..], true));
        rig.comes(b"");
        assert_eq!(rig.turn(DATA).unwrap(), Turn::Ended);
    }

    #[test]
    fn a_firehose_ends_its_turn_and_goes_on_in_the_next_without_an_event() {
        let mut rig = Rig::new(&[]);
        rig.comes(&vec![7; 2 * TURN + 1]);
        assert_eq!(rig.turn(DATA).unwrap(), Turn::Unfinished);
        assert_eq!(rig.stream.written.len(), TURN);
        assert_eq!(rig.turn(Ready::default()).unwrap(), Turn::Unfinished);
        assert_eq!(rig.turn(Ready::default()).unwrap(), Turn::Waits);
        assert_eq!(rig.stream.written.len(), 2 * TURN + 1);
    }

    #[test]
    fn many_small_reads_end_a_turn_too() {
        let mut rig = Rig::new(&[]);
        (0..1000).for_each(|_| rig.comes(b"x"));
        assert_eq!(rig.turn(FIN).unwrap(), Turn::Unfinished);
        assert_eq!(rig.stream.written.len(), TURN_SHORT_READS);
    }

    #[test]
    fn a_write_that_was_interrupted_is_made_again_before_the_time_is_judged() {
        let mut rig = Rig::new(&["--stall-timeout", "1s"]);
        rig.comes(b"taken");
        rig.stream.writes.push_back(Err(error(io::ErrorKind::WouldBlock)));
        assert_eq!(rig.turn(DATA).unwrap(), Turn::Waits);
        rig.stream.writes.push_back(Err(error(io::ErrorKind::Interrupted)));
        let Rig { connection, stream, hot } = &mut rig;
        assert_eq!(connection.tick(stream, hot, 3 * SECOND).unwrap(), Turn::Waits);
        assert_eq!(stream.written, b"taken");
    }

    #[test]
    fn interrupted_calls_are_made_again_without_an_event_but_not_for_ever() {
        let mut rig = Rig::new(&[]);
        rig.stream.reads.push_back(Err(error(io::ErrorKind::Interrupted)));
        rig.comes(b"hello");
        rig.stream.writes.push_back(Err(error(io::ErrorKind::Interrupted)));
        let mut turns = 1;
        while rig.turn(if turns == 1 { DATA } else { Ready::default() }).unwrap() != Turn::Waits {
            turns += 1;
            assert!(turns < 4, "it gets on");
        }
        assert_eq!(rig.stream.written, b"hello");
        rig.stream.reads.extend((0..1000).map(|_| Err(error(io::ErrorKind::Interrupted))));
        assert_eq!(rig.turn(DATA).unwrap(), Turn::Unfinished);
    }

    #[test]
    fn a_write_of_nothing_waits_for_room() {
        let mut rig = Rig::new(&[]);
        rig.comes(b"hello");
        rig.stream.writes.push_back(Ok(0));
        assert_eq!(rig.turn(DATA).unwrap(), Turn::Waits);
        assert!(rig.connection.awaits_writable());
        assert_eq!(rig.turn(ROOM).unwrap(), Turn::Waits);
        assert_eq!(rig.stream.written, b"hello");
    }

    #[test]
    fn a_reset_is_a_failure_whichever_call_shows_it() {
        let mut rig = Rig::new(&[]);
        rig.stream.reads.push_back(Err(error(io::ErrorKind::ConnectionReset)));
        assert!(rig.turn(DATA).is_err());
        let mut rig = Rig::new(&[]);
        rig.comes(b"hello");
        rig.stream.writes.extend([Ok(1), Err(error(io::ErrorKind::BrokenPipe))]);
        assert_eq!(rig.turn(DATA).unwrap(), Turn::Waits);
        assert!(rig.turn(ROOM).is_err());
    }

    #[test]
    fn what_has_arrived_is_taken_in_before_a_peer_is_called_idle() {
        let mut rig = Rig::new(&["--idle-timeout", "10s", "--drain-timeout", "2s"]);
        let Rig { connection, stream, hot } = &mut rig;
        assert_eq!(connection.wake_at(), Some(SECOND * 10));
        stream.reads.push_back(Ok(b"late".to_vec()));
        assert_eq!(connection.tick(stream, hot, SECOND * 10).unwrap(), Turn::Waits);
        assert_eq!((&*stream.written, connection.wake_at()), (&b"late"[..], Some(SECOND * 20)));
        assert_eq!(connection.tick(stream, hot, SECOND * 20).unwrap(), Turn::Waits);
        assert!(stream.fin);
        assert_eq!(connection.tick(stream, hot, SECOND * 22).unwrap(), Turn::Ended);
        assert_eq!(connection.session.echo.end(), Some(End::Cut));
    }
}
