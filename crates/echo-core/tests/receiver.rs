//! The blocking drivers: the guide's patterns done right, mixed on one connection, under bad readers.

use std::{
    collections::VecDeque,
    io::{self, IoSlice, Read, Write},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use echo_core::{
    Delimited, FixedLength, FrameError, LengthDelimited, Raw, Receiver, RecvError, SendError,
    Sender, SwitchError, WithDeadline, echo, echo_frames,
};

/// A reader that gives what it is told, one entry per call, then EOF for ever.
#[derive(Default)]
struct Script(VecDeque<io::Result<&'static [u8]>>);

impl Script {
    fn bytes(pieces: &[&'static [u8]]) -> Self {
        Self(pieces.iter().map(|piece| Ok(*piece)).collect())
    }

    fn then(mut self, kind: io::ErrorKind) -> Self {
        self.0.push_back(Err(kind.into()));
        self
    }

    fn and(mut self, piece: &'static [u8]) -> Self {
        self.0.push_back(Ok(piece));
        self
    }
}

impl Read for Script {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let piece = self.0.pop_front().unwrap_or(Ok(b""))?;
        buf[..piece.len()].copy_from_slice(piece);
        Ok(piece.len())
    }
}

fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connects");
    (client, listener.accept().expect("accepts").0)
}

#[test]
fn guide_mistake_1_a_short_read_is_not_a_lost_connection() {
    let mut receiver = Receiver::new(Script::bytes(&[b"\0", b"\0\x04", b"\0rest"]), Raw);
    assert_eq!(receiver.recv_exact(4).unwrap(), b"\0\0\x04\0");
    assert_eq!(receiver.recv().unwrap(), Some(&b"rest"[..]));
}

#[test]
fn guide_mistake_2_bytes_after_the_delimiter_are_kept() {
    let mut receiver = Receiver::new(Script::bytes(&[b"one\ntwo\nthr", b"ee\n"]), Raw);
    for line in [&b"one"[..], b"two", b"three"] {
        assert_eq!(receiver.recv_until(b"\n").unwrap(), Some(line));
    }
    assert_eq!(receiver.recv_until(b"\n").unwrap(), None);
    assert_eq!(receiver.recv_until(b"\n").unwrap(), None);
}

// Guide mistake 3, rescanning from the start on every chunk, is counted beside the search itself.

#[test]
fn all_patterns_can_be_mixed_on_one_connection() {
    let wire = b"PUT 5\r\nhello\0\0\0\x02hi\0\0\0\x00line\nto the end";
    for size in 1..=wire.len() {
        let script = Script(wire.chunks(size).map(Ok).collect());
        let mut receiver = Receiver::new(script, LengthDelimited::u32());
        assert_eq!(receiver.recv_until(b"\r\n").unwrap(), Some(&b"PUT 5"[..]), "size {size}");
        assert_eq!(receiver.recv_exact(0).unwrap(), b"");
        assert_eq!(receiver.recv_exact(5).unwrap(), b"hello");
        assert_eq!(receiver.recv().unwrap(), Some(&b"hi"[..]));
        assert_eq!(receiver.recv().unwrap(), Some(&b""[..]), "an empty frame is not the end");
        let Ok(mut receiver) = receiver.switch(Delimited::lines()) else { panic!("at a boundary") };
        assert_eq!(receiver.recv().unwrap(), Some(&b"line"[..]));
        assert_eq!(receiver.recv_to_end().unwrap(), b"to the end");
        assert_eq!(receiver.recv_to_end().unwrap(), b"");
        assert_eq!(receiver.recv().unwrap(), None);
    }
}

#[test]
fn what_was_read_past_a_frame_is_handed_back() {
    let mut receiver = Receiver::new(&b"frame\nand more"[..], Delimited::lines());
    assert_eq!(receiver.recv().unwrap(), Some(&b"frame"[..]));
    assert_eq!(receiver.into_parts().2, b"and more");
}

#[test]
fn exactly_so_many_bytes_are_never_less() {
    let mut receiver = Receiver::new(&b"abc"[..], Raw);
    let error = receiver.recv_exact(4).unwrap_err().to_string();
    assert_eq!(error, "stream ended after 3 bytes of an unfinished frame of 4");
    assert_eq!(receiver.partial(), b"abc");
    assert_eq!(receiver.recv_exact(3).unwrap(), b"abc");
    let none = receiver.recv_exact(1).unwrap_err();
    let end = FrameError::Truncated { got: 0, expected: Some(1) };
    assert!(matches!(none, RecvError::Frame(error) if error == end));
}

#[test]
fn to_the_end_has_a_limit_and_what_came_stays() {
    let mut receiver = Receiver::new(&b"abcdef"[..], Raw);
    let error = receiver.recv_to_end_within(5).unwrap_err();
    assert!(matches!(error, RecvError::Frame(FrameError::TooLong { max: 5, len: None })));
    assert_eq!(receiver.recv_to_end_within(6).unwrap(), b"abcdef");
}

#[test]
fn interruptions_and_timeouts_lose_no_byte() {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    let script = Script::bytes(&[b"he"]).then(Interrupted).and(b"ll").then(WouldBlock);
    let script = script.and(b"o").then(TimedOut).and(b"\nnext\n");
    let mut receiver = Receiver::new(script, Delimited::lines());
    assert!(matches!(receiver.recv(), Err(RecvError::TimedOut)));
    assert_eq!(receiver.partial(), b"hell");
    assert!(matches!(receiver.recv(), Err(RecvError::TimedOut)));
    assert_eq!(receiver.recv().unwrap(), Some(&b"hello"[..]));
    assert_eq!(receiver.recv().unwrap(), Some(&b"next"[..]));
}

#[test]
fn buffered_frames_come_before_the_error_that_followed_them() {
    let script = Script::bytes(&[b"a\nb\nc"]).then(io::ErrorKind::ConnectionReset);
    let mut receiver = Receiver::new(script, Delimited::lines());
    assert_eq!(receiver.recv().unwrap(), Some(&b"a"[..]));
    assert_eq!(receiver.recv().unwrap(), Some(&b"b"[..]));
    assert!(
        matches!(receiver.recv(), Err(RecvError::Io(e)) if e.kind() == io::ErrorKind::ConnectionReset)
    );
    assert_eq!(receiver.partial(), b"c");
}

#[test]
fn a_reader_that_claims_too_much_is_an_error() {
    struct Liar;
    impl Read for Liar {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            Ok(buf.len() + 1)
        }
    }
    assert!(matches!(Receiver::new(Liar, Raw).recv(), Err(RecvError::Overfilled(_))));
}

