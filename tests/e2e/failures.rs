//! What goes wrong on a path or a command line, and how it is said: exit code, cause, fix.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::process::CommandExt,
    process::{Command, Output, Stdio},
};

use predicates::str::contains;
use rustix::process::Signal;
#[cfg(target_os = "linux")]
use rustix::process::{Resource, Rlimit, prlimit};

use crate::{
    bench::serve,
    support::{
        Server, client_path, client_to_nowhere, noise, output_of,
        peers::{reset, serve_once},
        place::assert_echoes,
        server_path,
    },
};

/// One line that names cause and fix, and the exit code.
#[track_caller]
fn assert_said(output: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    for word in words {
        assert!(said.contains(word), "no '{word}' in: {said}");
    }
}

fn server(args: &[&str]) -> Output {
    Command::new(server_path()).args(args).stdin(Stdio::null()).output().expect("starts")
}

fn client(args: &[&str]) -> Output {
    client_to_nowhere().args(args).output().expect("starts")
}

#[test]
fn a_server_killed_mid_stream_is_noticed_with_the_offset() {
    let server = Server::start(&[]);
    let mut endless = Command::new("yes").stdout(Stdio::piped()).spawn().unwrap();
    let mut sending = Command::new(client_path())
        .args(["-f", "-", &server.endpoint])
        .stdin(endless.stdout.take().unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = sending.stdout.take().unwrap();
    let mut seen = vec![0; 1 << 20];
    stdout.read_exact(&mut seen).unwrap();
    server.signal(Signal::KILL);
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).unwrap();
    let output = output_of(sending);
    let _ = endless.kill();
    let _ = endless.wait();
    let offset = seen.len() + rest.len();
    assert_said(
        &output,
        1,
        &[&format!("incomplete: identical up to offset {offset}, then nothing")],
    );
}

#[test]
fn damage_is_named_with_its_offset() {
    let exchange = |answer: fn(TcpStream)| client(&[&serve_once(answer), "-m", "0123456789"]);
    let flipped = exchange(|mut stream| {
        let mut bytes = [0; 10];
        stream.read_exact(&mut bytes).unwrap();
        bytes[7] ^= 0x20;
        stream.write_all(&bytes).unwrap();
    });
    assert_said(&flipped, 1, &["at offset 7, 0x37 was sent and 0x17 returned"]);
    let extra = exchange(|mut stream| {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        stream.write_all(&bytes).unwrap();
        stream.write_all(b"!").unwrap();
    });
    assert_said(&extra, 1, &["from offset 10 on, more returned than was sent"]);
    let short = exchange(|mut stream| {
        let mut bytes = [0; 10];
        stream.read_exact(&mut bytes).unwrap();
        stream.write_all(&bytes[..4]).unwrap();
    });
    assert_said(&short, 1, &["identical up to offset 4, then nothing", "the peer closed"]);
    let torn = exchange(|mut stream| {
        let mut bytes = [0; 10];
        stream.read_exact(&mut bytes).unwrap();
        reset(stream);
    });
    assert_said(&torn, 1, &["identical up to offset 0, then nothing", "reset"]);
}

#[test]
fn a_service_that_keeps_the_connection_open_or_closes_at_once_is_fine_if_all_is_back() {
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let open = serve_once(move |mut stream| {
        let mut bytes = [0; 10];
        stream.read_exact(&mut bytes).unwrap();
        stream.write_all(&bytes).unwrap();
        let _ = wait.recv();
    });
    let output = client(&[&open, "-m", "0123456789"]);
    assert_said(&output, 0, &["identical: 10 bytes", "the peer keeps the connection open"]);
    drop(done);
    let closing = serve_once(|mut stream| {
        let mut bytes = [0; 10];
        stream.read_exact(&mut bytes).unwrap();
        stream.write_all(&bytes).unwrap();
    });
    assert_said(&client(&[&closing, "-m", "0123456789"]), 0, &["identical: 10 bytes"]);
}

