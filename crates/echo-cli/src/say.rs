//! Words for the person at the terminal.

use std::{
    fmt,
    io::{self, Write},
};

/// Writes one line to stderr. When that cannot be written there is nobody to tell, and nothing else
/// changes: unlike `eprintln!`, it never panics.
pub fn say(line: fmt::Arguments<'_>) {
    // In one write, so that lines of several threads or processes do not mix.
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}
