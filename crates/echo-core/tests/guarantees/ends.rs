//! Guarantees 2 and 3: the end of the stream, between frames and inside one.

use echo_core::{
    Delimited, FixedLength, FrameError, LengthDelimited, Netstring, Raw, RecvError, testing::Event,
};

use crate::support::{
    Driver, Receiving, check, frame, on_every_driver, reads, too_long, truncated,
};

#[test]
fn a_stream_that_ends_inside_a_frame_is_truncated() {
    let u32 = LengthDelimited::u32;
    check(u32, b"", &[Event::Closed]);
    check(u32, b"\0\0", &truncated(2, None, b"\0\0"));
    check(u32, b"\0\0\0\x02", &truncated(4, Some(6), b"\0\0\0\x02"));
    check(u32, b"\0\0\0\x02h", &truncated(5, Some(6), b"\0\0\0\x02h"));
    check(Netstring::new, b"1", &truncated(1, None, b"1"));
    check(Netstring::new, b"5:hello", &truncated(7, Some(8), b"5:hello"));
    check(|| FixedLength::new(4).unwrap(), b"abc", &truncated(3, Some(4), b"abc"));
    check(Delimited::lines, b"a\r", &truncated(2, None, b"a\r"));

    let [end, partial] = truncated(7, Some(10), b"");
    let short = || LengthDelimited::u8().max_payload(3);
    check(
        short,
        b"\x09skipped",
        &[too_long(3, Some(9)), truncated(8, Some(10), b"")[0].clone(), partial.clone()],
    );
    check(short, b"\x09skippe", &[too_long(3, Some(9)), end, partial]);
    let [end, partial] = truncated(6, Some(8), b"");
    let short = || Netstring::new().max_payload(3);
    check(short, b"5:hell", &[too_long(3, Some(5)), end, partial.clone()]);
    let [end, _] = truncated(7, Some(8), b"");
    check(short, b"5:hello", &[too_long(3, Some(5)), end, partial]);
    let [end, partial] = truncated(8, None, b"");
    check(|| Delimited::lines().max_payload(3), b"no end \r", &[too_long(3, None), end, partial]);
}

#[test]
fn an_unterminated_tail_is_a_frame_only_when_allowed() {
    let lines = || Delimited::lines().max_payload(5).allow_unterminated();
    check(lines, b"a\nb", &[frame(b"a"), frame(b"b"), Event::Closed]);
    check(lines, b"a\n", &[frame(b"a"), Event::Closed]);
    check(lines, b"a\r", &[frame(b"a\r"), Event::Closed]);
    check(lines, b"hello\r", &[too_long(5, None), Event::Closed]);
    check(lines, b"far too long", &[too_long(5, None), Event::Closed]);
}

#[test]
fn the_end_at_a_frame_boundary_is_orderly_in_every_framing() {
    // That it comes again, without a read, is asserted for each of these by the suite itself.
    check(Delimited::lines, b"", &[Event::Closed]);
    check(Delimited::lines, b"a\n", &[frame(b"a"), Event::Closed]);
    check(|| FixedLength::new(1).unwrap(), b"a", &[frame(b"a"), Event::Closed]);
    check(Netstring::new, b"1:a,", &[frame(b"a"), Event::Closed]);
    check(LengthDelimited::u8, b"\x01a", &[frame(b"a"), Event::Closed]);
    check(LengthDelimited::varint, b"\x01a", &[frame(b"a"), Event::Closed]);
}

#[test]
fn got_counts_every_byte_of_the_unfinished_frame() {
    // Two bytes before the field, the field, and two of five payload bytes.
    let codec = || LengthDelimited::u16().field_offset(2);
    check(codec, b"xx\0\x05he", &truncated(6, Some(9), b"xx\0\x05he"));
    check(codec, b"xx\0", &truncated(3, None, b"xx\0"));
    check(codec, b"xx\0\x05", &truncated(4, Some(9), b"xx\0\x05"));
}

fn asking_for_0_bytes_succeeds_without_a_read<R: Driver>() {
    let mut receiver = R::Receiver::new(reads(&[b"abc"]), Raw);
    assert_eq!(receiver.recv_exact(0).unwrap(), b"");
    assert_eq!(receiver.reads(), 0);
    assert_eq!(receiver.recv().unwrap().as_deref(), Some(&b"abc"[..]));
    assert_eq!(receiver.recv().unwrap(), None);
    assert_eq!(receiver.recv_exact(0).unwrap(), b"", "even after the end");
}

fn exactly_so_many_bytes_are_never_less<R: Driver>() {
    let mut receiver = R::Receiver::new(reads(&[b"a", b"bc"]), Raw);
    let error = receiver.recv_exact(4).unwrap_err().to_string();
    assert_eq!(error, "stream ended after 3 bytes of an unfinished frame of 4");
    assert_eq!(receiver.partial(), b"abc");
    assert_eq!(receiver.recv_exact(3).unwrap(), b"abc");
    let none = receiver.recv_exact(1).unwrap_err();
    let end = FrameError::Truncated { got: 0, expected: Some(1) };
    assert!(matches!(none, RecvError::Frame(error) if error == end), "{none:?}");
}

fn after_a_skipped_tail_the_stream_is_over_for_every_request<R: Driver>() {
    let mut lines = Delimited::lines().max_payload(3).allow_unterminated();
    let mut receiver = R::Receiver::new(reads(&[b"too long"]), Raw);
    assert!(receiver.recv_as(&mut lines).is_err());
    assert_eq!(receiver.recv_as(&mut lines).unwrap(), None);
    assert_eq!(receiver.recv().unwrap(), None);
    assert_eq!(receiver.recv_until(b"\n").unwrap(), None);
}

on_every_driver!(
    asking_for_0_bytes_succeeds_without_a_read,
    exactly_so_many_bytes_are_never_less,
    after_a_skipped_tail_the_stream_is_over_for_every_request,
);
