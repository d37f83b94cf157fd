//! What is done with the workspace as a whole: `cargo xtask demo`, `ci`, `tidy`, `fuzz`, `interop`,
//! `sim`, `bench`, `dist`.

mod bench_core;
mod bench_rig;
mod ci;
mod demo;
mod dist;
mod fuzz;
mod interop;
mod sim;
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
    /// Every fuzz target of echo-core; needs a nightly toolchain and cargo-fuzz
    Fuzz {
        /// How long each target runs
        #[arg(long, value_name = "N", default_value = "60")]
        seconds: u64,
    },
    /// The battery against xinetd, socat, ncat, Python, haproxy and nginx, compared with the table
    Interop(interop::Args),
    /// The server's engines in virtual time, with everything going wrong, a seed at a time
    Sim(sim::Args),
    /// Build what is shipped into target/dist: both binaries, shell completions, man pages
    Dist,
    /// Measure ourselves beside others, in one run; without a task, the server
    #[command(args_conflicts_with_subcommands = true)]
    Bench {
        #[command(subcommand)]
        task: Option<Bench>,
        /// Key cells only: measuring takes at most two minutes
        #[arg(long)]
        quick: bool,
    },
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// The codecs in memory, beside tokio-util, bstr, linereader, std and bare loops
    Core {
        /// A quarter of the time
        #[arg(long)]
        quick: bool,
        /// One JSON object per line
        #[arg(long)]
        json: bool,
        /// Only the framings whose name contains this
        #[arg(long, value_name = "TEXT")]
        only: Option<String>,
    },
    /// The server on real sockets, beside tokio, monoio, Asio and others, and bare loops
    Server(RigArgs),
    /// The same, as connections grow to 19,000 and messages to 64 MiB
    Scale(RigArgs),
    /// What connections cost the server in memory, beside the same
    Memory(RigArgs),
    /// The client's load beside a minimal loop, and its ping beside a bare one
    Client(RigArgs),
}

#[derive(Debug, clap::Args)]
struct RigArgs {
    /// `--quick`, and what else the rig knows: `cargo xtask bench TASK -- --help`
    #[arg(value_name = "ARG", trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

impl Bench {
    fn server(quick: bool) -> Self {
        let args = quick.then(|| "--quick".to_owned()).into_iter().collect();
        Self::Server(RigArgs { args })
    }
}

fn main() -> ExitCode {
    let result = match Args::parse().task {
        Task::Demo => demo::run(),
        Task::Ci => ci::run(),
        Task::Tidy => tidy::run(),
        Task::Dist => dist::run(),
        Task::Fuzz { seconds } => fuzz::run(seconds),
        Task::Interop(args) => interop::run(&args),
        Task::Sim(args) => sim::run(args),
        Task::Bench { task, quick } => match task.unwrap_or_else(|| Bench::server(quick)) {
            Bench::Core { quick, json, only } => bench_core::run(quick, json, only),
            Bench::Server(rig) => bench_rig::run("server", &rig.args),
            Bench::Scale(rig) => bench_rig::run("scale", &rig.args),
            Bench::Memory(rig) => bench_rig::run("memory", &rig.args),
            Bench::Client(rig) => bench_rig::run("client", &rig.args),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
