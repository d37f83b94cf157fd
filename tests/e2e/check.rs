//! `check`: how it says what it has seen, and how its run goes. What it sees is the matrix's.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{
    Server,
    check::{check, json, told, with_outcome},
    client_path, output_of,
    place::Place,
};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Where a service is that does this with each connection, as long as it says so; then it is gone.
fn serve(mut answer: impl FnMut(TcpStream) -> bool + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let target = listener.local_addr().expect("bound").to_string();
    thread::spawn(move || listener.incoming().flatten().all(&mut answer));
    target
}

#[test]
fn what_is_broken_has_words_about_it_and_fails() {
    let target = serve(|stream| {
        drop(stream);
        true
    });
    let said = told(&check(&[&target, "basic.hello"]), 1);
    assert!(said.starts_with(&format!("CHECK tcp://{target}: 1 checks, round trip ")), "{said}");
    for words in ["FAIL  basic.hello ", "\n      expected: The same", "\n      hint:     No echo"] {
        assert!(said.contains(words), "no '{words}' in: {said}");
    }
    assert!(said.contains("\n1 FAIL in "), "{said}");
    let quiet = told(&check(&[&target, "basic.hello", "-q"]), 1);
    assert!(quiet.starts_with("FAIL  basic.hello "), "{quiet}");
}

/// Answers twice: that is odd, and nothing is lost.
fn serve_twice() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("binds");
    let target = format!("udp://{}", socket.local_addr().expect("bound"));
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            for _ in 0..2 {
                let _ = socket.send_to(&buffer[..len], from);
            }
        }
    });
    target
}

#[test]
fn a_warning_fails_only_where_it_is_told_to() {
    let target = serve_twice();
    for (args, code) in [(&[][..], 0), (&["--strict"], 1)] {
        let output = check(&[&[&*target, "udp.one", "udp.duplicates"], args].concat());
        let said = told(&output, code);
        assert!(said.contains("PASS  udp.one"), "{said}");
        assert!(said.contains("WARN  udp.duplicates"), "{said}");
        assert!(said.contains("1 PASS, 1 WARN, 0 FAIL in "), "{said}");
    }
}

#[test]
fn what_cannot_be_asked_for_is_refused_with_a_fix() {
    for (args, fix) in [
        (&["basic.helo"][..], "no check is called 'basic.helo'"),
        (&["hello"], "did you mean 'basic.hello'?"),
        (&["udp://127.0.0.1:7", "basic"], "name a TCP port"),
        (&["127.0.0.1:7", "--junit", "/nowhere/x.xml"], "create its folder first"),
        (&["127.0.0.1:7", "127.0.0.1:8"], "two targets"),
    ] {
        let output = check(args);
        told(&output, 2);
        assert!(text(&output.stderr).contains(fix), "{}", text(&output.stderr));
    }
}

#[test]
fn nobody_there_is_a_path_that_fails() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("binds").local_addr().expect("bound");
    let path = format!("unix:{}", Place::new().path().display());
    for target in [format!("tcp://{closed}"), format!("udp://{closed}"), path] {
        let output = check(&[&target]);
        assert_eq!(told(&output, 1), "");
        let said = text(&output.stderr);
        assert!(said.starts_with(&format!("echo-client: cannot connect to {target}: ")), "{said}");
        assert!(said.contains("start the server"), "{said}");
    }
}

#[test]
fn the_list_is_a_page_about_the_checks_that_are_meant() {
    let whole = told(&check(&["--list"]), 0);
    assert!(whole.starts_with("# What `echo-client check` checks\n"), "{whole}");
    for id in ["basic.hello", "udp.source"] {
        assert!(whole.contains(&format!("\n### {id} (must)\n")), "no {id} in: {whole}");
    }
    let family = told(&check(&["--list", "udp"]), 0);
    assert!(family.starts_with("## udp\n"), "{family}");
    assert!(whole.contains(&family), "{family}");
    assert!(told(&check(&["--list", "udp.one"]), 0).contains("- source: RFC 862"));
}

