//! What each codec has on the wire.

use echo_core::{
    Encoder, FixedLength, Framing, LengthDelimited, OptionError, Raw,
    testing::{Event, events},
};

use crate::support::{check, frame};

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
