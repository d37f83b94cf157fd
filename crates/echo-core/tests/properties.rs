//! The properties of the fuzz targets, on stable Rust: their seeds, and random inputs that shrink.

#[expect(unreachable_pub, reason = "in the fuzz workspace this is the root of a library")]
#[path = "../fuzz/src/lib.rs"]
mod properties;

use std::{fs, path::Path};

use proptest::{collection::vec, prelude::*};

/// Bytes that mean something to some codec, so that random inputs come to something.
fn meaningful() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        4 => 0_u8..12,
        4 => prop::sample::select(&b"ab\r\n"[..]),
        2 => prop::sample::select(&b"0123459:,;"[..]),
        1 => prop::sample::select(&[0x7f_u8, 0x80, 0x81, 0xfe, 0xff][..]),
        1 => any::<u8>(),
    ];
    vec(byte, 0..120)
}

fn framing_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "(raw|line|u8|u16|u32|u64|u16le|u32le|u64le|varint|netstring)",
        "delim:[0-9a-fA-F,]{0,12}",
        "fixed:[0-9+]{0,22}",
        "\\PC{0,12}"
    ]
}

proptest! {
    #[test]
    fn delimited_streams_decode_soundly(data in meaningful()) {
        properties::delimited(&data);
    }

    #[test]
    fn length_prefixed_streams_decode_soundly(data in meaningful()) {
        properties::length(&data);
    }

    #[test]
    fn netstrings_decode_soundly(data in meaningful()) {
        properties::netstring(&data);
    }

    #[test]
    fn fixed_frames_decode_soundly(data in meaningful()) {
        properties::fixed(&data);
    }

    #[test]
    fn what_is_encoded_comes_back(data in meaningful()) {
        properties::round_trip(&data);
    }

    #[test]
    fn requests_do_not_depend_on_reads_or_on_others_given_up(data in meaningful()) {
        properties::requests(&data);
    }

    #[test]
    fn framings_print_as_they_parse(text in framing_text()) {
        properties::framing_text(text.as_bytes());
    }
}

/// The committed seeds, and what a fuzzer has added to them on this machine.
#[test]
fn the_seeds_of_every_fuzz_target_pass() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    for (target, property) in properties::TARGETS {
        let mut replayed = 0;
        for folder in ["seeds", "corpus", "artifacts"] {
            let Ok(entries) = fs::read_dir(fuzz.join(folder).join(target)) else { continue };
            for entry in entries {
                let path = entry.unwrap().path();
                println!("{}", path.display()); // shown when it fails
                property(&fs::read(path).unwrap());
                replayed += 1;
            }
        }
        assert!(replayed > 0, "{target} has no seeds");
        assert!(fuzz.join("fuzz_targets").join(target).with_extension("rs").is_file(), "{target}");
    }
    let targets = fs::read_dir(fuzz.join("fuzz_targets")).unwrap().count();
    assert_eq!(targets, properties::TARGETS.len(), "every target is replayed");
}