#[test]
fn junit_is_written_whole_or_said_not_to_be() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("check.xml");
    let file = file.to_str().expect("a name");
    let output = check(&[&server.endpoint, "basic", "--junit", file]);
    assert!(told(&output, 0).contains("6 PASS, 0 FAIL"));
    let xml = fs::read_to_string(file).expect("a file");
    assert!(xml.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites "), "{xml}");
    assert_eq!(xml.matches("<testcase classname=\"basic\" name=\"basic.").count(), 6, "{xml}");
    assert!(xml.ends_with("</testsuites>\n"), "{xml}");
    let alone = told(&check(&[&server.endpoint, "basic", "--junit", "-"]), 0);
    assert!(alone.starts_with("<?xml ") && alone.ends_with("</testsuites>\n"), "{alone}");
    if cfg!(target_os = "linux") {
        let output = check(&[&server.endpoint, "basic.hello", "--junit", "/dev/full"]);
        told(&output, 2);
        let said = text(&output.stderr);
        assert!(said.contains("cannot write /dev/full: No space left"), "{said}");
    }
}

#[test]
fn whatever_a_peer_sends_reaches_no_terminal_and_no_file_as_it_is() {
    let target = serve(|mut stream| {
        let _ = stream.write_all(b"\x1b[2J\0\x07\xff]]>&<");
        thread::spawn(move || io::copy(&mut stream, &mut io::sink()));
        true
    });
    let args = [&*target, "basic", "--timeout", "300ms", "--color", "never"];
    let table = check(&args);
    told(&table, 1);
    let xml = check(&[&args[..], &["--junit", "-"]].concat());
    let json = check(&[&args[..], &["--json"]].concat());
    for output in [&table.stdout, &xml.stdout, &json.stdout] {
        let printed = String::from_utf8(output.clone()).expect("text");
        let is_shown = |c: char| !c.is_control() || c == '\n';
        assert!(printed.chars().all(is_shown), "{printed:?}");
        assert!(printed.contains(r"x1b[2J"), "{printed}");
    }
}

#[test]
fn colours_are_for_terminals_or_for_who_asks() {
    let server = Server::start(&[]);
    let plain = told(&check(&[&server.endpoint, "basic.hello"]), 0);
    assert!(!plain.contains('\x1b'), "{plain:?}");
    let coloured = told(&check(&[&server.endpoint, "basic.hello", "--color", "always"]), 0);
    assert!(coloured.contains("\x1b[32mPASS\x1b[0m  basic.hello "), "{coloured:?}");
}

#[test]
fn verbose_says_how_long_each_took_and_logs_each_connection() {
    let server = Server::start(&[]);
    let output = check(&[&server.endpoint, "basic.hello", "-v"]);
    let said = told(&output, 0);
    let line = said.lines().nth(1).expect("a check");
    assert!(line.starts_with("PASS  basic.hello ") && line.ends_with("s)"), "{line}");
    assert!(text(&output.stderr).contains("DEBUG connected peer="), "{output:?}");
}

/// A run of all checks on a service that takes connections and says nothing, with its first line read.
fn on_a_mute_service(args: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut streams = Vec::new();
    let target = serve(move |stream| {
        streams.push(stream);
        true
    });
    let mut child = Command::new(client_path())
        .args(["check", &target, "--timeout", "500ms"])
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut head = String::new();
    stdout.read_line(&mut head).expect("a line");
    assert!(head.starts_with("CHECK tcp://"), "{head}");
    (child, stdout)
}

#[test]
fn a_closed_pipe_ends_the_run_and_is_no_error_of_ours() {
    let (child, stdout) = on_a_mute_service(&[]);
    drop(stdout);
    let output = output_of(child);
    assert!(output.status.code().is_some_and(|code| code < 2), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn the_first_ctrl_c_brings_the_summary() {
    let (child, mut stdout) = on_a_mute_service(&[]);
    kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("text");
    let tail = rest.lines().last().expect("a summary");
    assert!(tail.contains(" FAIL") && tail.contains("; interrupted, "), "{rest}");
    assert!(tail.ends_with(" not run"), "{rest}");
    assert!(output_of(child).status.code().is_some(), "{rest}");
}

#[test]
fn a_service_that_dies_is_named_with_what_it_died_of() {
    let target = serve(|mut stream| {
        let mut seen = [0; 512];
        let len = stream.read(&mut seen).unwrap_or(0);
        let _ = stream.write_all(&seen[..len.min(256)]);
        len < 512 // which basic.octets sends
    });
    let output = check(&[&target, "basic.hello", "basic.octets", "basic.no-newline", "--json"]);
    let report = json(&output, 1);
    assert_eq!(report["dead_after"], serde_json::json!(["basic.octets"]));
    assert_eq!(report["dead"], true);
    let skipped = with_outcome(&report, "SKIP");
    assert_eq!(skipped, [r#""basic.no-newline": "the service is dead after basic.octets""#]);
}
