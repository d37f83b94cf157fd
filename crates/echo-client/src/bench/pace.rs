//! When messages are due, without a clock.
//!
//! ```text
//! rate 4/s, 2 connections     a: 0 ms      500 ms       1000 ms
//!                             b:     250 ms      750 ms
//! ```
//!
//! The load is one sequence of times; each connection takes every n-th of them. So neighbours never
//! send together, whichever threads or machines they are on. Every connection knows the time of its
//! next message only: however far it falls behind, no time is lost and no memory is needed.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
};

use fastrand::Rng;

use super::Arrival;

/// Messages that were never sent and are counted one by one.
const MAX_COUNTED: u32 = 1 << 16;

/// Nanoseconds of a second.
const SECOND: f64 = 1e9;

/// The times at which one connection's messages are due, in nanoseconds from the start of the load.
#[derive(Debug, Clone)]
pub(super) struct Arrivals {
    /// The time of the next message.
    next: f64,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    /// The message with this number in the whole load; this connection has each `step`-th.
    Even { number: u64, step: u64, gap: f64 },
    /// Independent of each other, `mean` apart.
    Poisson { random: Rng, mean: f64 },
}

impl Arrivals {
    /// The share of connection `number` of `connections` in a load of `rate` messages per second.
    pub(super) fn new(arrival: Arrival, rate: f64, number: u32, connections: u32) -> Self {
        let gap = SECOND / rate;
        let kind = match arrival {
            Arrival::Even => {
                Kind::Even { number: u64::from(number), step: u64::from(connections), gap }
            }
            // Many independent processes are together one of the sum of their rates.
            Arrival::Poisson => Kind::Poisson {
                random: Rng::with_seed(u64::from(number)),
                mean: gap * f64::from(connections),
            },
        };
        let mut arrivals = Self { next: 0.0, kind };
        match arrivals.kind {
            Kind::Even { number, gap, .. } => arrivals.next = number as f64 * gap,
            Kind::Poisson { .. } => arrivals.advance(),
        }
        arrivals
    }

    /// When the next message is due.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a time from 0 on, far below 2^53 ns, which is 104 days"
    )]
    pub(super) fn next(&self) -> u64 {
        self.next as u64
    }

    /// Goes on to the message after that.
    pub(super) fn advance(&mut self) {
        match &mut self.kind {
            // Of the number, not of the time before: rounding does not add up.
            Kind::Even { number, step, gap } => {
                *number += *step;
                self.next = *number as f64 * *gap;
            }
            Kind::Poisson { random, mean } => self.next -= (1.0 - random.f64()).ln() * *mean,
        }
    }

    /// How many messages are due from `from` on and before `until`, the next one or later ones; of
    /// more than [`MAX_COUNTED`], about how many.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a quotient of positive times"
    )]
    pub(super) fn count(mut self, from: u64, until: u64) -> u64 {
        let mut count = 0;
        for _ in 0..MAX_COUNTED {
            if self.next() >= until {
                return count;
            }
            count += u64::from(self.next() >= from);
            self.advance();
        }
        let apart = match self.kind {
            Kind::Even { step, gap, .. } => step as f64 * gap,
            Kind::Poisson { mean, .. } => mean,
        };
        count + ((until as f64 - self.next.max(from as f64)) / apart).max(0.0) as u64
    }
}

/// Which connection is due next.
#[derive(Debug, Default)]
pub(super) struct Schedule(BinaryHeap<Reverse<(u64, usize)>>);

impl Schedule {
    /// Puts a connection in that is not in it, with the time of its next message.
    pub(super) fn push(&mut self, at: u64, connection: usize) {
        self.0.push(Reverse((at, connection)));
    }

    /// When the next message is due.
    pub(super) fn next(&self) -> Option<u64> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// Hands `send` the connection that is due first, if that is by `now`. It stays in, at the time
    /// that `send` returns, or leaves.
    pub(super) fn turn(&mut self, now: u64, send: impl FnOnce(usize) -> Option<u64>) -> bool {
        let Some(mut first) = self.0.peek_mut().filter(|first| first.0.0 <= now) else {
            return false;
        };
        match send(first.0.1) {
            Some(at) => first.0.0 = at,
            None => {
                PeekMut::pop(first);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: u64 = 1_000_000;

    /// All times before `until`, in the order in which a schedule brings them.
    fn times(arrival: Arrival, rate: f64, connections: u32, until: u64) -> Vec<(u64, usize)> {
        let mut arrivals: Vec<_> = (0..connections)
            .map(|number| Arrivals::new(arrival, rate, number, connections))
            .collect();
        let mut schedule = Schedule::default();
        for (i, arrivals) in arrivals.iter().enumerate() {
            schedule.push(arrivals.next(), i);
        }
        let mut times = Vec::new();
        while let Some(now) = schedule.next().filter(|at| *at < until) {
            assert!(schedule.turn(now, |i| {
                times.push((now, i));
                arrivals[i].advance();
                Some(arrivals[i].next())
            }));
        }
        times
    }

    #[test]
    fn even_arrivals_are_equally_far_apart_and_go_round_the_connections() {
        let times = times(Arrival::Even, 1000.0, 7, 100 * MILLISECOND);
        assert_eq!(times.len(), 100);
        for (k, (at, connection)) in times.into_iter().enumerate() {
            assert_eq!((at, connection), (k as u64 * MILLISECOND, k % 7));
        }
    }

    #[test]
    fn rounding_does_not_add_up() {
        let mut arrivals = Arrivals::new(Arrival::Even, 3.0, 0, 1);
        for _ in 0..3_000_000 {
            arrivals.advance();
        }
        assert_eq!(arrivals.next(), 1_000_000 * 1000 * MILLISECOND);
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_vary_as_much_as_they_should() {
        let times = times(Arrival::Poisson, 10_000.0, 50, 10_000 * MILLISECOND);
        let count = times.len() as f64;
        assert!((count - 100_000.0).abs() < 5.0 * 100_000_f64.sqrt(), "{count} of 100,000");
        let gaps: Vec<_> = times.windows(2).map(|pair| (pair[1].0 - pair[0].0) as f64).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // Of an exponential distribution, the deviation is the mean.
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.03, "{} for {mean}", variance.sqrt());
    }

    #[test]
    fn a_connection_that_cannot_send_leaves_and_keeps_its_times() {
        let mut arrivals = Arrivals::new(Arrival::Even, 1000.0, 0, 1);
        let mut schedule = Schedule::default();
        schedule.push(arrivals.next(), 0);
        assert!(schedule.turn(0, |_| None));
        assert!(!schedule.turn(10 * MILLISECOND, |_| None), "nobody is in it");
        let late = std::iter::from_fn(|| {
            let at = arrivals.next();
            arrivals.advance();
            (at <= 3 * MILLISECOND).then_some(at)
        });
        assert_eq!(late.collect::<Vec<_>>(), [0, 1, 2, 3].map(|ms| ms * MILLISECOND));
    }

    #[test]
    fn what_is_due_is_counted_without_being_sent() {
        let arrivals = Arrivals::new(Arrival::Even, 1000.0, 1, 2);
        assert_eq!(arrivals.clone().count(0, 10 * MILLISECOND), 5);
        assert_eq!(arrivals.count(4 * MILLISECOND, 10 * MILLISECOND), 3);
    }
}
