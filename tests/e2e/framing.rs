//! Whole frames only, in every framing, and what happens when the two sides disagree.

use predicates::str::contains;

use crate::support::{Server, client, noise};

#[test]
fn a_stream_is_cut_in_frames_and_comes_back_whole() {
    let sent = noise(300_000);
    for framing in ["u8", "u16le", "u32", "varint", "netstring", "fixed:1000"] {
        let server = Server::start(&["--framing", framing]);
        let mut sending = client(&server);
        sending.args(["--framing", framing, "-f", "-"]).write_stdin(sent.clone());
        sending.assert().success().stdout(sent.clone());
    }
}

#[test]
fn lines_come_back_as_lines_and_the_last_may_lack_its_end() {
    let server = Server::start(&["--framing", "line"]);
    let mut sending = client(&server);
    sending.args(["--framing", "line", "-f", "-"]).write_stdin("one\r\n\ntwo\nthree");
    sending.assert().success().stdout("one\n\ntwo\nthree\n");
}

#[test]
fn sides_that_disagree_on_the_framing_fail_in_words() {
    let server = Server::start(&["--framing", "u32"]);
    // "Hello..." as a u32 is a frame of over a gigabyte.
    client(&server)
        .args(["--framing", "raw"])
        .assert()
        .code(1)
        .stderr(contains("incomplete: identical up to offset 0, then nothing"));
    server.wait_for_log("frame of 1214606444 bytes is over the limit of 8388608 bytes");

    let server = Server::start(&["--framing", "raw"]);
    let lines = client(&server).args(["--framing", "line", "-m", "fine"]).assert();
    lines.success();
}

#[test]
fn what_the_framing_cannot_carry_is_refused_before_it_is_sent() {
    let server = Server::start(&[]);
    let refused = |args: &[&str], input: &'static str, said: &str| {
        client(&server).args(args).write_stdin(input).assert().code(2).stderr(contains(said));
    };
    refused(
        &["--framing", "line", "-m", "two\nlines"],
        "",
        "cannot send the message: payload holds",
    );
    refused(
        &["--framing", "fixed:4", "-m", "five!"],
        "",
        "payload of 5 bytes where every frame has 4",
    );
    refused(&["--framing", "fixed:4", "-f", "-"], "fourfiv", "cannot take frame 2 from stdin");
    refused(
        &["--framing", "u32", "--max-frame", "2", "-m", "abc"],
        "",
        "over the limit of 2 bytes",
    );
    refused(
        &["--framing", "line", "--max-frame", "2", "-f", "-"],
        "ab\nabc\n",
        "cannot take frame 2 from stdin: frame is over the limit of 2 bytes",
    );
    refused(&["--max-frame", "2"], "", "--max-frame has no meaning with --framing raw");
}
