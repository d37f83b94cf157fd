//! `cargo xtask bench server`, `scale`, `memory` and `client`: echo-server and echo-client beside their
//! peers and beside bare loops, in one run.
//!
//! The rig is a workspace of its own, so that the peers stay out of ours. Both programs are measured
//! as they are shipped: `--profile dist`.

use std::process::Command;

use anyhow::Context;

use crate::workspace;

/// Builds the rig and our programs, and has the rig do a task with these arguments.
///
/// # Errors
/// When one of them cannot be built, and when a contender fails.
pub(crate) fn run(task: &str, args: &[String]) -> anyhow::Result<()> {
    let rig = workspace::build_bench("echo-server")?;
    let mut build = Command::new("cargo");
    build.args(["build", "--profile", "dist", "--quiet", "--target-dir", "target/bench-server"]);
    build.args(["--package", "echo-server", "--package", "echo-client"]);
    workspace::run(&mut build).context("our programs do not build")?;

    let built = workspace::root().join("target/bench-server/dist");
    let mut measure = Command::new(rig);
    measure.arg(task).arg("--ours").arg(built.join("echo-server"));
    measure.arg("--client").arg(built.join("echo-client"));
    workspace::run(measure.args(args)).context("a contender failed, see above")
}
