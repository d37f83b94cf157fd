//! Guarantees 9, 13 and 14: nothing that goes wrong loses a byte, and all requests can be mixed.

use std::{
    io::{self, ErrorKind, Read},
    pin::Pin,
    task::{Context, Poll},
};

use echo_core::{
    DEFAULT_MAX_DELIMITED, Decoded, Decoder, Deframer, Delimited, FrameError, Framing,
    LengthDelimited, Malformed, Polled, Raw, Receiver, RecvError, Span, SwitchError,
    tokio as on_tokio,
};
use tokio::io::{AsyncRead, ReadBuf};

use crate::support::{Driver, Reads, Receiving, Step, on_every_driver, reads};

fn interruptions_are_retried_and_pauses_lose_no_byte<R: Driver>() {
    let script = reads(&[b"he"]).then(Step::Interrupted).bytes(b"ll").then(Step::Pause).bytes(b"o");
    let script = script.then(Step::Pause).bytes(b"\nnext\n");
    let mut receiver = R::Receiver::new(script, Delimited::lines());
    assert!(matches!(receiver.recv(), Err(RecvError::TimedOut)));
    assert_eq!(receiver.partial(), b"hell");
    assert!(matches!(receiver.recv(), Err(RecvError::TimedOut)));
    assert_eq!(receiver.recv().unwrap().as_deref(), Some(&b"hello"[..]));
    assert_eq!(receiver.recv().unwrap().as_deref(), Some(&b"next"[..]));
    assert_eq!(receiver.recv().unwrap(), None);
}

fn a_reader_that_says_timed_out_is_asked_again<R: Driver>() {
    let script = reads(&[b"he"]).then(Step::Fail(ErrorKind::TimedOut)).bytes(b"llo\n");
    let mut receiver = R::Receiver::new(script, Delimited::lines());
    assert!(matches!(receiver.recv(), Err(RecvError::TimedOut)));
    assert_eq!(receiver.recv().unwrap().as_deref(), Some(&b"hello"[..]));
}

fn every_request_goes_on_after_a_pause<R: Driver>() {
    let script = reads(&[b"li"]).then(Step::Pause).bytes(b"ne\nex").then(Step::Pause);
    let script =
        script.bytes(b"actas").then(Step::Pause).bytes(b";en").then(Step::Pause).bytes(b"d");
    let mut receiver = R::Receiver::new(script, Raw);
    let mut until = Delimited::by(b";").unwrap();
    assert!(receiver.recv_until(b"\n").is_err());
    assert_eq!(receiver.recv_until(b"\n").unwrap().as_deref(), Some(&b"line"[..]));
    assert!(receiver.recv_exact(5).is_err());
    assert_eq!(receiver.recv_exact(5).unwrap(), b"exact");
    assert!(receiver.recv_as(&mut until).is_err());
    assert_eq!(receiver.recv_as(&mut until).unwrap().as_deref(), Some(&b"as"[..]));
    assert!(receiver.recv_to_end_within(9).is_err());
    assert_eq!(receiver.recv_to_end_within(9).unwrap(), b"end");
}

fn buffered_frames_come_before_the_error_that_followed_them<R: Driver>() {
    let script = reads(&[b"a\nb\nc"]).then(Step::Fail(ErrorKind::ConnectionReset));
    let mut receiver = R::Receiver::new(script, Delimited::lines());
    assert_eq!(receiver.recv().unwrap().as_deref(), Some(&b"a"[..]));
    assert_eq!(receiver.recv().unwrap().as_deref(), Some(&b"b"[..]));
    let reset = |e: &io::Error| e.kind() == ErrorKind::ConnectionReset;
    assert!(matches!(receiver.recv(), Err(RecvError::Io(e)) if reset(&e)));
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
    impl AsyncRead for Liar {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            // The one way to claim more: with a buffer of one's own.
            let len = buf.capacity() + 1;
            *buf = ReadBuf::new(Box::leak(vec![0; len].into_boxed_slice()));
            buf.set_filled(len);
            Poll::Ready(Ok(()))
        }
    }
    assert!(matches!(Receiver::new(Liar, Raw).recv(), Err(RecvError::Overfilled(_))));
    let mut receiver = on_tokio::Receiver::new(Liar, Raw);
    let received = tokio_test_block_on(receiver.recv());
    assert!(matches!(received, Err(RecvError::Overfilled(_))));
}

#[test]
fn a_decoder_that_answers_outside_its_bytes_is_an_error() {
    struct Defective(Decoded);
    impl Decoder for Defective {
        fn decode(&mut self, _: &[u8]) -> Result<Decoded, FrameError> {
            Ok(self.0.clone())
        }
    }
    let spans = [(0, 4, 1), (0, 1, 4), (usize::MAX, 0, 1), (2, 1, 3)];
    let spans =
        spans.map(|(start, end, consumed)| Decoded::Frame(Span { payload: start..end, consumed }));
    for answer in spans.into_iter().chain([Decoded::Discard(0), Decoded::Discard(4)]) {
        let mut deframer = Deframer::new(Defective(answer.clone()));
        deframer.push(b"ab");
        deframer.push(b"c");
        let error = FrameError::Malformed(Malformed::DecoderSpan);
        assert_eq!(deframer.poll(), Err(error), "{answer:?}");
    }
}

