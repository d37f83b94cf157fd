//! What is done with the workspace as a whole: `cargo xtask demo`, `ci`, `tidy`.

mod ci;
mod demo;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What is done with the workspace as a whole.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build both binaries and show them at work: the guide's message, frames, a 64 MiB stream
    Demo,
    /// Everything that has to hold before a change lands, quickest first
    Ci,
    /// The house rules: headers, sizes, names, and a README in which everything is so
    Tidy,
}

fn main() -> ExitCode {
    let result = match Args::parse().task {
        Task::Demo => demo::run(),
        Task::Ci => ci::run(),
        Task::Tidy => tidy::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
