//! The service's behaviour, the same for every engine: each test runs once for each of them.
//!
//! Where the system has no io_uring, its tests show as `ignored`, and say so. With
//! `ECHO_REQUIRE_URING` set, as in CI, they fail instead.
#![expect(clippy::unwrap_used, reason = "each function with an engine is a test")]

/// The functions named, with their names.
macro_rules! tests {
    ($($test:ident),* $(,)?) => {
        &[$((stringify!($test), $test as fn($crate::Engine))),*]
    };
}

mod endpoints;
mod faults;
mod framing;
mod hostile;
mod limits;
mod misbehaviour;
mod shutdown;
mod streams;
#[path = "../support/mod.rs"]
mod support;

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use libtest_mimic::{Arguments, Trial};

use crate::support::{Server, server_path};

/// What moves the server's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Threads,
    Epoll,
    Uring,
}

/// The tests of one file.
type Tests = &'static [(&'static str, fn(Engine))];

/// For every engine.
const SUITES: [(&str, Tests); 8] = [
    ("endpoints", endpoints::TESTS),
    ("faults", faults::TESTS),
    ("framing", framing::TESTS),
    ("hostile", hostile::TESTS),
    ("limits", limits::TESTS),
    ("misbehaviour", misbehaviour::TESTS),
    ("shutdown", shutdown::TESTS),
    ("streams", streams::TESTS),
];

/// For engines with workers, which poll for all of their connections at once.
const SUITES_OF_WORKERS: [(&str, Tests); 1] = [("limits", limits::TESTS_OF_WORKERS)];

fn main() {
    let required = std::env::var_os("ECHO_REQUIRE_URING").is_some();
    let lacks_uring = !Engine::Uring.is_available();
    let mut trials = Vec::new();
    for engine in [Engine::Threads, Engine::Epoll, Engine::Uring] {
        let missing = engine == Engine::Uring && lacks_uring;
        let of_workers = SUITES_OF_WORKERS.into_iter().filter(|_| engine.has_workers());
        for (suite, tests) in SUITES.into_iter().chain(of_workers) {
            for (name, test) in tests {
                let why = if missing { " (no io_uring here)" } else { "" };
                let name = format!("{}::{suite}::{name}{why}", engine.name());
                let run = move || {
                    test(engine);
                    Ok(())
                };
                trials.push(Trial::test(name, run).with_ignored_flag(missing && !required));
            }
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

impl Engine {
    /// As `--engine` takes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Threads => "threads",
            Self::Epoll => "epoll",
            Self::Uring => "uring",
        }
    }

    /// Whether connections share a thread; otherwise each has one, and `--workers` is refused.
    pub(crate) fn has_workers(self) -> bool {
        self != Self::Threads
    }

    /// Starts `echo-server --engine ENGINE --listen 127.0.0.1:0 ARGS`.
    pub(crate) fn start(self, args: &[&str]) -> Server {
        Server::start(&[&["--engine", self.name()], args].concat())
    }

    /// As [`start`](Self::start), with one worker: it serves all, in the order in which they came.
    pub(crate) fn start_alone(self, args: &[&str]) -> Server {
        let one: &[&str] = if self.has_workers() { &["--workers", "1"] } else { &[] };
        self.start(&[one, args].concat())
    }

    /// As [`start`](Self::start), from a shell, after `setup`, such as `ulimit -n 64`.
    pub(crate) fn start_after(self, setup: &str, args: &[&str]) -> Server {
        let mut shell = Command::new("sh");
        let line = format!("{setup} && exec \"$0\" --listen 127.0.0.1:0 \"$@\"");
        shell.args(["-c", &line, server_path(), "--engine", self.name()]).args(args);
        Server::spawn(shell)
    }

    /// Whether the system has it. Any other reason not to start is left for the tests to fail on.
    fn is_available(self) -> bool {
        let mut server = Command::new(server_path())
            .args(["--engine", self.name(), "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut announced = String::new();
        let stdout = server.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut announced).expect("ends or announces");
        let _ = server.kill();
        let output = server.wait_with_output().expect("it was our child");
        let said = String::from_utf8_lossy(&output.stderr);
        !(announced.is_empty() && output.status.code() == Some(2) && said.contains("io_uring"))
    }
}