fn all_patterns_can_be_mixed_on_one_connection<R: Driver>() {
    let wire = b"PUT 5\r\nhello\0\0\0\x02hi\0\0\0\x00line\nto the end";
    for size in 1..=wire.len() {
        let script = reads(&wire.chunks(size).collect::<Vec<_>>());
        let mut receiver = R::Receiver::new(script, LengthDelimited::u32());
        let line = receiver.recv_until(b"\r\n").unwrap();
        assert_eq!(line.as_deref(), Some(&b"PUT 5"[..]), "size {size}");
        assert_eq!(receiver.recv_exact(0).unwrap(), b"");
        assert_eq!(receiver.recv_exact(5).unwrap(), b"hello");
        assert_eq!(receiver.recv().unwrap().as_deref(), Some(&b"hi"[..]));
        assert_eq!(receiver.recv().unwrap().as_deref(), Some(&b""[..]), "not the end");
        let Ok(mut receiver) = R::switch(receiver, Delimited::lines()) else {
            panic!("at a boundary")
        };
        assert_eq!(receiver.recv().unwrap().as_deref(), Some(&b"line"[..]));
        assert_eq!(receiver.recv_to_end_within(10).unwrap(), b"to the end");
        assert_eq!(receiver.recv_to_end_within(10).unwrap(), b"");
        assert_eq!(receiver.recv().unwrap(), None);
    }
}

fn a_request_that_was_given_up_leaves_no_trace<R: Driver>() {
    let script = || reads(&[b"abc"]).then(Step::Pause).bytes(b"de\nxyz\n");
    let e = Some(&b"e"[..]);

    let mut receiver = R::Receiver::new(script(), Delimited::lines());
    assert!(receiver.recv().is_err(), "has seen no delimiter in the first three bytes");
    assert_eq!(receiver.recv_exact(4).unwrap(), b"abcd");
    assert_eq!(receiver.recv().unwrap().as_deref(), e);

    let mut receiver = R::Receiver::new(script(), Raw);
    assert!(receiver.recv_until(b"\n").is_err());
    assert_eq!(receiver.recv_exact(4).unwrap(), b"abcd");
    assert_eq!(receiver.recv_until(b"\n").unwrap().as_deref(), e);

    let mut lines = Delimited::lines();
    let mut codec = "line".parse::<Framing>().unwrap().codec();
    let mut boxed: Box<dyn Decoder> = Box::new(Delimited::lines());
    let decoders: [&mut dyn Decoder; 3] = [&mut lines, &mut codec, &mut boxed];
    for mut decoder in decoders {
        let mut receiver = R::Receiver::new(script(), Raw);
        assert!(receiver.recv_as(&mut decoder).is_err());
        assert_eq!(receiver.recv_exact(4).unwrap(), b"abcd");
        assert_eq!(receiver.recv_as(&mut decoder).unwrap().as_deref(), e);
    }

    let mut receiver = R::Receiver::new(script(), Raw);
    let mut lines = Delimited::lines();
    assert!(receiver.recv_as(&mut lines).is_err());
    assert_eq!(receiver.recv_exact(4).unwrap(), b"abcd");
    let Ok(mut receiver) = R::switch(receiver, lines) else { panic!("at a boundary") };
    assert_eq!(receiver.recv().unwrap().as_deref(), e);
}

fn framing_is_not_switched_inside_a_frame_that_is_skipped<R: Driver>() {
    let script = reads(&[b"\x05ab"]).then(Step::Pause).bytes(b"cde\x01x");
    let mut receiver = R::Receiver::new(script, LengthDelimited::u8().max_payload(3));
    let long = FrameError::TooLong { max: 3, len: Some(5) };
    assert!(matches!(receiver.recv(), Err(RecvError::Frame(error)) if error == long));
    assert!(matches!(receiver.recv_exact(1), Err(RecvError::Switch(SwitchError))));
    assert!(matches!(receiver.recv_until(b"x"), Err(RecvError::Switch(SwitchError))));
    let Err((mut receiver, SwitchError)) = R::switch(receiver, Raw) else {
        panic!("inside a frame")
    };
    assert!(matches!(receiver.recv(), Err(RecvError::TimedOut)));
    assert_eq!(receiver.partial(), b"");
    assert_eq!(receiver.recv().unwrap().as_deref(), Some(&b"x"[..]));

    let mut lines = Delimited::lines().max_payload(3);
    let mut receiver = R::Receiver::new(reads(&[b"too long\nok\nraw"]), Raw);
    assert!(receiver.recv_as(&mut lines).is_err());
    assert!(matches!(receiver.recv(), Err(RecvError::Switch(SwitchError))));
    let Err((mut receiver, SwitchError)) = R::switch(receiver, Raw) else {
        panic!("inside a frame")
    };
    assert_eq!(receiver.recv_as(&mut lines).unwrap().as_deref(), Some(&b"ok"[..]));
    assert_eq!(receiver.recv().unwrap().as_deref(), Some(&b"raw"[..]));
}

