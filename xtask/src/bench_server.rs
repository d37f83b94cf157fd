//! `cargo xtask bench server` and `bench memory`: echo-server beside its peers and beside bare loops,
//! in one run.
//!
//! The rig is a workspace of its own, so that the peers stay out of ours. Our server is measured as
//! it is shipped: `--profile dist`.

use std::process::Command;

use anyhow::Context;

use crate::workspace;

/// Builds the rig and our server, and has the rig do a task with these arguments.
///
/// # Errors
/// When one of them cannot be built, and when a contender fails.
pub(crate) fn run(task: &str, args: &[String]) -> anyhow::Result<()> {
    let rig = workspace::build_bench("echo-server")?;
    let mut build = Command::new("cargo");
    build.args(["build", "--profile", "dist", "--quiet", "--package", "echo-server"]);
    build.args(["--target-dir", "target/bench-server"]);
    workspace::run(&mut build).context("echo-server does not build")?;

    let ours = workspace::root().join("target/bench-server/dist/echo-server");
    workspace::run(Command::new(rig).arg(task).arg("--ours").arg(ours).args(args))
        .context("a contender failed, see above")
}
