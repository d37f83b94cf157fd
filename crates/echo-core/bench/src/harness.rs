//! Times contenders in turns, so that whatever disturbs the machine disturbs all of them alike.
//!
//! In every round each contender is timed once, in an order that rotates. A ratio is taken within a
//! round, between neighbours in time; reported are the median over the rounds and the quartiles.

use std::time::{Duration, Instant};

use crate::wire::{Tally, Wire};

/// Somebody who takes every frame off a wire.
pub(crate) struct Contender {
    /// The framing.
    pub(crate) work: &'static str,
    /// How the bytes come: `alone` (already in memory), `deframer` (pushed in reads of 16 KiB),
    /// `receiver` (pulled from a reader), `send`.
    pub(crate) way: &'static str,
    pub(crate) who: &'static str,
    start: Box<dyn Fn(&Wire) -> Run<'_>>,
}

/// One pass over a wire, made ready before the clock starts.
pub(crate) type Run<'w> = Box<dyn FnOnce() -> Tally + 'w>;

impl Contender {
    /// `start` makes a pass ready: what it does is not timed, what the pass does is.
    pub(crate) fn new(
        (work, way, who): (&'static str, &'static str, &'static str),
        start: impl Fn(&Wire) -> Run<'_> + 'static,
    ) -> Self {
        Self { work, way, who, start: Box::new(start) }
    }

    /// The time of `passes` passes, in ns per pass.
    fn time(&self, wire: &Wire, passes: u32) -> f64 {
        let mut total = Duration::ZERO;
        for _ in 0..passes {
            let run = (self.start)(wire);
            let begin = Instant::now();
            let tally = run();
            total += begin.elapsed();
            assert_eq!(tally, wire.expected, "{} {} {}", self.work, self.way, self.who);
        }
        total.as_secs_f64() * 1e9 / f64::from(passes)
    }
}

/// How long to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Odd, so that a median is a measured value.
    pub(crate) rounds: usize,
    /// The least time of one measurement.
    pub(crate) sample: Duration,
}

/// What one contender has taken, per round, in ns per frame.
pub(crate) struct Timing<'c> {
    pub(crate) contender: &'c Contender,
    pub(crate) wire: &'c Wire,
    pub(crate) rounds: Vec<f64>,
}

/// Times all of them in turns on the same wire.
pub(crate) fn time_in_turns<'c>(
    contenders: &[&'c Contender],
    wire: &'c Wire,
    effort: Effort,
) -> Vec<Timing<'c>> {
    let passes = |contender: &Contender| {
        let warm = contender.time(wire, 3).min(contender.time(wire, 3));
        (effort.sample.as_secs_f64() * 1e9 / warm).ceil().clamp(1.0, 1e6) as u32
    };
    let passes: Vec<u32> = contenders.iter().map(|contender| passes(contender)).collect();
    let empty = |contender: &&'c Contender| Timing { contender, wire, rounds: Vec::new() };
    let mut timings: Vec<Timing<'c>> = contenders.iter().map(empty).collect();
    for round in 0..effort.rounds {
        for turn in 0..contenders.len() {
            let i = (round + turn) % contenders.len();
            let ns = contenders[i].time(wire, passes[i]) / wire.expected.frames as f64;
            timings[i].rounds.push(ns);
        }
    }
    timings
}

/// A median and the quartiles around it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Spread {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |quarter: usize| sorted[(sorted.len() - 1) * quarter / 4];
        Self { low: at(1), median: at(2), high: at(3) }
    }

    /// How many times faster `ours` is than `peer`, round by round.
    pub(crate) fn faster(ours: &[f64], peer: &[f64]) -> Self {
        Self::of(ours.iter().zip(peer).map(|(ours, peer)| peer / ours))
    }
}
