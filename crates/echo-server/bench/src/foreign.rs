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
    pub(crate) max_connections: usize,
}

enum Toolchain {
    /// A compiler with its flags, and what is linked.
    Compiler(&'static str, &'static [&'static str], &'static [&'static str]),
    Interpreter(&'static str),
}

/// All of them.
pub(crate) fn peers() -> Vec<Foreign> {
    let compiled = |name, compiler, flags, libraries, source| Foreign {
        name,
        toolchain: Toolchain::Compiler(compiler, flags, libraries),
        source,
        max_connections: usize::MAX,
    };
    let interpreted = |name, interpreter, source, max_connections| Foreign {
        name,
        toolchain: Toolchain::Interpreter(interpreter),
        source,
        max_connections,
    };
    vec![
        compiled("Asio", "c++", &["-std=c++17", "-O3"], &["-pthread"], "asio.cpp"),
        compiled("libuv", "cc", &["-std=gnu17", "-O3"], &["-luv"], "libuv.c"),
        interpreted("Python asyncio", "python3", "asyncio_echo.py", usize::MAX),
        interpreted("Node.js", "node", "net_echo.js", usize::MAX),
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
                build.args(flags).arg(source).arg("-o").arg(&program).args(libraries);
                let built = build.output().with_context(|| format!("no {compiler}"))?;
                if !built.status.success() {
                    let said = String::from_utf8_lossy(&built.stderr).into_owned();
                    let error = said.lines().find(|line| line.contains("error"));
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