#[test]
fn a_service_that_answers_nothing_runs_into_the_timeout() {
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let silent = serve_once(move |_stream| {
        let _ = wait.recv();
    });
    let output = client(&[&silent, "--timeout", "100ms"]);
    drop(done);
    assert_said(&output, 1, &["30 bytes sent, 0 returned; nothing came for 100 ms"]);
}

#[test]
fn a_refused_connection_is_the_paths_fault() {
    // A port that was free a moment ago, and that nobody listens on.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let output = client(&[&free]);
    assert_said(&output, 1, &["cannot connect to tcp://127.0.0.1:", "refused", "start the server"]);
}

#[test]
fn a_bad_address_is_a_usage_error() {
    for (target, cause) in [
        ("nowhere", "the port is missing"),
        ("127.0.0.1:99999", "port '99999' is not a number from 0 to 65535"),
        ("http://127.0.0.1:80", "unknown scheme 'http'"),
        ("::1:7", "goes in brackets"),
    ] {
        assert_said(&client(&[target]), 2, &["echo-client: ", cause, "see 'echo-client --help'"]);
        assert_said(
            &server(&["-l", target]),
            2,
            &["echo-server: ", cause, "see 'echo-server --help'"],
        );
    }
    let from_env = client_to_nowhere().env("ECHO_TARGET", "nowhere").output().unwrap();
    assert_said(&from_env, 2, &["the port is missing"]);
}

#[test]
fn an_unknown_flag_is_a_usage_error() {
    assert_said(&server(&["--framin", "raw"]), 2, &["'--framin'", "'--framing'", "--help"]);
    assert_said(&client(&["--messag", "x"]), 2, &["'--messag'", "'--message'", "--help"]);
    assert_said(&server(&["--framing", "lines"]), 2, &["unknown framing 'lines'", "use raw, line"]);
    assert_said(&server(&["--idle-timeout", "5"]), 2, &["not a duration", "as in 250ms"]);
    assert_said(&client(&["--timeout", "0s"]), 2, &["--timeout", "more than nothing"]);
    assert_said(&server(&["--max-frame", "5"]), 2, &["--max-frame has no meaning", "raw"]);
    let threads = server(&["--engine", "threads", "--workers", "2"]);
    assert_said(&threads, 2, &["--engine threads", "leave --workers out"]);
    let threads = server(&["--engine", "threads", "--spin", "1ms"]);
    assert_said(&threads, 2, &["--engine threads", "leave --spin out"]);
    assert_said(&server(&["--workers", "1025"]), 2, &["--workers", "1..=1024"]);
}

#[test]
fn a_port_in_use_is_said_with_a_way_out() {
    let other = Server::start(&[]);
    let output = server(&["-l", &other.endpoint]);
    assert_said(&output, 2, &["cannot listen on", &other.endpoint, "in use", "port 0"]);
}

#[test]
fn an_address_of_another_machine_is_said_with_a_way_out() {
    // TEST-NET-1 (RFC 5737) belongs to no machine; binding sends nothing.
    let output = server(&["-l", "192.0.2.1:0"]);
    assert_said(&output, 2, &["cannot listen on tcp://192.0.2.1:0", "0.0.0.0 for all"]);
}

#[test]
fn a_privileged_port_is_said_with_a_way_out() {
    let first_free = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let first_free: u16 = first_free.map_or(1024, |text| text.trim().parse().unwrap());
    assert!(first_free > 1, "ip_unprivileged_port_start has to be above 1 for this test");
    let mut command = Command::new(server_path());
    command.args(["-l", "127.0.0.1:1"]).stdin(Stdio::null());
    if rustix::process::getuid().is_root() {
        command.uid(65534).gid(65534); // nobody
    }
    let output = command.output().expect("starts as another user");
    assert_said(
        &output,
        2,
        &["cannot listen on tcp://127.0.0.1:1", "denied", "CAP_NET_BIND_SERVICE"],
    );
}

