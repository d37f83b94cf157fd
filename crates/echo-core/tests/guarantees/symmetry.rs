//! Guarantee 15: what is sent comes back, or is refused; a frame is one vectored write.

use echo_core::{
    Delimited, EncodeError, Encoder, FixedLength, Framing, LengthDelimited, Netstring, SendError,
    testing::Event,
};

use crate::support::{Driver, Put, Sending, Writes, check, frame, on_every_driver};

#[test]
fn what_would_not_come_back_is_not_encoded() {
    let refused = |encoder: &dyn Encoder, payload: &[u8]| {
        let mut wire = b"untouched".to_vec();
        let error = encoder.encode_to(payload, &mut wire).unwrap_err();
        assert_eq!(wire, b"untouched");
        error
    };
    let at = |at| EncodeError::Delimiter { at };
    assert_eq!(refused(&Delimited::lines(), b"two\nlines"), at(3));
    assert_eq!(refused(&Delimited::lines(), b"ends in CR\r"), at(10));
    let by = |delimiter: &str| Delimited::by(delimiter.as_bytes()).unwrap();
    assert_eq!(refused(&by("ab"), b"xab"), at(1));
    assert_eq!(refused(&by("aaa"), b"..a"), at(2));
    assert_eq!(refused(&by("abab"), b"xab"), at(1));
    assert_eq!(refused(&Delimited::by_any(&["abcd", "bc"]).unwrap(), b"x"), at(2));
    // "ab" never ends a frame here, as "a" ends it before.
    assert_eq!(refused(&Delimited::by_any(&["ab", "a"]).unwrap(), b"x"), at(1));
    let long = EncodeError::TooLong { max: 2, len: 3 };
    assert_eq!(refused(&Delimited::lines().max_payload(2), b"abc"), long);
    assert_eq!(refused(&LengthDelimited::u32().max_payload(2), b"abc"), long);
    assert_eq!(refused(&Netstring::new().max_payload(2), b"abc"), long);
    let field = |len| EncodeError::LengthField { len };
    assert_eq!(refused(&LengthDelimited::u8(), &[0; 256]), field(256));
    assert_eq!(refused(&LengthDelimited::u8().adjustment(4), b"abc"), field(3));
    let wrong = EncodeError::WrongLength { expected: 4, len: 3 };
    assert_eq!(refused(&FixedLength::new(4).unwrap(), b"abc"), wrong);
}

#[test]
fn what_is_encoded_comes_back_in_every_framing() {
    let payloads = [&b""[..], b"a", b"four", b"\0\xff\r", b"5:hello,", &[b'x'; 300]];
    for text in [
        "line",
        "delim:0d0a",
        "delim:616261,0a",
        "fixed:4",
        "u8",
        "u16",
        "u32",
        "u64",
        "u16le",
        "u32le",
        "u64le",
        "varint",
        "netstring",
    ] {
        let framing: Framing = text.parse().unwrap();
        let (mut wire, mut expected) = (Vec::new(), Vec::new());
        for payload in payloads {
            if framing.codec().encode_to(payload, &mut wire).is_ok() {
                expected.push(frame(payload));
            }
        }
        assert!(!expected.is_empty(), "{text}");
        expected.push(Event::Closed);
        check(|| framing.codec(), &wire, &expected);
    }
}

fn a_frame_is_one_vectored_write<R: Driver>() {
    let mut sender = R::Sender::new(Writes::default(), Netstring::new());
    sender.send(b"hello").unwrap();
    sender.send(b"").unwrap();
    assert!(matches!(sender.send(&vec![0; 9 << 20]), Err(SendError::Encode(_))));
    let (writes, unsent) = sender.into_parts();
    assert_eq!((writes.calls, &writes.wire[..]), (2, &b"5:hello,0:,"[..]));
    assert_eq!(unsent, b"");
}

fn partial_writes_are_resumed_where_they_stopped<R: Driver>() {
    let frames = b"\x05hello\x05world";
    for most in 1..=6 {
        let steps = [Put::Take(most), Put::Interrupted].repeat(frames.len());
        let mut sender = R::Sender::new(Writes::new(&steps), LengthDelimited::u8());
        sender.send(b"hello").unwrap();
        sender.send(b"world").unwrap();
        assert_eq!(sender.into_parts().0.wire, frames, "{most} bytes a write");
    }
}

fn a_frame_cut_in_two_is_finished_before_the_next<R: Driver>() {
    // Not taken: nothing of it was written.
    let steps = [Put::Pause, Put::Take(3), Put::Pause, Put::Take(6), Put::Pause, Put::Take(9)];
    let mut sender = R::Sender::new(Writes::new(&steps), LengthDelimited::u32());
    assert!(matches!(sender.send(b"first"), Err(SendError::TimedOut { taken: false })));
    assert!(!sender.has_unsent());
    // Taken: its first three bytes were.
    assert!(matches!(sender.send(b"second frame"), Err(SendError::TimedOut { taken: true })));
    assert!(sender.has_unsent());
    // The rest goes first; the third frame is not taken while it does not get a byte.
    assert!(matches!(sender.send(b"third"), Err(SendError::TimedOut { taken: false })));
    assert!(sender.has_unsent());
    sender.send(b"fourth").unwrap();
    sender.flush().unwrap();
    assert!(!sender.has_unsent());
    assert_eq!(sender.into_parts().0.wire, b"\0\0\0\x0csecond frame\0\0\0\x06fourth");
}

fn flush_finishes_a_frame_and_may_be_asked_again<R: Driver>() {
    let steps = [Put::Take(2), Put::Pause, Put::Take(1), Put::Pause];
    let mut sender = R::Sender::new(Writes::new(&steps), Delimited::lines());
    assert!(sender.send(b"hello").is_err());
    assert!(matches!(sender.flush(), Err(SendError::TimedOut { .. })));
    assert!(sender.has_unsent());
    sender.flush().unwrap();
    assert_eq!(sender.into_parts().0.wire, b"hello\n");
}

fn what_is_left_of_a_frame_is_handed_back<R: Driver>() {
    let mut sender = R::Sender::new(Writes::new(&[Put::Take(2), Put::Pause]), Delimited::lines());
    assert!(sender.send(b"hello").is_err());
    let (writes, unsent) = sender.into_parts();
    assert_eq!((&writes.wire[..], &unsent[..]), (&b"he"[..], &b"llo\n"[..]));
}

fn a_writer_that_fails_or_lies_is_an_error<R: Driver>() {
    let broken = Put::Fail(std::io::ErrorKind::BrokenPipe);
    for put in [broken, Put::Take(0), Put::Overclaim] {
        let mut sender = R::Sender::new(Writes::new(&[put]), Delimited::lines());
        assert!(matches!(sender.send(b"hello"), Err(SendError::Io(_))), "{put:?}");
    }
}

on_every_driver!(
    a_frame_is_one_vectored_write,
    partial_writes_are_resumed_where_they_stopped,
    a_frame_cut_in_two_is_finished_before_the_next,
    flush_finishes_a_frame_and_may_be_asked_again,
    what_is_left_of_a_frame_is_handed_back,
    a_writer_that_fails_or_lies_is_an_error,
);
