//! `cargo xtask bench core`: echo-core's codecs timed beside their peers, with the targets they are
//! held to.
//!
//! The benchmark is a workspace of its own, so that the peers stay out of ours. Its release profile
//! is what we ship: opt-level 3, overflow checks, fat LTO, one codegen unit; it says so itself.

use std::process::{Command, Stdio};

use anyhow::Context;

use crate::workspace;

/// Builds the benchmark and runs it.
///
/// # Errors
/// When it cannot be built or run, and when a target is missed.
pub(crate) fn run(quick: bool, json: bool, only: Option<String>) -> anyhow::Result<()> {
    let benchmark = workspace::build_bench("echo-core")?;
    let mut measure = match pinned() {
        Some(mut taskset) => {
            taskset.arg(benchmark);
            taskset
        }
        None => Command::new(benchmark),
    };
    measure.args(quick.then_some("--quick")).args(json.then_some("--json"));
    measure.args(only.map(|text| ["--only".to_owned(), text]).into_iter().flatten());
    workspace::run(&mut measure).context("a target is missed, see above")
}

/// `taskset` to the last core, where there is such a thing: the first ones serve interrupts.
fn pinned() -> Option<Command> {
    let core = std::thread::available_parallelism().ok()?.get() - 1;
    let taskset = || {
        let mut taskset = Command::new("taskset");
        taskset.args(["-c", &core.to_string()]);
        taskset
    };
    let works = taskset().arg("true").stdout(Stdio::null()).stderr(Stdio::null()).status();
    works.is_ok_and(|status| status.success()).then(taskset)
}
