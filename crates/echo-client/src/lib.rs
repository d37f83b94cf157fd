//! Tells whether a path returns every byte, and if not, which one it lost.
//!
//! ```text
//! args ──▶ one subcommand, one place ──▶ verdict ──▶ exit code
//!              send/
//! ```
#![warn(clippy::print_stderr, reason = "it panics when stderr is closed or full; use `say`")]

mod args;
pub mod bench;
pub mod pattern;
mod send;
mod target;

use std::process::ExitCode;

use echo_cli::{LogFormat, exit, say};

pub use send::{End, Mismatch, Verdict};
pub use target::ConnectError;

use args::{Args, Command};

/// The `echo-client` command.
#[must_use]
pub fn main() -> ExitCode {
    let args = match echo_cli::parse::<Args>(args::with_command(std::env::args_os())) {
        Ok(args) => args,
        Err(code) => return code,
    };
    let log = args.verbosity.init(LogFormat::Text);
    let result = match &args.command {
        Command::Send(send) => send::run(send),
    };
    drop(log); // writes what is still waiting
    match result {
        Ok(verdict) => {
            if !verdict.is_good() || !args.verbosity.quiet {
                say(format_args!("echo-client: {verdict}"));
            }
            if verdict.is_good() { exit::OK } else { ExitCode::from(exit::FAILED) }
        }
        Err(error) => {
            let path = error.downcast_ref::<ConnectError>();
            let fix = path.map(|error| format!("; {}", error.fix()));
            say(format_args!("echo-client: {error:#}{}", fix.unwrap_or_default()));
            ExitCode::from(if path.is_some() { exit::FAILED } else { exit::USAGE })
        }
    }
}
