//! Lines on stdout, as they happen.

use std::{
    fmt,
    io::{self, Write},
};

use anyhow::Context;

use crate::args::Globals;

/// stdout, until nobody reads it any more.
pub(super) struct Output {
    stdout: io::StdoutLock<'static>,
    is_quiet: bool,
    has_color: bool,
    is_closed: bool,
}

impl Output {
    pub(super) fn new(globals: &Globals) -> Self {
        let stdout = io::stdout().lock();
        Self {
            is_quiet: globals.verbosity.quiet,
            has_color: globals.color.is_on(&stdout),
            stdout,
            is_closed: false,
        }
    }

    /// Nobody reads it any more.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Whether lines are printed at all.
    pub(super) fn has_lines(&self) -> bool {
        !self.is_quiet
    }

    /// One line, unless `-q`.
    pub(super) fn line(&mut self, line: fmt::Arguments<'_>) -> anyhow::Result<()> {
        if self.is_quiet { Ok(()) } else { self.write(format_args!("{line}\n")) }
    }

    /// As [`line`](Self::line), but of what should not be: in red, where there are colours.
    pub(super) fn alarm(&mut self, line: fmt::Arguments<'_>) -> anyhow::Result<()> {
        match self.has_color {
            true => self.line(format_args!("\x1b[31m{line}\x1b[0m")),
            false => self.line(line),
        }
    }

    /// What was asked for in the end, set off from the lines before.
    pub(super) fn result(&mut self, text: &str) -> anyhow::Result<()> {
        self.line(format_args!(""))?;
        self.write(format_args!("{text}"))
    }

    fn write(&mut self, text: fmt::Arguments<'_>) -> anyhow::Result<()> {
        if self.is_closed {
            return Ok(());
        }
        // In one write, at once: whoever watches wants to see it now.
        let written =
            self.stdout.write_all(text.to_string().as_bytes()).and_then(|()| self.stdout.flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.is_closed = true;
                Ok(())
            }
            written => written.context("cannot write to stdout"),
        }
    }
}
