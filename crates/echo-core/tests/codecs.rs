//! What each codec makes of a stream, wherever reads cut it.

use echo_core::{
    Decoder, Delimited, EncodeError, Encoder, FixedLength, FrameError, Framing, LengthDelimited,
    Malformed, Netstring, OptionError, Raw,
    testing::{Event, assert_chunk_invariant, events},
};

fn frame(payload: &[u8]) -> Event {
    Event::Frame(payload.to_vec())
}

fn truncated(got: u64, expected: Option<u64>, partial: &[u8]) -> [Event; 2] {
    let error = FrameError::Truncated { got, expected };
    [Event::Error(error), Event::Partial(partial.to_vec())]
}

fn too_long(max: usize, len: Option<u64>) -> Event {
    Event::Error(FrameError::TooLong { max, len })
}

fn malformed(reason: Malformed) -> Event {
    Event::Error(FrameError::Malformed(reason))
}

#[track_caller]
fn check<D: Decoder>(decoder: impl Fn() -> D, wire: &[u8], expected: &[Event]) {
    assert_eq!(assert_chunk_invariant(decoder, wire), expected, "{}", wire.escape_ascii());
}

#[test]
fn length_prefixes_of_every_width_and_order() {
    let codecs: [(LengthDelimited, &[u8]); 8] = [
        (LengthDelimited::u8(), b"\x03abc\0\x01d"),
        (LengthDelimited::u16(), b"\0\x03abc\0\0\0\x01d"),
        (LengthDelimited::u32(), b"\0\0\0\x03abc\0\0\0\0\0\0\0\x01d"),
        (LengthDelimited::u64(), b"\0\0\0\0\0\0\0\x03abc\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01d"),
        (LengthDelimited::u16_le(), b"\x03\0abc\0\0\x01\0d"),
        (LengthDelimited::u32_le(), b"\x03\0\0\0abc\0\0\0\0\x01\0\0\0d"),
        (LengthDelimited::u64_le(), b"\x03\0\0\0\0\0\0\0abc\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0d"),
        (LengthDelimited::varint(), b"\x03abc\0\x01d"),
    ];
    for (codec, wire) in codecs {
        let expected = [frame(b"abc"), frame(b""), frame(b"d"), Event::Closed];
        check(|| codec.clone(), wire, &expected);
        let mut encoded = Vec::new();
        for payload in [&b"abc"[..], b"", b"d"] {
            codec.encode_to(payload, &mut encoded).unwrap();
        }
        assert_eq!(encoded, wire);
    }
}

#[test]
fn a_length_field_may_stand_behind_others_and_count_them() {
    // Two bytes, then a u16 that counts the whole frame of 4 + payload.
    let codec = LengthDelimited::u16().field_offset(2).adjustment(-4);
    let expected = [frame(b"abc"), frame(b""), Event::Closed];
    check(|| codec.clone(), b"xx\0\x07abcyy\0\x04", &expected);
    let mut wire = Vec::new();
    codec.encode_to(b"abc", &mut wire).unwrap();
    assert_eq!(wire, b"\0\0\0\x07abc");
}

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
fn the_limit_counts_the_payload_only_and_strikes_as_early_as_nothing_can_help() {
    let lines = || Delimited::lines().max_payload(5);
    check(lines, b"hello\r\nhello\n", &[frame(b"hello"), frame(b"hello"), Event::Closed]);
    // A half-received CRLF still fits; once it is broken, the line is too long.
    let mut open = echo_core::Deframer::new(lines());
    open.push(b"hello\r");
    assert_eq!(open.poll(), Ok(echo_core::Polled::NeedRead));
    open.push(b"x");
    assert_eq!(open.poll(), Err(FrameError::TooLong { max: 5, len: None }));
}

#[test]
fn the_earliest_delimiter_end_wins_and_on_a_tie_the_longest() {
    let by = |list: &[&str]| Delimited::by_any(list).unwrap();
    check(
        || by(&["aaa"]),
        b"aaXYaaaa",
        &[frame(b"aaXY"), truncated(1, None, b"a")[0].clone(), Event::Partial(b"a".to_vec())],
    );
    check(|| by(&["b", "ab", "cab"]), b"xcab", &[frame(b"x"), Event::Closed]);
    check(
        || by(&["abcd", "bc"]),
        b"xabcd|abcd",
        &[
            frame(b"xa"),
            frame(b"d|a"),
            truncated(1, None, b"d")[0].clone(),
            Event::Partial(b"d".to_vec()),
        ],
    );
    check(
        || by(&[";", ",", "|", "&", "\n"]),
        b"a;b,c|d&e\n",
        &[frame(b"a"), frame(b"b"), frame(b"c"), frame(b"d"), frame(b"e"), Event::Closed],
    );
    // A lone CR is data.
    check(Delimited::lines, b"a\rb\r\r\n", &[frame(b"a\rb\r"), Event::Closed]);
}

#[test]
fn a_delimiter_that_holds_another_can_never_be_half_received() {
    // "abcd" always ends later than the "bc" in it, so no payload of 5 can come from "hello" + "a".
    let decoder = || Delimited::by_any(&["abcd", "bc"]).unwrap().max_payload(5);
    let mut deframer = echo_core::Deframer::new(decoder());
    deframer.push(b"helloa");
    assert_eq!(deframer.poll(), Err(FrameError::TooLong { max: 5, len: None }));
    check(
        decoder,
        b"helloabcd",
        &[too_long(5, None), truncated(1, None, b"d")[0].clone(), Event::Partial(b"d".to_vec())],
    );
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
fn fixed_frames_and_raw_bytes() {
    let expected = [frame(b"abc"), frame(b"def"), Event::Closed];
    check(|| FixedLength::new(3).unwrap(), b"abcdef", &expected);
    assert_eq!(FixedLength::new(0), Err(OptionError::ZeroLength));
    let wire = b"bytes as they come";
    assert_eq!(events(Raw, wire.chunks(5)).len(), 5);
    assert_eq!(events(Raw, [&wire[..]]), [frame(wire), Event::Closed]);
    assert_eq!(events(Raw, []), [Event::Closed]);
}

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
fn a_framing_is_printed_as_it_is_parsed() {
    for text in [
        "raw",
        "line",
        "delim:0d0a",
        "delim:0d0a,0a",
        "fixed:512",
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
        assert_eq!(text.parse::<Framing>().unwrap().to_string(), text);
    }
    assert_eq!("delim:0D0A".parse::<Framing>().unwrap().to_string(), "delim:0d0a");
    for (text, reason) in [
        ("fixed:0", "at least 1 byte"),
        ("fixed:", "number of bytes"),
        ("fixed:+1", "number of bytes"),
        ("delim:", "empty delimiter"),
        ("delim:0a,", "empty delimiter"),
        ("delim:0", "pairs of hexadecimal"),
        ("delim:zz", "pairs of hexadecimal"),
        ("lines", "unknown framing 'lines'"),
        ("", "unknown framing ''"),
    ] {
        let error = text.parse::<Framing>().unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}
