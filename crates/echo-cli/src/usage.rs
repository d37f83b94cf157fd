//! Command lines, and what is wrong with them in one line.

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, error::ErrorKind};

use crate::{exit, say};

/// Parses a command line; its first word is the program.
///
/// # Errors
/// The exit code to end with: 0 after `--help` and `--version` have been printed, 2 after one line
/// on stderr that names the mistake and where to look.
pub fn parse<P: Parser>(words: impl IntoIterator<Item = OsString>) -> Result<P, ExitCode> {
    P::try_parse_from(words).map_err(|error| {
        if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
            // A closed pipe (`--help | head`) is no error.
            let _ = error.print();
            return exit::OK;
        }
        let name = P::command().get_name().to_owned();
        let said = one_line(&error.render().to_string());
        say(format_args!("{name}: {said}; see '{name} --help'"));
        ExitCode::from(exit::USAGE)
    })
}

/// The message and tips of a rendered error, without the usage that follows them.
fn one_line(rendered: &str) -> String {
    let said = rendered.split("\n\nUsage:").next().unwrap_or_default();
    let said = said.split("\n\nFor more information").next().unwrap_or_default();
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines.collect::<Vec<_>>().join(" ").replace(" tip: ", "; ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    struct Args {
        #[arg(long, value_parser = crate::size)]
        max_frame: Option<usize>,
    }

    #[track_caller]
    fn said(args: &[&str]) -> String {
        let error = Args::try_parse_from([&["x"], args].concat()).unwrap_err();
        one_line(&error.render().to_string())
    }

    #[test]
    fn a_usage_error_is_one_line_with_cause_and_fix() {
        assert_eq!(
            said(&["--max-fram", "1"]),
            "unexpected argument '--max-fram' found; a similar argument exists: '--max-frame'"
        );
        assert_eq!(
            said(&["--max-frame", "much"]),
            "invalid value 'much' for '--max-frame <MAX_FRAME>': not a size; use bytes or a unit, \
             as in 512, 64KiB or 8MB"
        );
        assert!(said(&["--max-frame", "Usage:"]).starts_with("invalid value 'Usage:' for"));
        assert_eq!(
            said(&["--max-frame"]),
            "a value is required for '--max-frame <MAX_FRAME>' but none was supplied"
        );
    }
}
