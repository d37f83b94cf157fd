//! A run as `--json` prints it; every field is documented in `docs/json.md`.

use serde::Serialize;

use super::{case::Outcome, report::Report};
use crate::{bench::nanos, json_line};

#[derive(Debug, Serialize)]
struct Object<'a> {
    schema: u32,
    kind: &'static str,
    version: &'static str,
    target: String,
    rtt_ns: u64,
    elapsed_ns: u64,
    interrupted: bool,
    time_is_up: bool,
    passed: usize,
    warned: usize,
    failed: usize,
    informed: usize,
    skipped: usize,
    not_run: usize,
    dead_after: &'a [&'static str],
    dead: bool,
    checks: Vec<Entry<'a>>,
}

#[derive(Debug, Serialize)]
struct Entry<'a> {
    id: &'a str,
    level: &'static str,
    outcome: &'static str,
    seen: &'a str,
    expected: &'a str,
    hint: &'a str,
    took_ns: u64,
}

/// The object, one line.
pub(super) fn line(report: &Report) -> String {
    let checks = report.done.iter().map(|done| Entry {
        id: done.check.id,
        level: done.check.level.name(),
        outcome: done.outcome.name(),
        seen: &done.seen,
        expected: done.check.expected,
        hint: done.check.hint,
        took_ns: nanos(done.took),
    });
    let object = Object {
        schema: 1,
        kind: "check",
        version: env!("CARGO_PKG_VERSION"),
        target: report.target.to_string(),
        rtt_ns: nanos(report.rtt),
        elapsed_ns: nanos(report.took),
        interrupted: report.interrupted,
        time_is_up: report.time_is_up,
        passed: report.count(Outcome::Pass),
        warned: report.count(Outcome::Warn),
        failed: report.count(Outcome::Fail),
        informed: report.count(Outcome::Info),
        skipped: report.count(Outcome::Skip),
        dead_after: &report.deaths,
        dead: report.is_dead,
        not_run: report.not_run,
        checks: checks.collect(),
    };
    json_line(&object) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::report::sample,
        docs::{documented, printed},
    };

    #[test]
    fn every_field_of_the_json_is_documented_and_no_other() {
        let report = sample(&[("basic.hello", Outcome::Fail, "nothing")]);
        assert_eq!(documented("check"), printed(&line(&report)));
    }
}
