//! Where things are, and how commands are run there.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

/// The workspace's top folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Builds one of the binaries as people run it, and says where it is.
pub(crate) fn build(package: &str) -> anyhow::Result<PathBuf> {
    build_with(package, "release")
}

/// As [`build`], with a profile of one's choice.
pub(crate) fn build_with(package: &str, profile: &str) -> anyhow::Result<PathBuf> {
    let built = escargot::CargoBuild::new()
        .manifest_path(root().join("Cargo.toml"))
        .package(package)
        .bin(package)
        .args(["--profile", profile])
        .run()
        .with_context(|| format!("cannot build {package}"))?;
    Ok(built.path().to_owned())
}

/// Builds a crate's benchmark, a workspace of its own in its folder, and says where the program is.
pub(crate) fn build_bench(package: &str) -> anyhow::Result<PathBuf> {
    let target = format!("target/bench-{}", package.trim_start_matches("echo-"));
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "--quiet", "--target-dir", &target]);
    build.args(["--manifest-path", &format!("crates/{package}/bench/Cargo.toml")]);
    run(&mut build).context("the benchmark does not build")?;
    Ok(root().join(target).join(format!("release/{package}-bench")))
}

/// The cargo that runs us.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a command in the workspace with its output shown.
///
/// # Errors
/// When it cannot be started, or fails.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let line = shown(command);
    let status = command.current_dir(root()).status();
    let status = status.with_context(|| format!("cannot run '{line}'"))?;
    if !status.success() {
        bail!("'{line}' failed: {status}");
    }
    Ok(())
}

/// A command as it would be typed, without the folders of programs.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args()).map(|word| {
        let word = word.to_string_lossy();
        if word.contains([' ', '*']) { format!("'{word}'") } else { word.into_owned() }
    });
    words.collect::<Vec<_>>().join(" ")
}
