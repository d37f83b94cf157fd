//! Results on disk: written whole, merged, compared, and refused where they are not right.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{Server, client, client_path, client_to_nowhere};

#[track_caller]
fn said(output: &Output, code: i32) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

/// A short load, whatever this machine makes of it: 0 when its figures are valid, else 3.
fn bench(server: &Server, folder: &Path, args: &[&str]) {
    let mut command = client(server);
    command.args(["-q", "bench", "-c", "2", "--warmup", "0s"]).args(args).current_dir(folder);
    let output = command.output().expect("starts");
    let code = output.status.code();
    assert!(matches!(code, Some(0 | 3)), "{}", String::from_utf8_lossy(&output.stderr));
}

fn report(folder: &Path, args: &[&str]) -> Output {
    client_to_nowhere().arg("report").args(args).current_dir(folder).output().expect("starts")
}

fn report_json(folder: &Path, files: &[&str]) -> Value {
    let output = report(folder, &[&["--json"], files].concat());
    serde_json::from_slice(&output.stdout).expect("one object")
}

#[test]
fn the_worked_example_of_a_fleet_is_true() {
    let page = include_str!("../../crates/echo-client/docs/fleet.md");
    let (_, script) = page.split_once("```sh\n").expect("an example");
    let (script, _) = script.split_once("```").expect("its end");
    let folder = tempfile::tempdir().unwrap();
    symlink(client_path(), folder.path().join("echo-client")).unwrap();
    let path = std::env::var("PATH").unwrap();
    let server = Server::start(&[]);
    let output = Command::new("sh")
        .args(["-c", script])
        .current_dir(folder.path())
        .env("PATH", format!("{}:{path}", folder.path().display()))
        .env("ECHO_TARGET", &server.endpoint)
        .output()
        .unwrap();
    let (told, said) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // A busy machine may make the figures invalid, which has to be said then.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{said}");
    assert_eq!(output.status.code() == Some(3), told.contains("INVALID"), "{told}{said}");
    assert!(told.contains("2 instances, merged"), "{told}{said}");
    assert!(!told.contains("missing") && !said.contains("missing"), "{said}");
    let merged = report_json(folder.path(), &["part-0.hlog", "part-1.hlog"]);
    assert_eq!(merged["runs"].as_array().map(Vec::len), Some(1), "{merged}");
    let parts = ["part-0.hlog", "part-1.hlog"].map(|part| {
        report_json(folder.path(), &[part])["response_ns"]["samples"].as_u64().unwrap()
    });
    assert_eq!(merged["response_ns"]["samples"], parts[0] + parts[1]);
    // Of a run that is invalid, some may be unsent.
    let due = if output.status.code() == Some(0) { 2000..=2000 } else { 1..=2000 };
    assert!(due.contains(&(parts[0] + parts[1])), "messages due in 2 s: {parts:?}");
    let page = fs::read_to_string(folder.path().join("run.html")).unwrap();
    assert!(page.ends_with("</html>\n") && page.contains("2 instances"));
}

#[test]
fn logs_and_lines_of_json_are_merged_and_compared() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    for at in 0..2 {
        bench(&server, folder.path(), &["-d", "300ms", "--hlog", &format!("{at}.hlog")]);
    }
    let mut lines = Vec::new();
    for _ in 0..2 {
        let mut command = client(&server);
        command.args(["--json", "bench", "-c", "2", "--warmup", "0s", "-d", "300ms"]);
        lines.extend(command.output().unwrap().stdout);
    }
    fs::write(folder.path().join("old.json"), lines).unwrap();
    let files = ["0.hlog", "1.hlog", "--baseline", "old.json", "--html", "run.html"];
    let output = report(folder.path(), &files);
    let told = String::from_utf8_lossy(&output.stdout);
    for words in ["2 runs, merged", "service time", "against the baseline of 2 runs", "Student's"] {
        assert!(told.contains(words), "no '{words}' in {told}");
    }
    let page = fs::read_to_string(folder.path().join("run.html")).unwrap();
    assert!(page.contains("Compared with the baseline"));
}

#[test]
fn a_result_that_cannot_be_written_is_said_before_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let start = Instant::now();
    for flag in ["--hlog", "--html"] {
        let args = ["bench", "127.0.0.1:1", "-d", "1h", flag, "missing/result"];
        let output = client_to_nowhere().args(args).current_dir(folder.path()).output().unwrap();
        let said = said(&output, 2);
        assert_eq!(said.lines().count(), 1, "{said}");
        for words in ["cannot write missing/result", "No such file", "create its folder first"] {
            assert!(said.contains(words), "no '{words}' in {said}");
        }
    }
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said_and_leaves_no_half_of_a_file() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    for flag in ["--hlog", "--html"] {
        let mut command = client(&server);
        command.args([
            "-q",
            "bench",
            "-c",
            "2",
            "-d",
            "100ms",
            "--warmup",
            "0s",
            flag,
            "/dev/full",
        ]);
        let said = said(&command.output().unwrap(), 2);
        assert!(said.contains("cannot write /dev/full: No space left"), "{said}");
        assert!(said.contains("make room there"), "{said}");
    }
    bench(&server, folder.path(), &["-d", "100ms", "--hlog", "one.hlog"]);
    let full = report(folder.path(), &["one.hlog", "--html", "/dev/full"]);
    assert!(said(&full, 2).contains("cannot write /dev/full"));
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names, ["one.hlog"]);
}

#[test]
fn a_log_goes_through_a_pipe() {
    let server = Server::start(&[]);
    let mut command = client(&server);
    command.args(["-q", "bench", "-c", "1", "-d", "100ms", "--warmup", "0s", "--hlog", "-"]);
    let log = command.output().unwrap().stdout;
    assert!(log.starts_with(b"#[Histogram log format version 1.3]\n"));
    let mut command = client_to_nowhere();
    let output =
        command.args(["report", "-", "--html", "-", "-q"]).write_stdin(log).output().unwrap();
    assert!(output.stdout.starts_with(b"<!DOCTYPE html>") && output.stdout.ends_with(b"</html>\n"));
}

#[test]
fn a_file_that_is_no_result_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("notes"), "milk\n").unwrap();
    fs::write(folder.path().join("empty"), "").unwrap();
    for (file, words) in [
        ("notes", ["notes: line 1: not an HdrHistogram log", "'echo-client bench --hlog FILE'"]),
        ("empty", ["empty: it is empty", "write it again"]),
        ("gone", ["gone: cannot open it: No such file", "check its name"]),
    ] {
        let said = said(&report(folder.path(), &[file]), 2);
        assert_eq!(said.lines().count(), 1, "{said}");
        for words in words {
            assert!(said.contains(words), "no '{words}' in {said}");
        }
    }
}
