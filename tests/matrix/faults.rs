//! Every fault of the server, and the check that names it.

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
};

use libtest_mimic::Trial;

use self::Caught::{Dead, Fail, Warn};
use crate::support::{
    Server,
    check::{check, json},
    server_path,
};

/// A fault, the check that has to catch it, as what, and some words of what it has seen.
type Row = (&'static str, &'static str, Caught, &'static str);

/// With its default a fault is caught, too, unless another value shows it better.
const ROWS: &[Row] = &[
    ("delay", "stream.prompt", Warn, "a message takes "),
    ("jitter", "stream.steady", Warn, "messages took "),
    ("drip", "stream.pace", Warn, " of 4,096 bytes came back in "),
    ("throttle", "big.one-mib", Warn, " of 1,048,576 bytes came back in "),
    ("throttle=2KiB", "stream.pace", Warn, " of 4,096 bytes came back in "),
    ("nagle", "stream.two-write", Warn, ""),
    ("slow-accept", "conn.accept", Warn, " at best, the next in "),
    ("eof-delay", "close.eof-delay", Warn, "FIN followed the last byte by "),
    ("banner", "basic.silent", Fail, r#"that nobody sent: "220 ready\r\n""#),
    ("http-error", "basic.hello", Fail, "TTP/1.1 400 Bad "),
    ("extra-byte", "basic.no-extra", Fail, r#"1 bytes came that nobody sent: "\x00""#),
    ("crlf", "basic.octets", Fail, r#"at offset 10 came "\r\n"#),
    ("strip-cr", "basic.octets", Fail, r#"at offset 13 came "\x0e"#),
    ("drop-nul", "basic.octets", Fail, r#"at offset 0 came "\x01"#),
    ("seven-bit", "basic.octets", Fail, r#"at offset 128 came "\x00\x01"#),
    ("telnet", "basic.octets", Fail, r#"came "\xff\xff\xfe"#),
    ("utf8", "basic.octets", Fail, r#"at offset 128 came "\xef\xbf\xbd"#),
    ("corrupt-after", "big.one-mib", Fail, "corrupt at offset 65536, 1 byte"),
    ("duplicate-after", "big.one-mib", Fail, "duplicated "),
    ("swap-after", "big.one-mib", Fail, "reordered "),
    ("drop-after", "big.one-mib", Fail, "lost "),
    ("line-buffered", "basic.no-newline", Fail, "0 of 1 bytes came back, then nothing"),
    ("block-buffered", "basic.no-newline", Fail, "0 of 1 bytes came back, then nothing"),
    ("block-buffered", "stream.boundaries", Fail, "then nothing"),
    ("absorb", "flow.absorbed", Warn, "it took 64 MiB and would take more"),
    ("truncate-after", "big.one-mib", Fail, "65,536 of 1,048,576 bytes came back, then nothing"),
    ("cap", "big.both-ways", Fail, "1,048,576 of 67,108,864 bytes came back, then FIN"),
    ("close-after", "big.one-mib", Fail, "65,536 of 1,048,576 bytes came back, then FIN"),
    ("reset-after", "big.one-mib", Fail, "bytes came back, then RST"),
    ("stall-after", "big.one-mib", Fail, "65,536 of 1,048,576 bytes came back, then nothing"),
    ("close-after-first", "close.not-first", Fail, "message 2: 0 of 64 bytes came back, then FIN"),
    ("lose-tail", "close.half-drain", Fail, "0 of 1 bytes came back, then FIN"),
    ("never-close", "close.eof-delay", Fail, "instead of FIN came nothing"),
    ("never-close", "close.half-empty", Fail, "instead of FIN came nothing"),
    ("reset-on-close", "close.no-rst", Fail, "RST"),
    ("reset-on-close", "close.half-empty", Fail, "instead of FIN came RST"),
    ("idle-close", "conn.idle", Fail, "of silence: 0 of 64 bytes came back, then FIN"),
    ("idle-reset", "conn.idle", Fail, "of silence: 0 of 64 bytes came back, then RST"),
    ("idle-drop", "conn.idle", Fail, "of silence: 0 of 64 bytes came back, then nothing"),
    ("crosstalk", "conn.crosstalk", Fail, "connection "),
    ("one-at-a-time", "conn.burst", Fail, "1 of 256 were served while all were open"),
    ("stall-together", "flow.stalled-peer", Fail, "beside a connection that does not receive: "),
    ("unfair", "flow.fairness", Warn, " beside a connection that returned "),
    ("die-after-reset", "close.reset", Dead, "the next after a reset "),
    ("leak", "conn.serial", Dead, "0 of 64 bytes came back, then nothing"),
    ("leak", "conn.churn", Dead, "0 of 64 bytes came back, then nothing"),
    ("refuse-over", "conn.burst", Warn, "64 of 256 were served while all were open"),
    ("udp-merge", "udp.boundaries", Fail, "a datagram of 20 bytes came back as one of 50"),
    ("udp-reorder", "udp.order", Warn, " were overtaken, 3 times in a row"),
    ("udp-truncate", "udp.sizes", Fail, "512 of a datagram's 513 bytes came back"),
    ("udp-drop-large", "udp.sizes", Warn, "the largest that came: 1,472"),
    ("udp-wrong-source", "udp.source", Fail, " was asked, "),
    ("udp-drop-empty", "udp.empty", Fail, "nothing came back within "),
    ("udp-duplicate", "udp.duplicates", Warn, "32 more than once"),
    ("udp-crossed", "udp.clients", Fail, "that another socket had sent"),
    ("udp-delay", "udp.delay", Warn, " on one machine"),
    ("udp-corrupt", "udp.intact", Fail, "in a datagram of 1,000 bytes, at offset 500 came"),
    ("udp-loss", "udp.loss", Warn, "10 of 100 were lost"),
];

/// What a check makes of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caught {
    /// It warns or fails: how late something is, is the machine's, too.
    Warn,
    Fail,
    /// It fails, and the service is said to be dead after it.
    Dead,
}

pub(crate) fn trials() -> impl Iterator<Item = Trial> {
    let of_rows = ROWS.iter().map(|row @ (fault, id, ..)| {
        Trial::test(format!("{fault} is caught by {id}"), move || {
            assert_caught(row);
            Ok(())
        })
    });
    let all = Trial::test("every fault of the list is caught", || {
        assert_all_are_caught();
        Ok(())
    });
    of_rows.chain([all])
}

/// The check alone: what is caught is not for another to find first.
#[track_caller]
fn assert_caught((fault, id, caught, words): &Row) {
    let scheme = if fault.starts_with("udp-") { "udp" } else { "tcp" };
    let address = format!("{scheme}://127.0.0.1:0");
    let (_server, [bound]) = Server::start_on([&address], &["--fault", fault]);
    let report = json(&check(&[&bound, id, "--strict", "--json"]), 1);
    let [seen] = &report["checks"].as_array().expect("checks")[..] else { panic!("{report}") };
    let outcomes: &[&str] = if *caught == Warn { &["WARN", "FAIL"] } else { &["FAIL"] };
    assert!(outcomes.contains(&seen["outcome"].as_str().expect("text")), "{report}");
    assert!(seen["seen"].as_str().expect("text").contains(words), "no '{words}' in {report}");
    let dead_after = if *caught == Dead { vec![id] } else { Vec::new() };
    assert_eq!(report["dead_after"], serde_json::json!(dead_after), "{report}");
}

fn assert_all_are_caught() {
    let list = Command::new(server_path()).args(["--fault", "list"]).stdin(Stdio::null()).output();
    let list = String::from_utf8(list.expect("starts").stdout).expect("text");
    let listed: BTreeSet<&str> = list.lines().map(name).collect();
    let caught: BTreeSet<&str> = ROWS.iter().map(|(fault, ..)| name(fault)).collect();
    assert_eq!(caught, listed);
}

/// What a fault, or a line of the list, begins with.
fn name(line: &str) -> &str {
    line.split(['=', ' ']).next().unwrap_or(line)
}
