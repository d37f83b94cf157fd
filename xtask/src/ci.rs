//! `cargo xtask ci`: everything that has to hold before a change lands, quickest first.

use std::{process::Command, time::Instant};

use anyhow::Context;

use crate::{fuzz, tidy, workspace};

/// Workspaces of their own, which nothing else here builds.
const OTHER_WORKSPACES: [&str; 3] =
    ["crates/echo-core/fuzz", "crates/echo-core/bench", "crates/echo-server/bench"];

/// The benchmarks among them, and where they are built.
const BENCHES: [(&str, &str); 2] = [
    ("crates/echo-core/bench", "target/bench-core"),
    ("crates/echo-server/bench", "target/bench-server"),
];

/// How long each fuzz target runs: a look for what is broken at once. Longer: `cargo xtask fuzz`.
const FUZZ_SECONDS: u64 = 5;

/// Runs every step; the first that fails ends it.
pub(crate) fn run() -> anyhow::Result<()> {
    let start = Instant::now();
    step("tidy", tidy::run)?;
    cargo("fmt", "fmt --all --check", &[])?;
    for workspace in OTHER_WORKSPACES {
        cargo("fmt", &format!("fmt --check --manifest-path {workspace}/Cargo.toml"), &[])?;
    }
    cargo("clippy", "clippy --workspace --all-targets --all-features -- -D warnings", &[])?;
    for features in ["", "std", "tokio", "tokio-util"] {
        let clippy = format!("clippy -p echo-core --no-default-features --features={features}");
        cargo("clippy, one feature", &format!("{clippy} -- -D warnings"), &[])?;
    }
    for (bench, target) in BENCHES {
        let clippy = format!("clippy --manifest-path {bench}/Cargo.toml --target-dir {target}");
        cargo("bench builds", &format!("{clippy} --all-targets -- -D warnings"), &[])?;
    }
    cargo("docs", "doc --workspace --no-deps --all-features", &[("RUSTDOCFLAGS", "-D warnings")])?;
    step("msrv", msrv)?;
    cargo(
        "test",
        "test --workspace",
        &[
            ("ECHO_REQUIRE_INTEROP", "1"),
            ("ECHO_REQUIRE_URING", "1"),
            // Most tests wait for a network most of the time.
            ("RUST_TEST_THREADS", "4"),
        ],
    )?;
    cargo("interop", "xtask interop", &[("ECHO_REQUIRE_INTEROP", "1")])?;
    step("fuzz", fuzz)?;
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
        let mut cargo = workspace::cargo();
        workspace::run(cargo.args(words.split_whitespace()).envs(env.iter().copied()))
    })
}

/// A few seconds of each target where a nightly toolchain is there; their seeds are replayed by the
/// tests anyway.
fn fuzz() -> anyhow::Result<()> {
    if let Some(missing) = fuzz::missing_tool() {
        println!("SKIPPED: fuzzing needs {missing}");
        return Ok(());
    }
    fuzz::run(FUZZ_SECONDS)
}

/// Builds with the oldest Rust that the manifests promise; `.ci/run` installs it.
fn msrv() -> anyhow::Result<()> {
    let mut command = Command::new("rustup");
    command.args(["run", tidy::MSRV, "cargo", "check", "--workspace", "--all-targets"]);
    command.args(["--target-dir", "target/msrv"]);
    workspace::run(&mut command)
        .with_context(|| format!("is it installed? rustup toolchain install {}", tidy::MSRV))
}
