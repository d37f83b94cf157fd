//! `cargo xtask dist`: what is shipped, in `target/dist`.
//!
//! ```text
//! target/dist/echo-server  echo-client      with the dist profile
//!             completions/                  bash, zsh, fish
//!             man/                          one page per binary and subcommand
//! ```

use std::fs;

use anyhow::Context;

use crate::workspace;

/// Builds the binaries and writes what goes with them.
pub(crate) fn run() -> anyhow::Result<()> {
    let folder = workspace::root().join("target/dist");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for package in ["echo-server", "echo-client"] {
        let built = workspace::build_with(package, "dist")?;
        let place = folder.join(package);
        if built != place {
            fs::copy(&built, &place)
                .with_context(|| format!("cannot write {}", place.display()))?;
        }
        let example = package.replace("echo-", "") + "_manual";
        let mut command = workspace::cargo();
        command.args(["run", "--quiet", "-p", package, "--example", &example, "--"]).arg(&folder);
        workspace::run(&mut command)?;
    }
    println!("everything is in {}", folder.display());
    Ok(())
}
