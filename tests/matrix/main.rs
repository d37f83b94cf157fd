//! The proof that `check` sees what it says it sees: every fault of the server against the check
//! that names it, and a healthy server against all checks.
//!
//! ```text
//! echo-server --fault FAULT  ◀── echo-client check ID   FAIL or WARN, as the row says
//! echo-server                ◀── echo-client check      PASS all, WARN none, on every engine
//! ```
//!
//! Most of it is waiting, so there are more threads than cores; the checks measure beside each other,
//! and none may take that for a broken path. `ECHO_ROUNDS=20` has the healthy server checked so often.

mod faults;
mod healthy;
#[path = "../support/mod.rs"]
mod support;

use libtest_mimic::Arguments;

/// Unless `--test-threads` says otherwise.
const THREADS: usize = 8;

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let trials = healthy::trials().chain(faults::trials()).collect();
    libtest_mimic::run(&arguments, trials).exit();
}
