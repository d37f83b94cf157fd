//! Guarantee 1: what comes out depends on the bytes only, never on where reads cut them.

use echo_core::{
    Delimited, FixedLength, Framing, LengthDelimited, Netstring, Raw,
    testing::{Event, events, random_pieces},
};
use proptest::{collection::vec, prelude::*};

use crate::support::{Driver, Reads, Receiving, check_invariant, on_every_driver};

/// All but `raw`, with delimiters that overlap.
const FRAMINGS: [&str; 16] = [
    "line",
    "delim:0d0a",
    "delim:616161",
    "delim:6162,616162,58",
    "delim:3b,2c,7c,26,0a",
    "fixed:1",
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
];

/// Frames, empty frames, frames that are too long, defects and broken ends for every codec.
#[test]
fn frames_and_errors_of_every_codec_do_not_depend_on_where_reads_cut_the_stream() {
    let wires: [&[u8]; 14] = [
        b"",
        b"a\r\n\r\r\nhello\r\nhello!\r\nx\n\ry",
        b"hello\r\nhell\r\r\nhello\r",
        b"aaXYaaaaXaabaabcaab",
        b";;,a;b,c|d&e\n;\r;",
        b"5:hello,0:,6:world!,1:x,",
        b"5:hello,6:world!;",
        b"3:abc",
        b"\x05hello\0\x06world!\x01x\x03ab",
        b"\0\x05hello\0\0\0\x06world!\0\x01x\0",
        b"\x05\0hello\0\0\x06\0world!\x01\0x\x07",
        b"\0\0\0\x05hello\0\0\0\0\0\0\0\x06world!\0\0\0\x01x\0\0\0\x02y",
        b"\x85\x80\0hello\x86\0world!\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
        &[0xff; 40],
    ];
    for framing in FRAMINGS {
        let framing: Framing = framing.parse().unwrap();
        for wire in wires {
            for max in [0, 5] {
                check_invariant(|| framing.codec().max_payload(max), wire);
            }
        }
    }
    for wire in wires {
        check_invariant(|| Delimited::lines().max_payload(5).allow_unterminated(), wire);
        check_invariant(
            || LengthDelimited::u8().field_offset(2).adjustment(-1).max_payload(5),
            wire,
        );
        check_invariant(|| LengthDelimited::varint().field_offset(1).adjustment(3), wire);
        check_invariant(|| FixedLength::new(3).unwrap(), wire);
        check_invariant(Netstring::new, wire);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn random_streams_decode_the_same_on_every_driver(
        framing in prop::sample::select(&FRAMINGS[..]),
        wire in vec(prop_oneof![
            3 => 0_u8..8,
            3 => prop::sample::select(&b"ab\r\n;0123:,"[..]),
            1 => any::<u8>(),
        ], 0..60),
        max in 0_usize..8,
    ) {
        let framing: Framing = framing.parse().unwrap();
        check_invariant(|| framing.codec().max_payload(max), &wire);
    }
}

fn raw_bytes_are_invariant_in_their_concatenation<R: Driver>() {
    let wire: Vec<u8> = (0..=255).cycle().take(5000).collect();
    for seed in 1..=16 {
        let mut pieces = random_pieces(&wire, seed);
        pieces.retain(|piece| !piece.is_empty());
        let mut receiver = R::Receiver::new(Reads::broken(&pieces), Raw);
        let mut received = Vec::new();
        loop {
            match receiver.recv() {
                Ok(Some(bytes)) => {
                    assert!(!bytes.is_empty(), "there are no empty frames in raw");
                    received.extend(bytes);
                }
                Ok(None) => break,
                Err(_) => {} // a pause
            }
        }
        assert!(received == wire, "seed {seed}");
    }
}

/// The helper itself can fail: a decoder that frames by reads is caught.
#[test]
#[should_panic(expected = "cut at byte 1")]
fn a_decoder_that_depends_on_the_reads_is_caught() {
    let whole = events(Raw, [&b"ab"[..]]);
    assert_eq!(whole, [Event::Frame(b"ab".to_vec()), Event::Closed]);
    echo_core::testing::assert_chunk_invariant(|| Raw, b"ab");
}

on_every_driver!(raw_bytes_are_invariant_in_their_concatenation);
