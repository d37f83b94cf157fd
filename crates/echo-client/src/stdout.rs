//! Results on stdout.

use std::io::{self, Write};

use anyhow::Context;

/// Prints a result; that nobody reads it (a closed pipe) is no error.
///
/// # Errors
/// What stdout says.
pub(crate) fn print(result: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(result.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write the result to stdout")
        }
        _ => Ok(()),
    }
}