#[test]
fn framing_is_not_switched_inside_a_frame_that_is_skipped() {
    let script = Script::bytes(&[b"\x05ab"]).then(io::ErrorKind::WouldBlock).and(b"cde\x01x");
    let mut receiver = Receiver::new(script, LengthDelimited::u8().max_payload(3));
    let long = FrameError::TooLong { max: 3, len: Some(5) };
    assert!(matches!(receiver.recv(), Err(RecvError::Frame(error)) if error == long));
    assert!(matches!(receiver.recv_exact(1), Err(RecvError::Switch(SwitchError))));
    let Err((mut receiver, SwitchError)) = receiver.switch(Raw) else { panic!("inside a frame") };
    assert!(matches!(receiver.recv(), Err(RecvError::TimedOut)));
    assert_eq!(receiver.partial(), b"");
    assert_eq!(receiver.recv().unwrap(), Some(&b"x"[..]));

    let mut lines = Delimited::lines().max_payload(3);
    let mut receiver = Receiver::new(&b"too long\nok\nraw"[..], Raw);
    assert!(receiver.recv_as(&mut lines).is_err());
    assert!(matches!(receiver.recv(), Err(RecvError::Switch(SwitchError))));
    assert_eq!(receiver.recv_as(&mut lines).unwrap(), Some(&b"ok"[..]));
    assert_eq!(receiver.recv().unwrap(), Some(&b"raw"[..]));
}

#[test]
fn a_blocking_sockets_read_timeout_is_reported_as_timed_out() {
    let (mut client, server) = connection();
    server.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let mut receiver = Receiver::new(&server, FixedLength::new(2).unwrap());
    assert!(matches!(receiver.recv(), Err(RecvError::TimedOut)));
    client.write_all(b"ok").unwrap();
    server.set_read_timeout(None).unwrap();
    assert_eq!(receiver.recv().unwrap(), Some(&b"ok"[..]));
}

