//! Peers in other languages: built, or found, when their toolchain is there.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, bail};

/// A peer whose source is in `foreign/`.
pub(crate) struct Foreign {
    pub(crate) name: &'static str,
    toolchain: Toolchain,
    source: &'static str,
}

enum Toolchain {
    /// A compiler: what goes before the source, and what goes after.
    Compiler(&'static str, &'static [&'static str], &'static [&'static str]),
    Interpreter(&'static str),
}

/// All of them.
pub(crate) fn peers() -> Vec<Foreign> {
    use Toolchain::{Compiler, Interpreter};
    let peer = |name, toolchain, source| Foreign { name, toolchain, source };
    vec![
        peer("Asio", Compiler("c++", &["-std=c++17", "-O3"], &["-pthread"]), "asio.cpp"),
        peer("libuv", Compiler("cc", &["-std=gnu17", "-O3"], &["-luv"]), "libuv.c"),
        peer("Go net", Compiler("go", &["build"], &[]), "echo.go"),
        peer("Python asyncio", Interpreter("python3"), "asyncio_echo.py"),
        peer("Node.js", Interpreter("node"), "net_echo.js"),
    ]
}

impl Foreign {
    /// How it is started, after building it where that is needed.
    ///
    /// # Errors
    /// When its toolchain, or what it needs, is not there.
    pub(crate) fn command(&self) -> anyhow::Result<Vec<String>> {
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("foreign").join(self.source);
        match self.toolchain {
            Toolchain::Compiler(compiler, flags, libraries) => {
                let mut program = std::env::current_exe()?;
                program.set_file_name(self.source.replace('.', "-"));
                let mut build = Command::new(compiler);
                build.args(flags).arg("-o").arg(&program).arg(source).args(libraries);
                let built = build.output().with_context(|| format!("no {compiler}"))?;
                if !built.status.success() {
                    let said = String::from_utf8_lossy(&built.stderr).into_owned();
                    let error = said.lines().find(|line| line.contains("error:"));
                    bail!("{}", error.unwrap_or("it does not build"));
                }
                Ok(vec![program.to_string_lossy().into_owned()])
            }
            Toolchain::Interpreter(interpreter) => {
                let mut ask = Command::new(interpreter);
                ask.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
                ask.status().with_context(|| format!("no {interpreter}"))?;
                Ok(vec![interpreter.to_owned(), source.to_string_lossy().into_owned()])
            }
        }
    }
}
