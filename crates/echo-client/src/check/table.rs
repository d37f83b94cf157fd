//! The results for people: a line per check as it ends, and a summary.

use std::time::Duration;

use echo_cli::Verbosity;

use super::{
    case::{Check, Done, Outcome},
    conn::time,
    report::Report,
    selection::Selection,
};

/// Back to the start of the line, and wipe it.
const WIPE: &str = "\r\x1b[K";

/// How lines look.
pub(super) struct Table {
    has_color: bool,
    is_quiet: bool,
    is_verbose: bool,
    /// The check that is running is shown until it has a line of its own.
    has_progress: bool,
}

impl Table {
    pub(super) fn new(has_color: bool, verbosity: Verbosity, is_watched: bool) -> Self {
        let Verbosity { quiet, verbose } = verbosity;
        // Verbose, lines of the log would stand in the middle of it.
        let has_progress = is_watched && !quiet && verbose == 0;
        Self { has_color, is_quiet: quiet, is_verbose: verbose > 0, has_progress }
    }

    /// What is going to be done.
    pub(super) fn head(&self, selection: &Selection, rtt: Duration) -> String {
        if self.is_quiet {
            return String::new();
        }
        let (target, count) = (selection.target(), selection.checks().len());
        format!("CHECK {target}: {count} checks, round trip {}\n", time(rtt))
    }

    /// Which check is running, on a terminal.
    pub(super) fn begins(&self, check: &Check) -> String {
        if self.has_progress { format!("....  {}", check.id) } else { String::new() }
    }

    /// One check; what is not as it should be with what was expected, and where to look. `-q` shows
    /// only those, `-v` says of all what they took.
    pub(super) fn line(&self, done: &Done) -> String {
        let Done { check, outcome, seen, took } = done;
        if self.is_quiet && !outcome.is_bad() {
            return String::new();
        }
        let wipe = if self.has_progress { WIPE } else { "" };
        let id = check.id;
        let mut line = format!("{wipe}{}  {id:<22} {seen}", self.outcome(*outcome));
        if self.is_verbose {
            line += &format!(" ({})", time(*took));
        }
        line.push('\n');
        if outcome.is_bad() {
            line += &format!("      expected: {}\n", check.expected);
            line += &format!("      hint:     {}\n", check.hint);
        }
        line
    }

    /// How many of which outcome.
    pub(super) fn tail(&self, report: &Report) -> String {
        let counts = [Outcome::Pass, Outcome::Warn, Outcome::Fail, Outcome::Info, Outcome::Skip]
            .map(|outcome| (outcome, report.count(outcome)))
            .into_iter()
            .filter(|&(outcome, count)| count > 0 || outcome == Outcome::Fail)
            .map(|(outcome, count)| format!("{count} {}", outcome.name()));
        let counts = counts.collect::<Vec<_>>().join(", ");
        let mut tail = format!("{counts} in {}", time(report.took));
        if !report.deaths.is_empty() {
            let is = if report.is_dead { "is" } else { "was" };
            tail += &format!("; the service {is} dead after {}", report.deaths.join(", "));
        }
        if report.interrupted {
            tail += "; interrupted";
        }
        if report.time_is_up {
            tail += "; that is longer than --deadline";
        }
        if report.not_run > 0 {
            tail += &format!(", {} not run", report.not_run);
        }
        tail.push('\n');
        tail
    }

    fn outcome(&self, outcome: Outcome) -> String {
        let name = outcome.name();
        let color = match outcome {
            _ if !self.has_color => return name.to_owned(),
            Outcome::Pass => 32,
            Outcome::Warn => 33,
            Outcome::Fail => 31,
            Outcome::Info => 36,
            Outcome::Skip => 90,
        };
        format!("\x1b[{color}m{name}\x1b[0m")
    }
}
