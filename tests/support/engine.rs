//! The three engines, for tests that run once for each.
//!
//! Where the system has no io_uring, its tests show as `ignored`, and say so. With
//! `ECHO_REQUIRE_URING` set, as in CI, they fail instead.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::LazyLock,
};

use libtest_mimic::Trial;

use super::{Server, server_path};

/// What moves the server's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Threads,
    Epoll,
    Uring,
}

static HAS_URING: LazyLock<bool> = LazyLock::new(|| Engine::Uring.is_available());

impl Engine {
    pub(crate) const ALL: [Self; 3] = [Self::Threads, Self::Epoll, Self::Uring];

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

    /// A test of this engine, named after it.
    pub(crate) fn trial(self, name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
        let is_missing = self == Self::Uring && !*HAS_URING;
        let is_required = std::env::var_os("ECHO_REQUIRE_URING").is_some();
        let why = if is_missing { " (no io_uring here)" } else { "" };
        let run = move || {
            test();
            Ok(())
        };
        Trial::test(format!("{}::{name}{why}", self.name()), run)
            .with_ignored_flag(is_missing && !is_required)
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
