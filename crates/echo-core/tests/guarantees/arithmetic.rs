//! Guarantee 8: lengths never wrap, and what is malformed is said at the offending byte.

use echo_core::{
    Deframer, FrameError, LengthDelimited, Malformed, Netstring, Polled, testing::Event,
};

use crate::support::{check, frame, malformed, too_long, truncated};

#[test]
fn length_arithmetic_never_wraps() {
    let under = Malformed::Adjustment { field: 3, adjustment: -4 };
    check(|| LengthDelimited::u8().adjustment(-4), b"\x04\x03", &[frame(b""), malformed(under)]);
    let over = Malformed::Adjustment { field: u64::MAX, adjustment: 1 };
    check(|| LengthDelimited::u64().adjustment(1), &[0xff; 8], &[malformed(over)]);

    let decoder = || LengthDelimited::u64().max_payload(5);
    let [end, partial] = truncated(10, None, b""); // 8 + u64::MAX is over u64
    let wire = [&[0xff; 8][..], b"xy"].concat();
    check(decoder, &wire, &[too_long(5, Some(u64::MAX)), end, partial]);
}

#[test]
fn a_varint_holds_every_u64_and_nothing_more() {
    let most = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    let [end, partial] = truncated(10, None, b"");
    let decoder = || LengthDelimited::varint().max_payload(9);
    check(decoder, most, &[too_long(9, Some(u64::MAX)), end, partial]);
    let padded = b"\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00x";
    check(decoder, padded, &[frame(b"x"), Event::Closed]);
    for tenth in [b'\x02', b'\x80', b'\x81'] {
        let wire = [&[0xff; 9][..], &[tenth], b"rest"].concat();
        check(decoder, &wire, &[malformed(Malformed::Varint)]);
    }
}

#[test]
fn a_netstring_is_checked_byte_by_byte() {
    check(Netstring::new, b"5:hello,0:,", &[frame(b"hello"), frame(b""), Event::Closed]);
    check(Netstring::new, b"00:,", &[malformed(Malformed::NetstringLeadingZero)]);
    check(Netstring::new, b":x,", &[malformed(Malformed::NetstringLength(b':'))]);
    check(Netstring::new, b"1x", &[malformed(Malformed::NetstringLength(b'x'))]);
    check(Netstring::new, b"1:xy", &[malformed(Malformed::NetstringComma(b'y'))]);
    let over = b"18446744073709551616";
    check(Netstring::new, over, &[malformed(Malformed::NetstringOverflow)]);
    let most =
        [too_long(1, Some(u64::MAX)), truncated(21, None, b"")[0].clone(), Event::Partial(vec![])];
    check(|| Netstring::new().max_payload(1), b"18446744073709551615:", &most);
    // The comma is checked after a skipped payload, too.
    let broken = [too_long(1, Some(2)), malformed(Malformed::NetstringComma(b'!'))];
    check(|| Netstring::new().max_payload(1), b"2:ab!", &broken);
}

#[test]
fn a_defect_is_reported_as_soon_as_its_byte_has_arrived() {
    let at_last_byte = |mut deframer: Deframer<_>, wire: &[u8], reason| {
        let (last, before) = wire.split_last().unwrap();
        deframer.push(before);
        assert_eq!(deframer.poll(), Ok(Polled::NeedRead), "{}", wire.escape_ascii());
        deframer.push(&[*last]);
        assert_eq!(deframer.poll(), Err(FrameError::Malformed(reason)), "{}", wire.escape_ascii());
        assert_eq!(deframer.poll(), Err(FrameError::Malformed(reason)), "it is final");
        deframer.push(b"1:x,");
        assert_eq!(deframer.poll(), Err(FrameError::Malformed(reason)), "whatever follows");
    };
    let netstring = || Deframer::new(Netstring::new());
    at_last_byte(netstring(), b"00", Malformed::NetstringLeadingZero);
    at_last_byte(netstring(), b":", Malformed::NetstringLength(b':'));
    at_last_byte(netstring(), b"12x", Malformed::NetstringLength(b'x'));
    at_last_byte(netstring(), b"2:ab;", Malformed::NetstringComma(b';'));
    at_last_byte(netstring(), b"18446744073709551616", Malformed::NetstringOverflow);
    let mut varint = Deframer::new(LengthDelimited::varint());
    varint.push(&[0xff; 9]);
    assert_eq!(varint.poll(), Ok(Polled::NeedRead));
    varint.push(&[2]);
    assert_eq!(varint.poll(), Err(FrameError::Malformed(Malformed::Varint)));
}