fn what_recv_until_skips_only_recv_until_ends<R: Driver>() {
    let long = vec![b'x'; DEFAULT_MAX_DELIMITED + 1];
    let mut receiver = R::Receiver::new(reads(&[&long]).bytes(b"\nnext\n"), Raw);
    assert!(matches!(receiver.recv_until(b"\n"), Err(RecvError::Frame(_))));
    assert!(matches!(receiver.recv_until(b";"), Err(RecvError::Switch(_))));
    assert_eq!(receiver.recv_until(b"\n").unwrap().as_deref(), Some(&b"next"[..]));
}

fn an_empty_delimiter_is_refused<R: Driver>() {
    let mut receiver = R::Receiver::new(reads(&[b"x"]), Raw);
    assert!(matches!(receiver.recv_until(b""), Err(RecvError::Option(_))));
    assert_eq!(receiver.recv().unwrap().as_deref(), Some(&b"x"[..]));
}

fn what_was_read_past_a_frame_is_handed_back<R: Driver>() {
    let mut receiver = R::Receiver::new(reads(&[b"frame\nand ", b"more"]), Delimited::lines());
    assert_eq!(receiver.recv().unwrap().as_deref(), Some(&b"frame"[..]));
    assert_eq!(receiver.partial(), b"and ");
    assert_eq!(receiver.into_pending(), b"and ");
}

#[test]
fn a_decoder_handed_back_inside_a_frame_may_be_used_elsewhere() {
    let mut deframer = Deframer::new(Delimited::lines());
    deframer.push(b"abc");
    assert_eq!(deframer.poll(), Ok(Polled::NeedRead));
    let (decoder, pending) = deframer.into_parts();

    let mut same = Deframer::new(decoder.clone());
    same.push(&[&pending[..], b"d\n"].concat());
    assert_eq!(same.poll(), Ok(Polled::Frame(b"abcd")));
    let mut another = Deframer::new(decoder);
    another.push(b"x\ny\n");
    assert_eq!(another.poll(), Ok(Polled::Frame(b"x")));
}

fn bytes_after_a_delimiter_are_kept<R: Driver>() {
    let mut receiver = R::Receiver::new(reads(&[b"one\ntwo\nthr", b"ee\n"]), Raw);
    for line in [&b"one"[..], b"two", b"three"] {
        assert_eq!(receiver.recv_until(b"\n").unwrap().as_deref(), Some(line));
    }
    assert_eq!(receiver.recv_until(b"\n").unwrap(), None);
    assert_eq!(receiver.recv_until(b"\n").unwrap(), None);
}

fn a_short_read_is_not_a_lost_connection<R: Driver>() {
    let mut receiver = R::Receiver::new(reads(&[b"\0", b"\0\x04", b"\0rest"]), Raw);
    assert_eq!(receiver.recv_exact(4).unwrap(), b"\0\0\x04\0");
    assert_eq!(receiver.recv().unwrap().as_deref(), Some(&b"rest"[..]));
}

fn a_call_given_up_between_any_two_reads_loses_nothing<R: Driver>() {
    // On tokio, every pause drops the future of the call.
    let wire = b"one\r\ntwo\nthree\r\n";
    for size in 1..=wire.len() {
        let pieces: Vec<_> = wire.chunks(size).collect();
        let reads = Reads::broken(&pieces);
        let mut receiver = R::Receiver::new(reads, Delimited::lines());
        let (mut lines, mut dropped) = (Vec::new(), 0);
        loop {
            match receiver.recv() {
                Ok(Some(line)) => lines.push(line),
                Err(RecvError::TimedOut) => dropped += 1,
                Ok(None) => break,
                Err(e) => panic!("{e:?}"),
            }
        }
        assert_eq!(lines, [&b"one"[..], b"two", b"three"], "size {size}");
        assert_eq!(dropped, pieces.len().div_ceil(2) + 1, "size {size}");
    }
}

fn tokio_test_block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

on_every_driver!(
    a_call_given_up_between_any_two_reads_loses_nothing,
    interruptions_are_retried_and_pauses_lose_no_byte,
    a_reader_that_says_timed_out_is_asked_again,
    every_request_goes_on_after_a_pause,
    buffered_frames_come_before_the_error_that_followed_them,
    all_patterns_can_be_mixed_on_one_connection,
    a_request_that_was_given_up_leaves_no_trace,
    framing_is_not_switched_inside_a_frame_that_is_skipped,
    what_recv_until_skips_only_recv_until_ends,
    an_empty_delimiter_is_refused,
    what_was_read_past_a_frame_is_handed_back,
    bytes_after_a_delimiter_are_kept,
    a_short_read_is_not_a_lost_connection,
);
