//! `cargo xtask tidy`: the house rules, checked.
//!
//! - every Rust file begins with `//!`, and is not too long
//! - the top level holds what it should, and nothing else
//! - the README agrees with the manifests, and every command in it exists
//!
//! That the README's transcripts are true is tested in `tests/e2e/readme.rs`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::CommandFactory;

use crate::{Args, workspace};

/// The oldest Rust that the manifests promise.
pub(crate) const MSRV: &str = env!("CARGO_PKG_RUST_VERSION");

/// Lines beyond which a file has more than one job, unless it says `tidy: long, because`.
const MAX_LINES: usize = 600;

/// What a visitor sees first. Dotfiles and `target` do not count.
const TOP_LEVEL: [&str; 8] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "crates",
    "tests",
    "xtask",
];

/// Runs all checks and says everything that is wrong.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    check_top_level(&mut wrong)?;
    for file in rust_files(workspace::root())? {
        check_rust_file(&file, &mut wrong)?;
    }
    let readme = fs::read_to_string(workspace::root().join("README.md")).context("README.md")?;
    check_readme(&readme, &mut wrong);
    if !wrong.is_empty() {
        bail!("not tidy:\n  {}", wrong.join("\n  "));
    }
    Ok(())
}

fn check_top_level(wrong: &mut Vec<String>) -> anyhow::Result<()> {
    for entry in fs::read_dir(workspace::root())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let is_known = TOP_LEVEL.contains(&&*name) || name == "target" || name.starts_with('.');
        if !is_known {
            wrong.push(format!("{name}: does not belong on the top level"));
        }
    }
    Ok(())
}

fn rust_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                files.extend(rust_files(&path)?);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

fn check_rust_file(file: &Path, wrong: &mut Vec<String>) -> anyhow::Result<()> {
    let text = fs::read_to_string(file)?;
    let name = file.strip_prefix(workspace::root()).unwrap_or(file).display();
    if !text.starts_with("//! ") {
        wrong.push(format!("{name}: does not begin with what it is (//!)"));
    }
    let lines = text.lines().count();
    if lines > MAX_LINES && !text.contains("tidy: long, because") {
        wrong.push(format!("{name}: {lines} lines, more than {MAX_LINES}: give it one job"));
    }
    Ok(())
}

fn check_readme(readme: &str, wrong: &mut Vec<String>) {
    let version = env!("CARGO_PKG_VERSION");
    for (what, words) in
        [("MSRV", format!("Rust {MSRV}")), ("version", format!("echo-server {version}"))]
    {
        if !readme.contains(&words) {
            wrong.push(format!("README.md: the {what} in the manifests is '{words}'"));
        }
    }
    for command in readme.lines().filter_map(|line| line.strip_prefix("$ ")) {
        if let Err(why) = check_command(command) {
            wrong.push(format!("README.md: '{command}': {why}"));
        }
    }
}

/// Whether a command of the README can be run as it stands there.
fn check_command(command: &str) -> Result<(), String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    match *words {
        ["cargo", "xtask", task, ..] => {
            let known = Args::command();
            let words = words.iter().skip(1).copied();
            let parsed = known.clone().try_get_matches_from(words);
            let is_known = known.find_subcommand(task).is_some();
            if is_known {
                parsed.map(drop).map_err(|e| e.to_string())
            } else {
                Err("no such task".into())
            }
        }
        ["cargo", "test", "--workspace"] => Ok(()),
        ["cargo", "install", "--path", path] => {
            if workspace::root().join(path).exists() {
                Ok(())
            } else {
                Err("no such folder".into())
            }
        }
        // Run by the test of the transcripts.
        _ if command.contains("echo-server") || command.contains("echo-client") => Ok(()),
        _ => Err("nobody knows whether this works: have it run, or leave it out".into()),
    }
}
