//! `cargo xtask fuzz --seconds N`: every fuzz target of echo-core for so long.
//!
//! The targets are in `crates/echo-core/fuzz`, in a workspace of their own: they need a nightly
//! toolchain and cargo-fuzz, which are not installed here but asked for. Their seeds are replayed by
//! `cargo test` on stable, too. What a fuzzer adds goes to `fuzz/corpus`, what it breaks to
//! `fuzz/artifacts`; neither is committed, a new seed is.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail};

use crate::workspace;

/// Inputs are small: frames of a few bytes reach every branch, and a small case is a readable one.
const MAX_INPUT: usize = 512;

/// Runs each target for `seconds`, and stops at the first that breaks.
pub(crate) fn run(seconds: u64) -> anyhow::Result<()> {
    let fuzz = workspace::root().join("crates/echo-core/fuzz");
    if let Some(missing) = missing_tool() {
        bail!("fuzzing needs {missing}");
    }
    // Before the first runs, so that a target that does not build fails at once.
    workspace::run(cargo_fuzz(&fuzz).arg("build").arg("--fuzz-dir").arg(&fuzz))?;
    for target in targets(&fuzz)? {
        let (corpus, seeds) = (fuzz.join("corpus").join(&target), fuzz.join("seeds").join(&target));
        fs::create_dir_all(&corpus).with_context(|| format!("cannot make {}", corpus.display()))?;
        let mut run = cargo_fuzz(&fuzz);
        run.args(["run", "--fuzz-dir"]).arg(&fuzz).arg(&target).arg(corpus).arg(seeds);
        run.arg("--").arg(format!("-max_total_time={seconds}"));
        run.arg(format!("-max_len={MAX_INPUT}")).arg("-print_final_stats=1");
        let found = format!("{target}: see {}", fuzz.join("artifacts").join(&target).display());
        workspace::run(&mut run).context(found)?;
    }
    Ok(())
}

/// The targets by name, in order.
fn targets(fuzz: &Path) -> anyhow::Result<Vec<String>> {
    let mut targets = Vec::new();
    for entry in fs::read_dir(fuzz.join("fuzz_targets")).context("no fuzz targets")? {
        let file = PathBuf::from(entry?.file_name());
        targets.extend(file.file_stem().and_then(|name| name.to_str()).map(str::to_owned));
    }
    targets.sort();
    Ok(targets)
}

/// cargo-fuzz on nightly: sanitizers are not on stable.
fn cargo_fuzz(fuzz: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.args(["+nightly", "fuzz"]).current_dir(fuzz);
    // Those of the cargo that runs this task would win over `+nightly`.
    command.env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
    command
}

/// What is missing for it, if anything, and how to get it.
pub(crate) fn missing_tool() -> Option<&'static str> {
    let works = |args: &[&str]| {
        let mut command = Command::new("cargo");
        command.args(args).env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !works(&["+nightly", "--version"]) {
        return Some("a nightly toolchain: rustup toolchain install nightly");
    }
    if !works(&["+nightly", "fuzz", "--version"]) {
        return Some("cargo-fuzz: cargo install cargo-fuzz");
    }
    None
}
