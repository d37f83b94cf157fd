//! Peers in other languages: built, or found, when their toolchain is there.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, bail};

use crate::server::this_program;

/// A peer whose source is in `foreign/`, or a program of its own.
pub(crate) struct Foreign {
    pub(crate) name: &'static str,
    toolchain: Toolchain,
    /// The most connections that it is asked to hold.
    pub(crate) max_connections: usize,
}

/// How many processes or threads of an interpreter are let loose on one core.
const SOME: usize = 50;

enum Toolchain {
    /// A compiler: what goes before the source, the source, and what goes after.
    Compiler(&'static str, &'static [&'static str], &'static str, &'static [&'static str]),
    /// Interpreters, of which the first that knows the module is taken, and what they are given.
    Interpreter(&'static [&'static str], Module, &'static [&'static str]),
    /// A program that `serve` starts, and the flag with which it says its version.
    Inetd(&'static str, &'static str),
}

/// How to ask an interpreter whether it can do it.
type Module = &'static [&'static str];

const PYTHONS: &[&str] = &["python3", "/usr/bin/python3"];

/// All of them.
pub(crate) fn peers() -> Vec<Foreign> {
    use Toolchain::{Compiler, Inetd, Interpreter};
    let any = usize::MAX;
    let peer = |name, max_connections, toolchain| Foreign { name, toolchain, max_connections };
    let cpp = Compiler("c++", &["-std=c++17", "-O3"], "asio.cpp", &["-pthread"]);
    let uvloop = Interpreter(PYTHONS, &["-c", "import uvloop"], &["asyncio_echo.py", "uvloop"]);
    vec![
        peer("Asio", any, cpp),
        peer("libuv", any, Compiler("cc", &["-std=gnu17", "-O3"], "libuv.c", &["-luv"])),
        peer("Go net", any, Compiler("go", &["build"], "echo.go", &[])),
        peer("Erlang", any, Interpreter(&["escript"], &[], &["echo.escript"])),
        peer("Node.js", any, Interpreter(&["node"], &["--version"], &["net_echo.js"])),
        peer("uvloop", any, uvloop),
        peer("Python asyncio", any, Interpreter(PYTHONS, &["-V"], &["asyncio_echo.py"])),
        peer("Python guide", SOME, Interpreter(PYTHONS, &["-V"], &["guide_echo.py"])),
        peer("socat", SOME, Inetd("socat", "-V")),
        peer("xinetd", SOME, Inetd("xinetd", "-version")),
    ]
}

impl Foreign {
    /// How it is started, after building it where that is needed.
    ///
    /// # Errors
    /// When its toolchain, or what it needs, is not there.
    pub(crate) fn command(&self) -> anyhow::Result<Vec<String>> {
        match &self.toolchain {
            Toolchain::Compiler(compiler, flags, source, libraries) => {
                let mut program = std::env::current_exe()?;
                program.set_file_name(source.replace('.', "-"));
                let mut build = Command::new(compiler);
                build.args(*flags).arg("-o").arg(&program).arg(in_folder(source)).args(*libraries);
                let built = build.output().with_context(|| format!("no {compiler}"))?;
                if !built.status.success() {
                    let said = String::from_utf8_lossy(&built.stderr).into_owned();
                    let error = said.lines().find(|line| line.contains("error:"));
                    bail!("{}", error.unwrap_or("it does not build"));
                }
                Ok(vec![program.to_string_lossy().into_owned()])
            }
            Toolchain::Interpreter(programs, ask, given) => {
                let able = programs.iter().find(|program| answers(program, ask));
                let able = able.with_context(|| match ask.last() {
                    Some(module) if module.starts_with("import") => {
                        format!("no {} that can {module}", programs[0])
                    }
                    _ => format!("no {}", programs[0]),
                })?;
                let mut command = vec![(*able).to_owned(), in_folder(given[0])];
                command.extend(given[1..].iter().map(|word| (*word).to_owned()));
                Ok(command)
            }
            Toolchain::Inetd(program, version) => {
                let found = answers(program, &[version]);
                found.then_some(()).with_context(|| format!("no {program}"))?;
                Ok(vec![this_program()?, "serve".to_owned(), (*program).to_owned()])
            }
        }
    }

    /// Whether its work is done in a process for each connection.
    pub(crate) fn forks(&self) -> bool {
        matches!(self.toolchain, Toolchain::Inetd(..))
    }
}

fn in_folder(source: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("foreign");
    folder.join(source).to_string_lossy().into_owned()
}

/// Whether a program is there, and ends well.
fn answers(program: &str, args: &[&str]) -> bool {
    let mut ask = Command::new(program);
    ask.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    ask.status().is_ok_and(|status| status.success() || args.is_empty())
}
