//! What the exit codes mean.

use std::process::ExitCode;

/// Done; for the client: the path returned every byte.
pub const OK: ExitCode = ExitCode::SUCCESS;

/// The server had to cut connections or failed while running; the client found the path failing.
pub const FAILED: u8 = 1;

/// The command line, a file or an address to listen on was at fault.
pub const USAGE: u8 = 2;

/// What was measured says nothing about the path: we were the bottleneck.
pub const INVALID: u8 = 3;

/// Ended by a second SIGINT, as a shell reports it: 128 + 2.
pub const INTERRUPTED: u8 = 130;
