//! Whole frames only, in every framing.

use std::io::{Read, Write};

use predicates::str::contains;

use crate::{Engine, support::client};

pub(crate) const TESTS: crate::Tests = tests![
    a_frame_is_released_only_when_it_is_whole,
    an_oversize_frame_ends_its_connection_after_everything_before_it,
    a_message_is_one_frame_in_every_framing,
];

const FRAMINGS: [&str; 13] = [
    "line",
    "delim:0d0a",
    "delim:2c,3b",
    "fixed:10",
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

fn a_frame_is_released_only_when_it_is_whole(engine: Engine) {
    let server = engine.start(&["--framing", "line"]);
    let mut stream = server.connect();
    stream.write_all(b"whole\r\nhal").unwrap();
    let mut back = [0; 7];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"whole\r\n", "byte for byte, CR included");
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"", "half a frame is none");
    server.wait_for_log("stream ended after 3 bytes of an unfinished frame");
}

fn an_oversize_frame_ends_its_connection_after_everything_before_it(engine: Engine) {
    let server = engine.start(&["--framing", "line", "--max-frame", "5"]);
    let mut sending = client(&server);
    sending.args(["--framing", "line", "-f", "-"]).write_stdin("12345\nabc\n123456\nlost\n");
    sending
        .assert()
        .code(1)
        .stdout("12345\nabc\n")
        .stderr(contains("incomplete: identical up to offset 8, then nothing"));
    server.wait_for_log("frame is over the limit of 5 bytes");
    client(&server).args(["--framing", "line", "-m", "still"]).assert().success();
}

fn a_message_is_one_frame_in_every_framing(engine: Engine) {
    for framing in FRAMINGS {
        let server = engine.start(&["--framing", framing]);
        let exchange = client(&server).args(["--framing", framing, "-m", "ten bytes!"]).assert();
        exchange.success().stderr(contains("identical: 10 bytes"));
    }
}
