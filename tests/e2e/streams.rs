//! Streams of any size, both ways at once, with half-close at the end.

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
};

use predicates::str::contains;

use crate::support::{Server, client, client_path, noise, output_of};

#[test]
fn a_file_comes_back_the_same() {
    let server = Server::start(&[]);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let sent = noise(1_000_003);
    file.write_all(&sent).unwrap();
    client(&server).arg("-f").arg(file.path()).assert().success().stdout(sent);
}

#[test]
fn a_closed_stdout_ends_an_endless_stream_without_an_error() {
    let server = Server::start(&[]);
    let mut endless = Command::new("yes").stdout(Stdio::piped()).spawn().unwrap();
    let mut sending = Command::new(client_path())
        .args(["send", "-f", "-", &server.endpoint])
        .stdin(endless.stdout.take().unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 2];
    let mut stdout = sending.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    drop(stdout);
    let output = output_of(sending);
    let _ = endless.kill();
    let _ = endless.wait();
    assert_eq!(&first, b"y\n");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("our output was closed"), "{said}");
}

#[test]
fn who_reads_our_output_slowly_is_not_taken_for_a_path_that_stands() {
    let server = Server::start(&[]);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let sent = noise(1 << 20);
    file.write_all(&sent).unwrap();
    let mut sending = Command::new(client_path())
        .args(["send", &server.endpoint, "--timeout", "300ms", "-f"])
        .arg(file.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0];
    sending.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    std::thread::sleep(std::time::Duration::from_secs(1)); // what the test is about
    let output = output_of(sending);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(first[0] == sent[0] && output.stdout == sent[1..]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a_local_error() {
    let server = Server::start(&[]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Command::new(client_path()).arg(&server.endpoint).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("cannot write the returned bytes to stdout: No space left"), "{said}");
}

#[test]
fn an_interrupt_ends_with_a_summary() {
    let server = Server::start(&[]);
    let mut sending = Command::new(client_path())
        .args(["-v", "-f", "-", &server.endpoint])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = sending.stdin.take().unwrap();
    stdin.write_all(b"typed\n").unwrap();
    let mut back = [0; 6];
    sending.stdout.as_mut().unwrap().read_exact(&mut back).unwrap();
    assert_eq!(&back, b"typed\n", "an answer comes while the input is open");
    let pid = rustix::process::Pid::from_child(&sending);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = output_of(sending);
    drop(stdin);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("identical up to offset 6; 6 bytes sent, 6 returned; interrupted"),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(0), "all that was sent had come back");
}

#[test]
fn what_cannot_be_read_is_a_local_error_that_names_the_file() {
    let server = Server::start(&[]);
    let missing = client(&server).args(["-f", "/no/such/file"]).assert().code(2);
    missing.stderr(contains("cannot read '/no/such/file': No such file or directory"));
    let folder = client(&server).args(["-f", "/"]).assert().code(2);
    folder.stderr(contains("cannot read '/': Is a directory"));
}
