//! Descriptors: as many as may be had are taken, and no more connections than they are enough for.

use std::{
    fs,
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::Command,
    time::Duration,
};

use crate::support::{PATIENCE, Server, server_path};

/// A server started by a shell after `setup`.
fn serve_after(setup: &str, args: &str) -> Server {
    let mut shell = Command::new("sh");
    let line = format!("{setup} && exec \"$0\" --listen 127.0.0.1:0 {args}");
    shell.args(["-c", &line, server_path()]);
    Server::spawn(shell)
}

/// The server's soft and hard limit of open files.
#[cfg(target_os = "linux")]
fn descriptors(server: &Server) -> (String, String) {
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.pid().as_raw_nonzero()));
    let limits = limits.expect("the server runs");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let mut words = line.expect("a limit").split_whitespace().map(str::to_owned);
    (words.next().expect("soft"), words.next().expect("hard"))
}

#[cfg(target_os = "linux")]
#[test]
fn the_limit_of_descriptors_is_raised_as_far_as_it_may_be() {
    let server = serve_after("ulimit -Sn 40 && ulimit -Hn 2000", "");
    assert_eq!(descriptors(&server), ("2000".into(), "2000".into()));
    let ended = server.stop();
    assert!(!ended.log.contains("too few descriptors"), "{}", ended.log);
}

#[test]
fn when_descriptors_are_too_few_there_are_fewer_connections_and_none_is_refused() {
    for engine in ["threads", "auto --workers 1"] {
        let args = format!("--max-connections 100 --engine {engine}");
        let server = serve_after("ulimit -n 64", &args);
        let line = server.wait_for_log("too few descriptors for --max-connections");
        assert!(line.contains("asked=100 connections=23 descriptors=64"), "{line}");
        let mut all: Vec<TcpStream> = (0..40).map(|_| server.connect()).collect();
        for stream in &mut all {
            stream.write_all(b"x").unwrap();
        }
        for stream in &mut all[..23] {
            stream.read_exact(&mut [0]).unwrap();
        }
        let (served, waiting) = all.split_at_mut(23);
        waiting[0].set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        waiting[0].read_exact(&mut [0]).unwrap_err();
        waiting[0].set_read_timeout(Some(PATIENCE)).unwrap();
        for stream in served {
            stream.shutdown(Shutdown::Both).unwrap(); // room for the others
        }
        for stream in waiting {
            stream.read_exact(&mut [0]).unwrap();
        }
        drop(all);
        let ended = server.stop();
        assert_eq!(ended.count("connections"), 40, "{}", ended.log);
        assert!(!ended.log.contains("cannot accept"), "{}", ended.log);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn who_comes_when_no_thread_can_be_had_waits_for_one() {
    if !rustix::process::geteuid().is_root() {
        let _ = writeln!(io::stderr(), "LEFT OUT, needs root: a user of its own, with a limit");
        return;
    }
    // Where that user can read it, wherever we were built.
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = place.path().join("echo-server");
    fs::copy(server_path(), &program).unwrap();
    let mut shell = Command::new("sh");
    // Four threads to run at all, so about four for connections. bash says -u, dash -p.
    let limit = "if (ulimit -u 8) 2>/dev/null; then ulimit -u 8; else ulimit -p 8; fi";
    let line = format!("{limit} && exec \"$0\" --listen 127.0.0.1:0 --engine threads");
    shell.args(["-c", &line]);
    shell.arg(program).uid(1_000_000 + std::process::id()); // all its threads are the server's
    let server = Server::spawn(shell);
    let ping = |mut stream: &TcpStream| {
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
    };
    let first = server.connect();
    ping(&first);
    let mut all: Vec<TcpStream> = (0..10).map(|_| server.connect()).collect();
    server.wait_for_log("cannot accept; pausing, connections go on");
    for stream in &mut all {
        stream.write_all(b"y").unwrap();
    }
    ping(&first);
    // As one ends, the next is served; nobody was reset.
    drop(first);
    for mut stream in all {
        stream.read_exact(&mut [0]).unwrap();
    }
    assert_eq!(server.stop().count("connections"), 11);
}
