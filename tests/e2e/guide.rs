//! The guide's exchange, and the same with other bytes.

use predicates::{prelude::*, str::contains};

use crate::support::{Server, client, client_path};

const MESSAGE: &str = "Hello, server! This is a test.";

#[test]
fn the_guides_message_comes_back_and_both_sides_tell_of_it() {
    let server = Server::start(&["-v"]);
    client(&server)
        .arg("-v")
        .assert()
        .success()
        .stdout(MESSAGE)
        .stderr(contains(format!("sent bytes=30 data=\"{MESSAGE}\"")))
        .stderr(contains(format!("received bytes=30 data=\"{MESSAGE}\"")))
        .stderr(contains("identical: 30 bytes sent and returned"));
    server.wait_for_log("connected");
    assert!(server.wait_for_log("received").contains(MESSAGE));
    assert!(server.wait_for_log("echoed").contains("bytes=30"));
    assert!(server.wait_for_log("disconnected").contains("received=30 echoed=30"));
    assert!(server.stop().status.success());
}

#[test]
fn a_bare_command_and_send_are_the_same_and_the_target_may_be_an_argument() {
    let server = Server::start(&[]);
    client(&server).args(["-m", "one"]).assert().success().stdout("one");
    client(&server).args(["-q", "send"]).assert().success().stdout(MESSAGE).stderr("");
    client(&server).args(["send", "-m", "two"]).assert().success().stdout("two");
    let mut direct = assert_cmd::Command::new(client_path());
    direct.env_remove("ECHO_TARGET").arg(&server.endpoint).assert().success().stdout(MESSAGE);
}

#[test]
fn every_byte_value_comes_back() {
    let server = Server::start(&[]);
    let all: Vec<u8> = (0..=255).collect();
    client(&server).args(["-f", "-"]).write_stdin(all.clone()).assert().success().stdout(all);
}

#[test]
fn no_byte_at_all_is_identical_too() {
    let server = Server::start(&[]);
    let silent = || predicate::str::is_empty();
    client(&server).args(["-m", ""]).assert().success().stdout(silent());
    client(&server).args(["-f", "-"]).write_stdin("").assert().success().stdout(silent());
}

#[test]
fn quiet_says_nothing_and_nothing_else_changes() {
    let server = Server::start(&["-q"]);
    client(&server).arg("-q").assert().success().stdout(MESSAGE).stderr("");
    assert_eq!(server.stop().log, "");
}

#[test]
fn what_a_peer_sends_is_escaped_in_the_log() {
    let server = Server::start(&["-v"]);
    client(&server).args(["-m", "\u{1b}[2J\r\n"]).assert().success();
    assert!(server.wait_for_log("received").contains(r#"data="\x1b[2J\r\n""#));
}

#[test]
fn a_json_log_has_one_object_per_line() {
    let server = Server::start(&["-v", "--log-format", "json"]);
    client(&server).assert().success();
    let log = server.stop().log;
    assert!(log.lines().count() >= 4, "{log}");
    for line in log.lines() {
        assert!(line.starts_with("{\"timestamp\":") && line.ends_with('}'), "{line}");
    }
    assert!(log.contains(r#""message":"received""#), "{log}");
}

#[test]
fn help_and_version_are_no_errors() {
    for argument in ["--help", "--version"] {
        for path in [client_path(), crate::support::server_path()] {
            assert_cmd::Command::new(path).arg(argument).assert().success().stderr("");
        }
    }
}
