//! Results on stdout.

use std::io::{self, Write};

use anyhow::Context;

/// Prints a result; that nobody reads it (a closed pipe) is no error.
///
/// # Errors
/// What stdout says.
pub(crate) fn print(result: &str) -> anyhow::Result<()> {
    print_unless_closed(result).map(drop)
}

/// As [`print`], but false when nobody reads it.
///
/// # Errors
/// What stdout says.
pub(crate) fn print_unless_closed(result: &str) -> anyhow::Result<bool> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(result.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("cannot write the result to stdout"),
    }
}
