//! Measures in turns, so that whatever disturbs the machine disturbs everybody alike.
//!
//! In every round everybody is measured once, in an order that rotates. A ratio is taken within a
//! round, between neighbours in time.

use std::time::{Duration, Instant};

use crate::spread::Spread;

/// How often everybody is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rounds {
    pub(crate) at_most: usize,
    /// No round but the first is begun that would end later.
    pub(crate) until: Option<Instant>,
}

/// What one of them has done; a round in which it failed has no sample.
#[derive(Debug)]
pub(crate) struct Series<T> {
    pub(crate) rounds: Vec<Option<T>>,
    pub(crate) failure: Option<String>,
}

/// Measures `count` of them, of which each turn is given the index.
pub(crate) fn in_turns<T>(
    count: usize,
    rounds: Rounds,
    mut turn: impl FnMut(usize) -> anyhow::Result<T>,
) -> Vec<Series<T>> {
    let mut all: Vec<Series<T>> =
        (0..count).map(|_| Series { rounds: Vec::new(), failure: None }).collect();
    let mut longest = Duration::ZERO;
    for round in 0..rounds.at_most {
        let begin = Instant::now();
        if round > 0 && rounds.until.is_some_and(|until| begin + longest > until) {
            break;
        }
        for at in 0..count {
            let i = (round + at) % count;
            let sample = turn(i);
            let series = &mut all[i];
            match sample {
                Ok(sample) => series.rounds.push(Some(sample)),
                Err(why) => {
                    series.rounds.push(None);
                    series.failure = Some(format!("{why:#}"));
                }
            }
        }
        longest = longest.max(begin.elapsed());
    }
    all
}

impl<T> Series<T> {
    /// The spread of one of the figures.
    pub(crate) fn spread(&self, figure: impl Fn(&T) -> f64) -> Option<Spread> {
        Spread::of(self.rounds.iter().flatten().map(figure))
    }

    /// The median of one of the figures; not a number where it is never known.
    pub(crate) fn median(&self, figure: impl Fn(&T) -> f64) -> f64 {
        self.spread(figure).map_or(f64::NAN, |spread| spread.median)
    }

    /// How a figure relates to another's, round by round.
    pub(crate) fn ratio(&self, other: &Self, figure: impl Fn(&T) -> f64) -> Option<Spread> {
        let pairs = self.rounds.iter().zip(&other.rounds);
        Spread::of(
            pairs.filter_map(|(ours, theirs)| {
                Some(figure(ours.as_ref()?) / figure(theirs.as_ref()?))
            }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_each_place_of_the_order_once() {
        let mut order = Vec::new();
        let rounds = Rounds { at_most: 3, until: None };
        let all = in_turns(3, rounds, |i| {
            order.push(i);
            Ok(i)
        });
        assert_eq!(order, [0, 1, 2, 1, 2, 0, 2, 0, 1]);
        assert!(all.iter().enumerate().all(|(i, series)| series.rounds == [Some(i); 3]));
    }

    #[test]
    fn a_round_without_time_is_not_begun_but_the_first_is() {
        let rounds = Rounds { at_most: 5, until: Some(Instant::now()) };
        assert_eq!(in_turns(1, rounds, |_| Ok(1))[0].rounds, [Some(1)]);
    }

    #[test]
    fn a_failure_leaves_a_gap_and_ratios_are_of_the_same_round() {
        let rounds = Rounds { at_most: 2, until: None };
        let mut turn = 0;
        let all = in_turns(2, rounds, |i| {
            turn += 1;
            // The first is measured in turns 1 and 4.
            anyhow::ensure!((i, turn) != (0, 1), "broken");
            Ok(f64::from(turn))
        });
        assert_eq!(all[0].rounds, [None, Some(4.0)]);
        assert_eq!(all[0].failure.as_deref(), Some("broken"));
        let ratio = all[1].ratio(&all[0], |sample| *sample).expect("one round with both");
        assert_eq!((ratio.min, ratio.max), (0.75, 0.75));
    }
}
