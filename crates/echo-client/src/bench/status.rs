//! One line on the terminal that tells how far a run has come.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use super::clock::nanos;
use super::{
    Progress,
    table::{Latency, grouped},
};

/// Rewrites one line of stderr, if that is a terminal.
pub(super) struct Status {
    shown: bool,
    /// Of the whole run.
    total: Duration,
    warmup: Duration,
    /// There is a line to be wiped.
    dirty: bool,
}

impl Status {
    pub(super) fn new(quiet: bool, warmup: Duration, duration: Duration) -> Self {
        let shown = !quiet && io::stderr().is_terminal();
        Self { shown, total: warmup + duration, warmup, dirty: false }
    }

    pub(super) fn show(&mut self, progress: &Progress) {
        if !self.shown {
            return;
        }
        let text = self.text(progress);
        self.dirty = true;
        // A terminal that takes nothing is told nothing.
        let _ = write!(io::stderr(), "\r\x1b[K{text}");
    }

    /// Leaves the line empty.
    pub(super) fn wipe(&mut self) {
        if std::mem::take(&mut self.dirty) {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    fn text(&self, progress: &Progress) -> String {
        let &Progress { elapsed, messages_per_s, p99, errors } = progress;
        let seconds = elapsed.as_secs();
        if elapsed < self.warmup {
            return format!("{seconds}s  warming up");
        }
        if elapsed > self.total {
            return format!("{seconds}s  waiting for what is missing  {errors} errors");
        }
        let p99 = p99.map_or_else(|| "-".to_owned(), |p99| Latency(nanos(p99)).to_string());
        let (total, rate) = (self.total.as_secs(), grouped(messages_per_s));
        format!("{seconds}s of {total}s  {rate} msg/s  p99 {p99}  {errors} errors")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_rate_p99_and_errors() {
        let status = Status {
            shown: true,
            total: Duration::from_secs(11),
            warmup: Duration::from_secs(1),
            dirty: false,
        };
        let at = |elapsed| Progress {
            elapsed: Duration::from_secs_f64(elapsed),
            messages_per_s: 123_456.0,
            p99: Some(Duration::from_micros(789)),
            errors: 2,
        };
        assert_eq!(status.text(&at(0.5)), "0s  warming up");
        assert_eq!(status.text(&at(3.2)), "3s of 11s  123,456 msg/s  p99 789us  2 errors");
        assert_eq!(status.text(&at(12.0)), "12s  waiting for what is missing  2 errors");
    }
}
