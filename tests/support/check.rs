//! `echo-client check`, and what it says.

use std::process::Output;

use serde_json::Value;

use super::client_to_nowhere;

/// With more time than a person would give it: others may be using the machine.
pub(crate) fn check(args: &[&str]) -> Output {
    client_to_nowhere().args(["check", "--deadline", "2m"]).args(args).output().expect("starts")
}

/// What is printed, once the exit code is as it should be.
#[track_caller]
pub(crate) fn told(output: &Output, code: i32) -> String {
    let [stdout, stderr] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
    stdout.into_owned()
}

/// What `--json` prints, once the exit code is as it should be.
#[track_caller]
pub(crate) fn json(output: &Output, code: i32) -> Value {
    told(output, code);
    report(output)
}

/// What `--json` prints, whatever the exit code says.
#[track_caller]
pub(crate) fn report(output: &Output) -> Value {
    let line = output.stdout.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty());
    serde_json::from_slice(line.unwrap_or_default())
        .unwrap_or_else(|_| panic!("no JSON: {output:?}"))
}

/// The checks' ids with this outcome, and what they have seen.
pub(crate) fn with_outcome(report: &Value, outcome: &str) -> Vec<String> {
    let checks = report["checks"].as_array().expect("checks");
    let meant = checks.iter().filter(|check| check["outcome"] == outcome);
    meant.map(|check| format!("{}: {}", check["id"], check["seen"])).collect()
}
