//! Logs on stderr, written by a thread of their own: whoever logs never waits for the terminal.

use std::{
    fmt,
    io::{self, IsTerminal},
};

use clap::{ArgAction, Args, ValueEnum};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::LevelFilter;

/// Log lines that may wait to be written; beyond that they are dropped, the program is not stopped.
const MAX_WAITING_LINES: usize = 8192;

/// How much of a peer's bytes one log line shows.
const MAX_SHOWN: usize = 64;

/// `-v` and `-q`.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Verbosity {
    /// Tell what happens on each connection
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Tell errors only
    #[arg(short, long, conflicts_with = "verbose", global = true)]
    pub quiet: bool,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Everywhere
    Always,
    /// Nowhere
    Never,
}

impl Color {
    /// Whether to use colours on this stream.
    pub fn is_on(self, stream: &impl IsTerminal) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            // https://no-color.org: any value but the empty one.
            Self::Auto => {
                stream.is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
            }
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object per line
    Json,
}

/// Writes what is still waiting when dropped.
#[must_use]
#[derive(Debug)]
pub struct LogGuard(#[expect(dead_code, reason = "held for its drop")] WorkerGuard);

impl Verbosity {
    /// Starts logging to stderr: errors with `-q`, else warnings and notices, with `-v` each
    /// connection's story, too.
    pub fn init(self, format: LogFormat) -> LogGuard {
        self.init_in(format, Color::Auto)
    }

    /// As [`init`](Self::init), with a choice of colours.
    pub fn init_in(self, format: LogFormat, color: Color) -> LogGuard {
        let level = match self.verbose {
            _ if self.quiet => LevelFilter::ERROR,
            0 => LevelFilter::INFO,
            _ => LevelFilter::DEBUG,
        };
        let (writer, guard) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(MAX_WAITING_LINES)
            .finish(io::stderr());
        let log = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_target(false)
            .with_ansi(color.is_on(&io::stderr()))
            .with_writer(writer);
        match format {
            LogFormat::Text => log.init(),
            LogFormat::Json => log.json().flatten_event(true).init(),
        }
        LogGuard(guard)
    }
}

/// A peer's bytes as they may be shown on a terminal: escaped, and not too many.
pub fn escaped(bytes: &[u8]) -> impl fmt::Display {
    struct Escaped<'a>(&'a [u8]);
    impl fmt::Display for Escaped<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let shown = &self.0[..self.0.len().min(MAX_SHOWN)];
            let more = if shown.len() < self.0.len() { "..." } else { "" };
            write!(f, "\"{}{more}\"", shown.escape_ascii())
        }
    }
    Escaped(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_cannot_write_to_the_terminal() {
        assert_eq!(escaped(b"a\x1b[2J\n\"\xff").to_string(), r#""a\x1b[2J\n\"\xff""#);
        assert_eq!(escaped(&[b'x'; 65]).to_string(), format!("\"{}...\"", "x".repeat(64)));
    }
}
