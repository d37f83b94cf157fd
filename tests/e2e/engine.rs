//! Which engine serves, where io_uring is forbidden or missing.

use std::{collections::BTreeMap, process::Command, thread};

use rustix::io::Errno;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

use crate::support::{Server, client, output_of, server_path};

/// `io_uring_setup(2)`; the same number on every architecture.
const IO_URING_SETUP: i64 = 425;

/// What `run` returns where the kernel answers `errno` to who wants an io_uring: children started
/// there inherit the filter.
fn without_uring<T: Send>(errno: Errno, run: impl FnOnce() -> T + Send) -> T {
    let answer = SeccompAction::Errno(errno.raw_os_error().unsigned_abs());
    let rules = BTreeMap::from([(IO_URING_SETUP, Vec::new())]);
    let arch = std::env::consts::ARCH.try_into().expect("known to seccompiler");
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, answer, arch);
    let filter: BpfProgram = filter.and_then(TryInto::try_into).expect("a filter");
    let filtered = || {
        apply_filter(&filter).expect("anyone may forbid himself something");
        run()
    };
    thread::scope(|scope| scope.spawn(filtered).join().expect("it passes"))
}

#[test]
fn auto_falls_back_where_io_uring_is_forbidden_or_missing_and_says_why() {
    for (errno, why) in
        [(Errno::PERM, "Operation not permitted"), (Errno::NOSYS, "Function not implemented")]
    {
        without_uring(errno, || {
            let server = Server::start(&["--engine", "auto"]);
            let line = server.wait_for_log("engine=");
            assert!(line.contains("engine=\"epoll\"") && line.contains(why), "{line}");
            client(&server).assert().success();
            assert!(server.stop().status.success());
        });
    }
}

#[test]
fn an_engine_asked_for_that_cannot_be_had_is_a_usage_error_with_a_way_out() {
    for (errno, fix) in [(Errno::PERM, "kernel.io_uring_disabled"), (Errno::NOSYS, "without it")] {
        let output = without_uring(errno, || {
            let mut command = Command::new(server_path());
            command.args(["--listen", "127.0.0.1:0", "--engine", "uring"]);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            output_of(command.spawn().expect("it starts"))
        });
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(fix) && said.contains("--engine epoll"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
