//! A simulation: everything that can go wrong, in virtual time, from one seed.
//!
//! ```text
//!            ┌── the echo connection under a plain engine      (model)
//! peers ─────┼── both ends under one each                       (model, model)
//!   faulty   ├── a turn of the epoll engine, on fake sockets    (epoll)
//!   links    └── the driver of the uring engine, on a fake ring (uring)
//! ```
//!
//! Single-threaded, without sockets and clocks; every decision is drawn from the seed, so a seed run
//! again is the same run. What has to hold is looked at after every step: see `oracle`.
//!
//! `cargo xtask sim --seeds N` runs many, `cargo xtask sim --seed S` replays one and prints it.

mod client;
mod engine;
mod epoll;
mod faults;
mod link;
mod model;
mod oracle;
mod rng;
mod run;
mod script;
mod service;
mod uring;
mod world;

use std::{
    env,
    panic::catch_unwind,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use faults::{Counts, Fault};
use run::run;

/// How many seeds a test run has: a few seconds in a build without optimisation.
const SHARE: u64 = 500;

/// One seed in so many is run twice, to see that it is the same run.
const RUN_TWICE: u64 = 64;

/// So many failing seeds are enough to look at.
const ENOUGH: usize = 3;

#[test]
fn whatever_goes_wrong_every_byte_comes_back_in_order() {
    if let Some(seed) = number("ECHO_SIM_SEED") {
        println!("{:?}", run(seed, true));
        return;
    }
    let first = number("ECHO_SIM_FIRST").unwrap_or_default();
    let seeds = number("ECHO_SIM_SEEDS").unwrap_or(SHARE);
    let begun = Instant::now();
    let next = AtomicU64::new(first);
    let failed = Mutex::new(Vec::new());
    let total = Mutex::new([0; Fault::ALL.len()]);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let counts = run_many(&next, first + seeds, &failed);
                let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
                total.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    for seed in &failed {
        println!("seed {seed} failed; replay it: cargo xtask sim --seed {seed}");
    }
    assert!(failed.is_empty(), "{} seeds failed, first {:?}", failed.len(), failed[0]);
    let took = begun.elapsed();
    let total = total.into_inner().unwrap();
    println!("{seeds} seeds in {took:.1?}: {:.0} seeds/s", seeds as f64 / took.as_secs_f64());
    for (fault, count) in Fault::ALL.iter().zip(total) {
        println!("{count:>12} {fault:?}");
    }
    let enough = seeds >= SHARE;
    let never = Fault::ALL.iter().zip(total).filter(|(_, count)| *count == 0 && enough);
    let never: Vec<_> = never.map(|(fault, _)| fault).collect();
    assert!(never.is_empty(), "these faults never happened: {never:?}");
}

/// Runs seeds until there are none left, or enough have failed.
fn run_many(next: &AtomicU64, end: u64, failed: &Mutex<Vec<u64>>) -> Counts {
    let mut total = [0; Fault::ALL.len()];
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return total;
        }
        let outcome = catch_unwind(|| {
            let outcome = run(seed, false);
            if seed % RUN_TWICE == 0 {
                assert_eq!(run(seed, false).hash, outcome.hash, "run again, it is another run");
            }
            outcome
        });
        match outcome {
            Ok(outcome) => {
                total.iter_mut().zip(outcome.faults).for_each(|(total, count)| *total += count);
            }
            Err(_) => {
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.push(seed);
                if failed.len() >= ENOUGH {
                    next.store(end, Ordering::Relaxed);
                }
            }
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}
