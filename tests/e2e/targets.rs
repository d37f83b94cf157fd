//! Where `send` goes, what it says there as JSON, and flags that stand before the command.

use std::{os::unix::net::UnixListener, thread};

use crate::support::{Server, client, client_to_nowhere};

#[test]
fn a_unix_socket_returns_what_is_sent_and_json_tells_so_on_stderr() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("echo.sock");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        let stream = listener.accept().unwrap().0;
        let _ = std::io::copy(&mut &stream, &mut &stream);
    });
    let target = format!("unix:{}", path.display());
    let output =
        client_to_nowhere().args(["--json", "send", &target, "-m", "hi"]).output().unwrap();
    assert_eq!(output.stdout, b"hi");
    let said = String::from_utf8_lossy(&output.stderr);
    let object = said.trim_end().lines().last().unwrap_or_default();
    for part in
        ["{\"schema\":1,\"kind\":\"send\",", "\"identical\":true,\"sent\":2,\"returned\":2,"]
    {
        assert!(object.contains(part), "no {part} in: {object}");
    }
    assert!(object.contains(&target), "{object}");
}

#[test]
fn flags_of_all_commands_stand_anywhere() {
    let server = Server::start(&[]);
    for line in [
        &["--timeout", "9s", "-4", "-m", "x"][..],
        &["--timeout=9s", "send", "--source", "127.0.0.1", "-m", "x"],
        &["-q", "send", "-m", "x", "--color", "never", "--connect-timeout", "9s"],
    ] {
        client(&server).args(line).assert().success().stdout("x");
    }
}

#[test]
fn what_cannot_be_reached_as_asked_is_a_usage_error() {
    for (args, said) in [
        (&["udp://127.0.0.1:7"][..], "send needs a stream"),
        (&["-6", "127.0.0.1:7"], "the host has no IPv6 address"),
        (&["-4", "unix:/nowhere"], "leave out -4, -6 and --source"),
        (&["--source", "192.0.2.1", "127.0.0.1:7"], "use an address that this machine has"),
    ] {
        let output = client_to_nowhere().args(args).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(said), "no '{said}' in: {stderr}");
    }
}
