//! The service's behaviour, the same for every engine: each test runs once for each of them.
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

use libtest_mimic::Arguments;

pub(crate) use crate::support::engine::Engine;

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
    let mut trials = Vec::new();
    for engine in Engine::ALL {
        let of_workers = SUITES_OF_WORKERS.into_iter().filter(|_| engine.has_workers());
        for (suite, tests) in SUITES.into_iter().chain(of_workers) {
            for (name, test) in tests {
                trials.push(engine.trial(&format!("{suite}::{name}"), move || test(engine)));
            }
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
