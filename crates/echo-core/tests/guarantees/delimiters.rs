//! Guarantee 7: which delimiter wins.

use echo_core::{Deframer, Delimited, FrameError, testing::Event};

use crate::support::{check, frame, too_long, truncated};

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
}

#[test]
fn a_line_ends_in_lf_or_crlf_and_a_lone_cr_is_data() {
    check(Delimited::lines, b"a\rb\r\r\n", &[frame(b"a\rb\r"), Event::Closed]);
    check(Delimited::lines, b"\r\r\n\n", &[frame(b"\r"), frame(b""), Event::Closed]);
}

#[test]
fn a_delimiter_that_holds_another_can_never_be_half_received() {
    // "abcd" always ends later than the "bc" in it, so no payload of 5 can come from "hello" + "a".
    let decoder = || Delimited::by_any(&["abcd", "bc"]).unwrap().max_payload(5);
    let mut deframer = Deframer::new(decoder());
    deframer.push(b"helloa");
    assert_eq!(deframer.poll(), Err(FrameError::TooLong { max: 5, len: None }));
    check(
        decoder,
        b"helloabcd",
        &[too_long(5, None), truncated(1, None, b"d")[0].clone(), Event::Partial(b"d".to_vec())],
    );
}
