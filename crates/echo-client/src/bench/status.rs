//! One line on the terminal that tells how far a run has come.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use super::Progress;
use crate::figures;

/// Rewrites one line of stderr, if that is a terminal.
pub(super) struct Status {
    shown: bool,
    /// Of the whole run.
    total: Duration,
    warmup: Duration,
    /// What stands there; empty when nothing does.
    line: String,
}

impl Status {
    pub(super) fn new(quiet: bool, warmup: Duration, duration: Duration) -> Self {
        let shown = !quiet && io::stderr().is_terminal();
        Self { shown, total: warmup + duration, warmup, line: String::new() }
    }

    pub(super) fn show(&mut self, progress: &Progress) {
        if !self.shown {
            return;
        }
        let text = cut(self.text(progress), columns());
        if text != self.line {
            // A terminal that takes nothing is told nothing.
            let _ = write!(io::stderr(), "\r\x1b[K{text}");
            self.line = text;
        }
    }

    /// Leaves the line empty.
    pub(super) fn wipe(&mut self) {
        if !std::mem::take(&mut self.line).is_empty() {
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
        let of = format!("{seconds}s of {}s", self.total.as_secs());
        let Some(rate) = messages_per_s.map(figures::number) else {
            return format!("{of}  measuring");
        };
        let p99 = p99.map_or_else(|| "-".to_owned(), figures::duration);
        format!("{of}  {rate} msg/s  p99 {p99}  {errors} errors")
    }
}

/// How wide the terminal is just now.
fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stderr());
    // A terminal that does not know is taken for a usual one.
    size.ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(80)
}

/// What fits on one line: a longer one could not be rewritten.
fn cut(text: String, columns: usize) -> String {
    if text.chars().count() < columns { text } else { text.chars().take(columns - 1).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_as_long_as_the_terminal_is_wide() {
        let text = "3s of 11s  p99 789 µs".to_owned();
        assert_eq!(cut(text.clone(), 80), text);
        assert_eq!(cut(text.clone(), 22), text);
        assert_eq!(cut(text.clone(), 21), "3s of 11s  p99 789 µ");
        assert_eq!(cut(text, 1), "");
    }

    #[test]
    fn the_line_tells_rate_p99_and_errors() {
        let status = Status {
            shown: true,
            total: Duration::from_secs(11),
            warmup: Duration::from_secs(1),
            line: String::new(),
        };
        let at = |elapsed| Progress {
            elapsed: Duration::from_secs_f64(elapsed),
            messages_per_s: (elapsed > 2.0).then_some(123_456.0),
            p99: Some(Duration::from_micros(789)),
            errors: 2,
        };
        assert_eq!(status.text(&at(0.5)), "0s  warming up");
        assert_eq!(status.text(&at(1.5)), "1s of 11s  measuring");
        assert_eq!(status.text(&at(3.2)), "3s of 11s  123,456 msg/s  p99 789 µs  2 errors");
        assert_eq!(status.text(&at(12.0)), "12s  waiting for what is missing  2 errors");
    }
}