#[test]
fn nobody_reading_the_announcement_is_no_error() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    drop(reader);
    let child = Command::new(server_path())
        .args(["--once", "-l", &free])
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It does not say when it listens: ask until it does.
    while !client(&[&free]).status.success() {}
    let output = output_of(child);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_stderr_that_cannot_be_written_changes_no_exit_code() {
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let code = |path: &str, args: &[&str]| {
        let mut command = Command::new(path);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(full());
        command.status().unwrap().code()
    };
    let server = Server::start(&[]);
    assert_eq!(code(client_path(), &[&server.endpoint]), Some(0));
    assert_eq!(code(client_path(), &["nowhere"]), Some(2));
    assert_eq!(code(server_path(), &["--nope"]), Some(2));
    assert_eq!(code(server_path(), &["-l", &server.endpoint]), Some(2));
}

#[test]
fn an_empty_frame_that_does_not_come_back_is_missed() {
    let swallow = serve_once(|mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
    });
    let output = client(&[&swallow, "--framing", "u32", "-m", ""]);
    assert_said(&output, 1, &["0 bytes sent, 0 returned, 1 frames missing", "the peer closed"]);
}

#[test]
fn a_peer_that_never_stops_sending_does_not_hold_the_client() {
    let chargen = serve_once(|mut stream| while stream.write_all(b"0123456789").is_ok() {});
    let output = client(&[&chargen, "-m", "0123456789"]);
    assert_said(&output, 1, &["different: from offset ", " on, more returned than was sent"]);
}

#[test]
fn frames_before_a_bad_input_come_back_before_the_error_is_said() {
    let server = Server::start(&[]);
    for _ in 0..5 {
        let mut sending = client_to_nowhere();
        sending.args([&server.endpoint, "--framing", "line", "--max-frame", "5", "-f", "-"]);
        sending.write_stdin("12345\nabc\n123456\n");
        sending.assert().code(2).stdout("12345\nabc\n").stderr(contains("frame 3 from stdin"));
    }
}

#[test]
fn a_large_message_on_a_dying_path_never_hangs() {
    let gone = serve_once(|mut stream| {
        let mut some = [0; 1000];
        stream.read_exact(&mut some).unwrap();
        stream.write_all(&some).unwrap();
        reset(stream);
    });
    let mut sending = client_to_nowhere();
    sending.args([&gone, "-f", "-"]).write_stdin(noise(4 << 20));
    sending.assert().code(1).stderr(contains("identical up to offset"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_that_cannot_go_on_still_tells_what_it_has_served() {
    let server = Server::start(&["--engine", "threads", "-v"]);
    assert_echoes(server.connect());
    server.wait_for_log("disconnected");
    // poll(2) fails for more descriptors than a process may have.
    let few = Rlimit { current: Some(1), maximum: Some(1) };
    prlimit(Some(server.pid()), Resource::Nofile, few).unwrap();
    let _knocks = server.connect();
    let ended = server.wait();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
    assert!(ended.log.contains("cannot go on"), "{}", ended.log);
    assert_eq!((ended.count("connections"), ended.count("echoed")), (1, 5), "{}", ended.log);
}

#[test]
fn who_answers_and_does_not_echo_is_asked_about() {
    let other = serve(|_, mut stream| {
        while stream.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {
            if stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").is_err() {
                return;
            }
        }
    });
    let ping = client(&["ping", &other, "-c", "3", "-i", "0s", "-s", "20"]);
    let told = String::from_utf8_lossy(&ping.stdout);
    assert!(told.contains("3 corrupt") && told.contains("is that an echo service?"), "{told}");
    let bench = client(&["bench", &other, "-c", "2", "-d", "300ms", "--warmup", "0s"]);
    assert_said(&bench, 1, &["the path failed: ", "is that an echo service?"]);
}
