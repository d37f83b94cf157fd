//! Guarantees 4 to 6: empty frames, limits, and frames that are too long.

use echo_core::{
    DEFAULT_MAX_DELIMITED, DEFAULT_MAX_PAYLOAD, Decoder, Deframer, Delimited, Encoder, FrameError,
    Framing, LengthDelimited, Netstring, Polled, Raw, testing::Event,
};

use crate::support::{Driver, Receiving, check, frame, on_every_driver, reads, too_long};

#[test]
fn a_frame_that_is_too_long_is_skipped_and_the_next_one_comes() {
    let expected = [too_long(3, Some(4)), frame(b"abc"), too_long(3, Some(5)), Event::Closed];
    check(|| LengthDelimited::u8().max_payload(3), b"\x04long\x03abc\x05rough", &expected);
    check(|| Netstring::new().max_payload(3), b"4:long,3:abc,5:rough,", &expected);
    let expected = [too_long(3, None), frame(b"abc"), too_long(3, None), Event::Closed];
    check(|| Delimited::lines().max_payload(3), b"long\nabc\r\nrough\r\n", &expected);
    let expected = [too_long(0, None), frame(b""), Event::Closed];
    check(|| Delimited::lines().max_payload(0), b"x\n\r\n", &expected);
}

#[test]
fn the_limit_counts_the_payload_only_and_strikes_as_early_as_nothing_can_help() {
    let lines = || Delimited::lines().max_payload(5);
    check(lines, b"hello\r\nhello\n", &[frame(b"hello"), frame(b"hello"), Event::Closed]);
    // A half-received CRLF still fits; once it is broken, the line is too long.
    let mut open = Deframer::new(lines());
    open.push(b"hello\r");
    assert_eq!(open.poll(), Ok(Polled::NeedRead));
    open.push(b"x");
    assert_eq!(open.poll(), Err(FrameError::TooLong { max: 5, len: None }));
}

#[test]
fn empty_frames_are_delivered_and_differ_from_the_end() {
    let expected = [frame(b""), frame(b""), Event::Closed];
    check(LengthDelimited::u8, b"\0\0", &expected);
    check(LengthDelimited::u64_le, &[0; 16], &expected);
    check(LengthDelimited::varint, b"\x80\0\0", &expected);
    check(Netstring::new, b"0:,0:,", &expected);
    check(Delimited::lines, b"\n\r\n", &expected);
    check(|| Delimited::by(b"ab").unwrap(), b"abab", &expected);
}

#[test]
fn max_passes_and_one_more_fails_in_every_framing_that_has_a_limit() {
    for text in ["line", "delim:0d0a,3b", "u8", "u16", "u32le", "u64", "varint", "netstring"] {
        for max in [0, 1, 7] {
            let codec = || text.parse::<Framing>().unwrap().codec().max_payload(max);
            let sender = text.parse::<Framing>().unwrap().codec();
            let mut wire = Vec::new();
            for len in [max, max + 1, max] {
                sender.encode_to(&vec![b'x'; len], &mut wire).unwrap();
            }
            let fits = frame(&vec![b'x'; max]);
            let claim =
                (!text.starts_with("line") && !text.starts_with("delim")).then_some(max as u64 + 1);
            check(codec, &wire, &[fits.clone(), too_long(max, claim), fits, Event::Closed]);
            assert!(codec().encode_to(&vec![b'x'; max + 1], &mut Vec::new()).is_err());
        }
    }
}

#[test]
fn limits_are_8_mib_and_64_kib_unless_lifted() {
    assert_eq!((DEFAULT_MAX_PAYLOAD, DEFAULT_MAX_DELIMITED), (8 << 20, 64 << 10));
    fn limit(mut decoder: impl Decoder, wire: &[u8]) -> Option<usize> {
        match decoder.decode(wire) {
            Err(FrameError::TooLong { max, .. }) => Some(max),
            _ => None,
        }
    }
    let claim = (8_u32 << 20).to_be_bytes();
    let over = ((8_u32 << 20) + 1).to_be_bytes();
    assert_eq!(limit(LengthDelimited::u32(), &claim), None);
    assert_eq!(limit(LengthDelimited::u32(), &over), Some(8 << 20));
    assert_eq!(limit(LengthDelimited::u32().unlimited(), &[0xff; 4]), None);
    assert_eq!(limit(Netstring::new(), b"8388608:"), None);
    assert_eq!(limit(Netstring::new(), b"8388609:"), Some(8 << 20));
    let line = vec![b'x'; (64 << 10) + 1];
    assert_eq!(limit(Delimited::lines(), &line[1..]), None);
    assert_eq!(limit(Delimited::lines(), &line), Some(64 << 10));
    assert_eq!(limit(Delimited::lines().unlimited(), &line), None);
}

#[test]
fn a_length_is_refused_as_soon_as_its_header_is_complete() {
    let mut deframer = Deframer::new(LengthDelimited::u32().max_payload(5));
    deframer.push(b"\0\0\0");
    assert_eq!(deframer.poll(), Ok(Polled::NeedRead));
    deframer.push(b"\x06");
    assert_eq!(deframer.poll(), Err(FrameError::TooLong { max: 5, len: Some(6) }));
    assert_eq!(deframer.partial(), b"", "nothing is kept of what is skipped");
}

#[test]
fn the_limit_applies_to_the_length_after_adjustment() {
    let codec = || LengthDelimited::u8().adjustment(-4).max_payload(5);
    check(codec, b"\x09hello\x04", &[frame(b"hello"), frame(b""), Event::Closed]);
    check(codec, b"\x0asixsix", &[too_long(5, Some(6)), Event::Closed]);
}

fn the_next_frame_comes_at_once_after_one_too_long<R: Driver>() {
    let mut receiver =
        R::Receiver::new(reads(&[b"too long\r\nok\n"]), Delimited::lines().max_payload(3));
    assert!(receiver.recv().is_err());
    assert_eq!(receiver.recv().unwrap().as_deref(), Some(&b"ok"[..]));
    assert_eq!(receiver.reads(), 1, "it was buffered: no read was needed");
}

fn a_delimiter_across_a_read_boundary_ends_what_is_skipped<R: Driver>() {
    let script = reads(&[b"too long\r", b"\nok\r", b"\n"]);
    let mut receiver = R::Receiver::new(script, Delimited::by(b"\r\n").unwrap().max_payload(3));
    assert!(receiver.recv().is_err());
    assert_eq!(receiver.recv().unwrap().as_deref(), Some(&b"ok"[..]));
    assert_eq!(receiver.recv().unwrap(), None);
}

fn exactly_n_is_its_own_limit<R: Driver>() {
    let body = vec![7; DEFAULT_MAX_PAYLOAD + 1];
    let mut receiver = R::Receiver::new(reads(&[&body]), Raw);
    assert!(receiver.recv_exact(body.len()).unwrap() == body);
}

fn to_the_end_has_a_limit_and_what_came_stays<R: Driver>() {
    let mut receiver = R::Receiver::new(reads(&[b"abc", b"def"]), Raw);
    let error = receiver.recv_to_end_within(5).unwrap_err().to_string();
    assert_eq!(error, "frame is over the limit of 5 bytes");
    assert_eq!(receiver.recv_to_end_within(6).unwrap(), b"abcdef");
    assert_eq!(receiver.recv_to_end_within(0).unwrap(), b"");
}

on_every_driver!(
    the_next_frame_comes_at_once_after_one_too_long,
    a_delimiter_across_a_read_boundary_ends_what_is_skipped,
    exactly_n_is_its_own_limit,
    to_the_end_has_a_limit_and_what_came_stays,
);
