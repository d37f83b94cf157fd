//! `cargo xtask ci`: everything that has to hold before a change lands, quickest first.

use std::{process::Command, time::Instant};

use anyhow::Context;

use crate::{tidy, workspace};

/// Runs every step; the first that fails ends it.
pub(crate) fn run() -> anyhow::Result<()> {
    let start = Instant::now();
    step("tidy", tidy::run)?;
    cargo("fmt", "fmt --all --check", &[])?;
    cargo("clippy", "clippy --workspace --all-targets --all-features -- -D warnings", &[])?;
    cargo("no_std", "check -p echo-core --no-default-features", &[])?;
    cargo("docs", "doc --workspace --no-deps --all-features", &[("RUSTDOCFLAGS", "-D warnings")])?;
    step("msrv", msrv)?;
    cargo("test", "test --workspace", &[("ECHO_REQUIRE_INTEROP", "1")])?;
    cargo("test all features", "test -p echo-core --all-features", &[])?;
    cargo("demo", "xtask demo", &[])?;
    println!("== ci is green after {:.0?}", start.elapsed());
    Ok(())
}

fn step(name: &str, run: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let start = Instant::now();
    println!("== {name}");
    run().with_context(|| format!("ci step '{name}'"))?;
    println!("== {name}: ok after {:.1?}", start.elapsed());
    Ok(())
}

fn cargo(name: &str, words: &str, env: &[(&str, &str)]) -> anyhow::Result<()> {
    step(name, || {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        workspace::run(Command::new(cargo).args(words.split(' ')).envs(env.iter().copied()))
    })
}

/// Builds with the oldest Rust that the manifests promise; `.ci/run` installs it.
fn msrv() -> anyhow::Result<()> {
    let mut command = Command::new("rustup");
    command.args(["run", tidy::MSRV, "cargo", "check", "--workspace"]);
    command.args(["--target-dir", "target/msrv"]);
    workspace::run(&mut command)
        .with_context(|| format!("is it installed? rustup toolchain install {}", tidy::MSRV))
}
