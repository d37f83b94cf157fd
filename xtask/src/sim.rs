//! `cargo xtask sim --seeds N`: so many runs of the server's simulation, on every core.
//!
//! The simulation is a test of echo-server, which is told by its environment what to run; see
//! `crates/echo-server/src/sim`. A few thousand seeds run with `cargo test`.

use crate::workspace;

/// What to simulate.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Args {
    /// How many seeds to run
    #[arg(long, value_name = "N", default_value = "1000000", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first of them
    #[arg(long, value_name = "SEED", default_value = "0")]
    first: u64,
    /// Run this seed alone, and print what happens
    #[arg(long, value_name = "SEED", conflicts_with_all = ["seeds", "first"])]
    seed: Option<u64>,
}

/// Builds the simulation as released, and runs it.
///
/// # Errors
/// When a seed fails; it is printed, with the command that replays it.
pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let mut command = workspace::cargo();
    command.args(["test", "--release", "--quiet", "--package", "echo-server", "--lib"]);
    command.args(["sim::", "--", "--nocapture"]);
    match args.seed {
        Some(seed) => command.env("ECHO_SIM_SEED", seed.to_string()),
        None => command
            .env("ECHO_SIM_SEEDS", args.seeds.to_string())
            .env("ECHO_SIM_FIRST", args.first.to_string()),
    };
    workspace::run(&mut command)
}
