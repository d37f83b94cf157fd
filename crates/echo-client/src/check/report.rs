//! What a run of checks has come to.

use std::time::Duration;

use echo_cli::Endpoint;

use super::case::{Done, Outcome};

/// All checks of a run, done with.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) target: Endpoint,
    /// A round trip on the idle path.
    pub(super) rtt: Duration,
    pub(super) done: Vec<Done>,
    /// The checks after which the service answered no more, for a while or for good.
    pub(super) deaths: Vec<&'static str>,
    /// It did not come back after the last of them.
    pub(super) is_dead: bool,
    /// Checks that there was no time for, because the run was to end.
    pub(super) not_run: usize,
    pub(super) took: Duration,
    pub(super) interrupted: bool,
    /// The rest was not run because it took too long.
    pub(super) time_is_up: bool,
}

impl Report {
    pub(super) fn count(&self, outcome: Outcome) -> usize {
        self.done.iter().filter(|done| done.outcome == outcome).count()
    }

    /// No check has failed, or, when it is `strict`, warned; and the service has lived through them.
    pub(super) fn is_good(&self, strict: bool) -> bool {
        let worst = self.done.iter().map(|done| done.outcome).max();
        let limit = if strict { Outcome::Warn } else { Outcome::Fail };
        worst.is_none_or(|worst| worst < limit) && self.deaths.is_empty() && !self.time_is_up
    }
}

/// What a run of these checks has come to.
#[cfg(test)]
pub(super) fn sample(done: &[(&str, Outcome, &str)]) -> Report {
    let done = done.iter().map(|(id, outcome, seen)| Done {
        check: super::selection::battery().find(|check| check.id == *id).unwrap(),
        outcome: *outcome,
        seen: (*seen).to_owned(),
        took: Duration::from_millis(1),
    });
    Report {
        target: "127.0.0.1:7".parse().unwrap(),
        rtt: Duration::from_micros(50),
        done: done.collect(),
        not_run: 0,
        deaths: Vec::new(),
        is_dead: false,
        took: Duration::from_secs(1),
        interrupted: false,
        time_is_up: false,
    }
}
