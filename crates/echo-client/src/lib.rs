//! Tells whether a path returns every byte, and if not, which one it lost.
//!
//! ```text
//! args ──▶ one subcommand, one place ──▶ verdict ──▶ exit code
//!              send/  ping/  bench/  check/  report/
//! ```
//!
//! Results on disk and on paper: a log that merges exactly (`hlog`), one page of HTML (`page`), each
//! written whole or not at all (`whole_file`).
#![warn(clippy::print_stderr, reason = "it panics when stderr is closed or full; use `say`")]

mod args;
pub mod bench;
mod check;
#[cfg(test)]
mod docs;
mod figures;
mod hlog;
mod interrupt;
mod message;
pub mod page;
pub mod pattern;
mod ping;
mod report;
mod send;
mod stdout;
mod target;
mod whole_file;

use std::process::ExitCode;

use echo_cli::{LogFormat, exit, say};

pub use report::InputError;
pub use send::{End, Mismatch, Verdict};
pub use target::{ConnectError, Connector};
pub use whole_file::WriteError;

use args::{Args, Command};

/// The `echo-client` command.
#[must_use]
pub fn main() -> ExitCode {
    let args = match echo_cli::parse::<Args>(args::with_command(std::env::args_os())) {
        Ok(args) => args,
        Err(code) => return code,
    };
    let globals = &args.globals;
    let log = globals.verbosity.init_in(LogFormat::Text, globals.color);
    let result = match &args.command {
        Command::Send(send) => send::run(send, globals),
        Command::Ping(ping) => ping::run(ping, globals),
        Command::Bench(args) => bench::bench(args, globals),
        Command::Check(args) => check::check(args, globals),
        Command::Report(args) => report::report(args, globals),
    };
    drop(log); // writes what is still waiting
    match result {
        Ok(Ending { is_good, last_words }) => {
            if let Some(words) = last_words {
                say(format_args!("{words}"));
            }
            if is_good { exit::OK } else { ExitCode::from(exit::FAILED) }
        }
        Err(error) => {
            let path = error.downcast_ref::<ConnectError>();
            let fix = path
                .map(ConnectError::fix)
                .or_else(|| error.downcast_ref().map(InputError::fix))
                .or_else(|| error.downcast_ref().map(WriteError::fix))
                .map(|fix| format!("; {fix}"));
            say(format_args!("echo-client: {error:#}{}", fix.unwrap_or_default()));
            if error.is::<bench::Invalid>() {
                return ExitCode::from(exit::INVALID);
            }
            let is_local = path.is_none_or(ConnectError::is_local);
            ExitCode::from(if is_local { exit::USAGE } else { exit::FAILED })
        }
    }
}

/// An object of `--json`: one line.
fn json_line(object: &impl serde::Serialize) -> String {
    // Only maps whose keys are not text could fail.
    serde_json::to_string(object).unwrap_or_else(|error| format!("\"{error}\""))
}

/// The command line, as `--help` and the man pages tell it.
#[must_use]
pub fn command() -> clap::Command {
    <Args as clap::CommandFactory>::command()
}

/// How a command that could do its work has ended.
struct Ending {
    /// The path did what it should.
    is_good: bool,
    /// For stderr, after everything that is logged.
    last_words: Option<String>,
}