#[test]
fn a_peer_that_drips_cannot_extend_a_deadline() {
    let (mut client, server) = connection();
    let drip = std::thread::spawn(move || {
        // Ends when the receiver's side is closed, at the latest after two seconds.
        for _ in 0..400 {
            if client.write_all(b"x").is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let mut receiver = Receiver::new(WithDeadline::new(server), Delimited::lines());
    let start = Instant::now();
    receiver.get_mut().set_deadline(Some(start + Duration::from_millis(60)));
    assert!(matches!(receiver.recv(), Err(RecvError::TimedOut)));
    assert!(start.elapsed() >= Duration::from_millis(60));
    assert!(!receiver.partial().is_empty(), "what has dripped in is kept");
    drop(receiver);
    drip.join().unwrap();
}

#[test]
fn a_buffered_frame_comes_after_its_deadline_and_a_lifted_deadline_waits() {
    let (mut client, server) = connection();
    let mut receiver = Receiver::new(WithDeadline::new(server), Delimited::lines());
    client.write_all(b"one\ntwo\n").unwrap();
    receiver.get_mut().set_deadline(Some(Instant::now() + Duration::from_secs(60)));
    assert_eq!(receiver.recv().unwrap(), Some(&b"one"[..]));
    receiver.get_mut().set_deadline(Some(Instant::now()));
    assert_eq!(receiver.recv().unwrap(), Some(&b"two"[..]));
    assert!(matches!(receiver.recv(), Err(RecvError::TimedOut)));
    receiver.get_mut().set_deadline(None);
    client.write_all(b"three\n").unwrap();
    assert_eq!(receiver.recv().unwrap(), Some(&b"three"[..]));
    assert_eq!(receiver.get_ref().get_ref().read_timeout().unwrap(), None);
}

/// A writer that takes a few bytes at a time, and gives up whenever its patience is used up.
struct Slow {
    wire: Vec<u8>,
    writes: usize,
    patience: usize,
}

impl Write for Slow {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.patience == 0 {
            self.patience = 2;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.patience -= 1;
        let n = buf.len().min(3);
        self.wire.extend_from_slice(&buf[..n]);
        Ok(n)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.writes += 1;
        let first =
            bufs.iter().find(|buf| !buf.is_empty()).expect("nothing is written for nothing");
        self.write(first)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_frame_cut_in_two_by_a_timeout_is_finished_before_the_next() {
    let slow = Slow { wire: Vec::new(), writes: 0, patience: 0 };
    let mut sender = Sender::new(slow, LengthDelimited::u32());
    assert!(matches!(sender.send(b"first"), Err(SendError::TimedOut { taken: false })));
    assert!(matches!(sender.send(b"second frame"), Err(SendError::TimedOut { taken: true })));
    assert!(sender.has_unsent());
    let mut timeouts = 0;
    while sender.flush().is_err() {
        timeouts += 1;
    }
    assert_eq!((timeouts, sender.has_unsent()), (1, false));
    assert_eq!(sender.into_parts().0.wire, b"\0\0\0\x0csecond frame");
}

#[test]
fn a_frame_is_one_vectored_write() {
    struct Counter(usize, Vec<u8>);
    impl Write for Counter {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            unreachable!("frames are written vectored")
        }
        fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
            self.0 += 1;
            self.1.write_vectored(bufs)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut sender = Sender::new(Counter(0, Vec::new()), echo_core::Netstring::new());
    sender.send(b"hello").unwrap();
    sender.send(b"").unwrap();
    let Counter(writes, wire) = sender.into_parts().0;
    assert_eq!((writes, &wire[..]), (2, &b"5:hello,0:,"[..]));
}

#[test]
fn the_echo_loop_sends_everything_back_and_ends_with_the_peer() {
    let (client, server) = connection();
    let serving = std::thread::spawn(move || {
        let echoed = echo(&server).unwrap();
        server.shutdown(std::net::Shutdown::Write).unwrap();
        echoed.bytes
    });
    let sent: Vec<u8> = (0..300_000_u32).map(|i| i.to_le_bytes()[i as usize % 3]).collect();
    let (mut writer, expected) = (client.try_clone().unwrap(), sent.clone());
    let writing = std::thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let mut receiver = Receiver::new(&client, Raw);
    assert!(receiver.recv_to_end().unwrap() == expected);
    writing.join().unwrap();
    assert_eq!(serving.join().unwrap(), expected.len() as u64);
}

#[test]
fn the_framed_echo_releases_whole_frames_only() {
    let mut wire = Vec::new();
    let mut receiver = Receiver::new(&b"one\ntwo\r\npart"[..], Delimited::lines());
    let result = echo_frames(&mut receiver, &mut Sender::new(&mut wire, Delimited::lines()));
    assert!(result.unwrap_err().to_string().contains("unfinished frame"));
    assert_eq!(wire, b"one\ntwo\n");
}
