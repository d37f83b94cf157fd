//! Two sides, and whether what differs is more than chance.
//!
//! The unit is the run: samples of one run resemble each other more than those of the next, so a
//! million samples of one run tell nothing about how runs vary (Kalibera and Jones, "Rigorous
//! Benchmarking in Reasonable Time", ISMM 2013; Georges, Buytaert and Eeckhout, "Statistically
//! Rigorous Java Performance Evaluation", OOPSLA 2007).
//!
//! - **Three runs or more in all**: a side's figure is the geometric mean of its runs' figures. The
//!   interval of the ratio is Student's, 95 %, on the logarithms, with the variance of both sides
//!   pooled; so it widens by itself where runs are few.
//! - **One run a side**: runs cannot vary, their seconds can. The interval is that of a block
//!   bootstrap, 95 %, over at most [`MAX_BLOCKS`] stretches of each run (Künsch, "The Jackknife and
//!   the Bootstrap for General Stationary Observations", Annals of Statistics 17, 1989). It holds
//!   for these two runs; the next run may differ more, and we say so.
//!
//! A percentile with fewer than ten samples beyond it in any run is not compared. Each interval
//! stands for itself: of twenty that show nothing but chance, one is expected to exclude no change.

use std::fmt;

use fastrand::Rng;

use super::{
    part::coarser,
    side::{Run, Side},
};
use crate::{
    bench::{PERCENTILES, percentile},
    figures,
    hlog::Tag,
};

/// Stretches that a run is cut into: long enough to be nearly independent of each other, and
/// enough to tell how they vary.
const MAX_BLOCKS: usize = 40;

/// Fewer stretches tell nothing about how they vary.
const MIN_BLOCKS: usize = 10;

const RESAMPLES: usize = 2000;

/// The same figures every time.
const SEED: u64 = 0x5eed;

/// A bucket of a histogram is so wide; figures within it are the same figure.
const RESOLUTION: f64 = 0.001;

/// An interval from a tenth to tenfold tells nothing that is worth telling.
const WIDEST: f64 = 100.0;

/// How the interval came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// Over runs.
    Student,
    /// Over stretches of one run each.
    Bootstrap,
}

/// What a comparison has found for one figure.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) figure: Figure,
    /// Of the baseline; nanoseconds or messages per second.
    pub(crate) before: f64,
    pub(crate) now: f64,
    /// `now / before`, least to greatest; none when there is too little data to tell.
    pub(crate) ratio: Option<(f64, f64)>,
}

impl Method {
    /// What a reader has to know about the intervals.
    pub(crate) fn told(self) -> &'static str {
        match self {
            Self::Student => {
                "Figures are geometric means of the runs; the interval is Student's over runs, so \
                 it tells how far the next runs would differ, too."
            }
            Self::Bootstrap => {
                "The interval is a block bootstrap within these two runs: it does not tell how \
                 much runs differ from each other. Give three runs or more for that."
            }
        }
    }
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Figure {
    Percentile(f64),
    Rate,
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percentile(percent) => f.write_str(&figures::percentile(*percent)),
            Self::Rate => f.write_str("rate"),
        }
    }
}

/// What an interval allows to be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    Better,
    Worse,
    /// The interval holds "no change".
    NotShown,
    TooLittleData,
}

impl Finding {
    pub(crate) fn told(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NotShown => "no change shown",
            Self::TooLittleData => "too little data",
        }
    }
}

impl Row {
    /// The interval as text: `+3.1 % to +8.2 %`.
    pub(crate) fn interval(&self) -> Option<String> {
        let (low, high) = self.ratio?;
        Some(format!("{} to {}", figures::change(low), figures::change(high)))
    }

    pub(crate) fn finding(&self) -> Finding {
        let more_is = match self.figure {
            Figure::Percentile(_) => Finding::Worse,
            Figure::Rate => Finding::Better,
        };
        let less_is = if more_is == Finding::Worse { Finding::Better } else { Finding::Worse };
        match self.ratio {
            None => Finding::TooLittleData,
            Some((low, _)) if low > 1.0 => more_is,
            Some((_, high)) if high < 1.0 => less_is,
            Some(_) => Finding::NotShown,
        }
    }
}

/// Both sides, figure by figure.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Comparison {
    pub(crate) tag: Tag,
    pub(crate) method: Method,
    pub(crate) rows: Vec<Row>,
}

impl Comparison {
    /// Compares in the latency that both sides have.
    pub(crate) fn of(before: &Side, now: &Side) -> Self {
        let responds = [before, now].iter().all(|side| side.main_tag() == Tag::Response);
        let tag = if responds { Tag::Response } else { Tag::Service };
        let (all_before, all_now) = (before.merged(tag), now.merged(tag));
        let mut rows = Vec::new();
        for percent in PERCENTILES {
            let of = |samples| percentile(samples, percent).map(|ns| ns as f64);
            if let (Some(before), Some(now)) = (of(&all_before), of(&all_now)) {
                let figure = Figure::Percentile(percent);
                rows.push(Row { figure, before, now, ratio: None });
            }
        }
        if let (Some(before), Some(now)) = (before.rate(), now.rate()) {
            rows.push(Row { figure: Figure::Rate, before, now, ratio: None });
        }
        let method = match (&before.runs[..], &now.runs[..]) {
            ([before], [now]) => {
                let (before, now) = (Blocks::of(before, tag), Blocks::of(now, tag));
                bootstrap(&before, &now, RESAMPLES, &mut rows);
                Method::Bootstrap
            }
            (before, now) => {
                let (before, now) = (of_runs(before, tag, &rows), of_runs(now, tag, &rows));
                for ((row, before), now) in rows.iter_mut().zip(before).zip(now) {
                    if let (Some(before), Some(now)) = (before, now) {
                        student(&before, &now, row);
                    }
                }
                Method::Student
            }
        };
        Self { tag, method, rows }
    }
}

/// The figures of each run, row by row; none for a row that one of them cannot tell.
fn of_runs(runs: &[Run], tag: Tag, rows: &[Row]) -> Vec<Option<Vec<f64>>> {
    let merged: Vec<_> = runs.iter().map(|run| run.merged(tag)).collect();
    let of = |row: &Row| match row.figure {
        Figure::Percentile(percent) => {
            merged.iter().map(|run| percentile(run, percent).map(|ns| ns as f64)).collect()
        }
        Figure::Rate => runs.iter().map(|run| run.rate().filter(|rate| *rate > 0.0)).collect(),
    };
    rows.iter().map(of).collect()
}

/// Fills in the interval over runs, and the sides' means with it.
fn student(before: &[f64], now: &[f64], row: &mut Row) {
    let (n, m) = (before.len(), now.len());
    if n == 0 || m == 0 || n + m < 3 {
        return;
    }
    let (mean_before, squares_before) = log_moments(before);
    let (mean_now, squares_now) = log_moments(now);
    let freedom = n + m - 2;
    let variance = (squares_before + squares_now) / freedom as f64;
    let error = (variance * (1.0 / n as f64 + 1.0 / m as f64)).sqrt();
    let half = student_t(freedom) * error + RESOLUTION;
    let difference = mean_now - mean_before;
    row.before = mean_before.exp();
    row.now = mean_now.exp();
    row.ratio = telling((difference - half).exp(), (difference + half).exp());
}

/// The interval, unless it is so wide that there was too little data.
fn telling(low: f64, high: f64) -> Option<(f64, f64)> {
    let is_one = low > 0.0 && high.is_finite();
    (is_one && high / low <= WIDEST).then_some((low, high))
}

/// The mean of the logarithms, and the sum of the squares of their distances from it.
fn log_moments(values: &[f64]) -> (f64, f64) {
    let logs = || values.iter().map(|value| value.max(1e-9).ln());
    let mean = logs().sum::<f64>() / values.len() as f64;
    (mean, logs().map(|log| (log - mean).powi(2)).sum())
}

/// Student's t that 95 % of a distribution with so many degrees of freedom lie within; beyond 30
/// degrees, that of 30 (2 % more than it need be at most, on the safe side).
fn student_t(freedom: usize) -> f64 {
    const T: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
        2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
        2.052, 2.048, 2.045, 2.042,
    ];
    T[freedom.clamp(1, T.len()) - 1]
}

/// One run, cut into stretches.
struct Blocks {
    /// The values that occur in any stretch, rising.
    values: Vec<u64>,
    stretches: Vec<Stretch>,
}

struct Stretch {
    seconds: f64,
    /// Which of `values`, and how often.
    counts: Vec<(usize, u64)>,
}

impl Blocks {
    fn of(run: &Run, tag: Tag) -> Self {
        let slices = run.slices(tag);
        let slices = coarser(&slices, slices.len().div_ceil(MAX_BLOCKS));
        let mut values: Vec<u64> =
            slices.iter().flat_map(|slice| slice.samples.iter()).map(|(value, _)| value).collect();
        values.sort_unstable();
        values.dedup();
        let stretches = slices.iter().map(|slice| {
            let counts = slice.samples.iter();
            let counts = counts
                .map(|(value, count)| (values.partition_point(|other| *other < value), count));
            Stretch { seconds: slice.length.as_secs_f64(), counts: counts.collect() }
        });
        let stretches = stretches.collect();
        Self { values, stretches }
    }

    /// The figures of as many stretches as there are, drawn at random with replacement.
    fn resample(&self, rows: &[Row], random: &mut Rng, scratch: &mut Vec<u64>) -> Vec<f64> {
        scratch.clear();
        scratch.resize(self.values.len(), 0);
        let mut seconds = 0.0;
        for _ in &self.stretches {
            let drawn = &self.stretches[random.usize(..self.stretches.len())];
            seconds += drawn.seconds;
            drawn.counts.iter().for_each(|(at, count)| scratch[*at] += count);
        }
        let total: u64 = scratch.iter().sum();
        let figure = |row: &Row| match row.figure {
            Figure::Rate if seconds > 0.0 => total as f64 / seconds,
            Figure::Rate => 0.0,
            Figure::Percentile(percent) => self.at(scratch, percent / 100.0 * total as f64),
        };
        rows.iter().map(figure).collect()
    }

    /// The value that so many samples do not exceed.
    fn at(&self, counts: &[u64], rank: f64) -> f64 {
        let mut seen = 0;
        let reached = counts.iter().position(|count| {
            seen += count;
            seen > 0 && seen as f64 >= rank
        });
        reached.map_or(0.0, |at| self.values[at] as f64)
    }
}

/// Fills in the intervals over stretches, where there are enough.
fn bootstrap(before: &Blocks, now: &Blocks, resamples: usize, rows: &mut [Row]) {
    if before.stretches.len() < MIN_BLOCKS || now.stretches.len() < MIN_BLOCKS {
        return;
    }
    let (mut random, mut scratch) = (Rng::with_seed(SEED), Vec::new());
    let mut ratios = vec![Vec::with_capacity(resamples); rows.len()];
    for _ in 0..resamples {
        let before = before.resample(rows, &mut random, &mut scratch);
        let now = now.resample(rows, &mut random, &mut scratch);
        for (ratios, (before, now)) in ratios.iter_mut().zip(before.iter().zip(&now)) {
            ratios.push(now / before);
        }
    }
    for (row, mut ratios) in rows.iter_mut().zip(ratios) {
        ratios.sort_unstable_by(f64::total_cmp);
        // 2.5 % of them are outside on each side.
        let outside = resamples / 40;
        let (low, high) = (ratios[outside], ratios[resamples - 1 - outside]);
        let (low, high) = (low * (1.0 - RESOLUTION), high * (1.0 + RESOLUTION));
        row.ratio = telling(low, high);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use super::*;
    use crate::bench::{Counts, histogram, nanos};
    use crate::report::part::{Growing, Part, Slice};

    /// Nanoseconds: few buckets lie below, so that a thousand histograms are quick.
    const USUAL: f64 = 1000.0;

    /// A run of `seconds` seconds with 50 samples each around `middle` ns, which wander.
    fn run(random: &mut Rng, middle: f64, seconds: u64) -> Run {
        let mut unit = || random.f64();
        let mut growing = Growing::new();
        for second in 0..seconds {
            let mut samples = histogram();
            let drift = 1.0 + 0.1 * (unit() - 0.5);
            for _ in 0..50 {
                let tail = if unit() < 0.05 { 5.0 * unit() } else { 0.0 };
                let took = Duration::from_secs_f64(middle * drift * (1.0 + unit() + tail) / 1e9);
                samples.saturating_record(nanos(took));
            }
            growing.push(Slice {
                start: Duration::from_secs(second),
                length: Duration::from_secs(1),
                samples: Counts::from(&samples),
            });
        }
        let series = BTreeMap::from([(Tag::Service, growing.done())]);
        Run { parts: vec![Part { name: "run".into(), summary: None, base: None, series }] }
    }

    fn find(comparison: &Comparison, percent: f64) -> Finding {
        let row = |row: &&Row| row.figure == Figure::Percentile(percent);
        comparison.rows.iter().find(row).unwrap().finding()
    }

    /// In how many of `rounds` comparisons of the same with the same the interval holds 1.
    fn held(rounds: u32, compare: impl Fn(&mut Rng) -> Comparison) -> f64 {
        let mut random = Rng::with_seed(1);
        let rows = (0..rounds).flat_map(|_| compare(&mut random).rows);
        let (mut all, mut held) = (0.0, 0.0);
        for row in rows.filter(|row| row.figure != Figure::Rate && row.ratio.is_some()) {
            all += 1.0;
            held += f64::from(u8::from(row.finding() == Finding::NotShown));
        }
        held / all
    }

    #[test]
    fn an_interval_over_runs_holds_the_truth_as_often_as_it_says() {
        let side = |random: &mut Rng, runs: usize| Side {
            runs: (0..runs)
                .map(|_| {
                    let of_run = 1.0 + 0.3 * random.f64();
                    run(random, USUAL * of_run, 12)
                })
                .collect(),
        };
        for (before, now) in [(3, 3), (5, 1), (2, 2)] {
            let share =
                held(60, |random| Comparison::of(&side(random, before), &side(random, now)));
            assert!((0.88..=1.0).contains(&share), "{before} and {now} runs: {share}");
        }
    }

    #[test]
    fn an_interval_over_stretches_holds_the_truth_as_often_as_it_says() {
        let share = held(40, |random| {
            let row = |percent| {
                let figure = Figure::Percentile(percent);
                Row { figure, before: 1.0, now: 1.0, ratio: None }
            };
            let mut rows = [50.0, 90.0, 99.0].map(row).to_vec();
            let mut blocks = || Blocks::of(&run(random, USUAL, 60), Tag::Service);
            bootstrap(&blocks(), &blocks(), 300, &mut rows);
            Comparison { tag: Tag::Service, method: Method::Bootstrap, rows }
        });
        assert!((0.88..=1.0).contains(&share), "{share}");
    }

    #[test]
    fn a_change_that_is_more_than_chance_is_found() {
        let random = &mut Rng::with_seed(7);
        let mut side = |middle, runs: usize, seconds| Side {
            runs: (0..runs).map(|_| run(random, middle, seconds)).collect(),
        };
        let slower = Comparison::of(&side(USUAL, 3, 12), &side(1.2 * USUAL, 3, 12));
        assert_eq!((slower.method, find(&slower, 50.0)), (Method::Student, Finding::Worse));
        let faster = Comparison::of(&side(USUAL, 1, 60), &side(0.8 * USUAL, 1, 60));
        assert_eq!((faster.method, find(&faster, 99.0)), (Method::Bootstrap, Finding::Better));
        let short = Comparison::of(&side(USUAL, 1, 5), &side(1.8 * USUAL, 1, 60));
        assert_eq!(find(&short, 50.0), Finding::TooLittleData);
        // One degree of freedom, and two runs that have little in common.
        let (slow, fast) = (side(18.0 * USUAL, 1, 12), side(USUAL, 1, 12));
        let apart = Side { runs: [slow.runs, fast.runs].concat() };
        let unlike = Comparison::of(&apart, &side(1.8 * USUAL, 1, 12));
        assert_eq!(find(&unlike, 50.0), Finding::TooLittleData);
    }

    #[test]
    fn a_comparison_is_the_same_every_time() {
        let random = &mut Rng::with_seed(7);
        let mut side = || Side { runs: vec![run(random, USUAL, 30)] };
        let (before, now) = (side(), side());
        assert_eq!(Comparison::of(&before, &now), Comparison::of(&before, &now));
    }

    #[test]
    fn more_latency_is_worse_and_more_messages_are_better() {
        let row = |figure, ratio| Row { figure, before: 1.0, now: 1.0, ratio: Some(ratio) };
        assert_eq!(row(Figure::Percentile(50.0), (1.1, 1.2)).finding(), Finding::Worse);
        assert_eq!(row(Figure::Percentile(50.0), (0.8, 0.9)).finding(), Finding::Better);
        assert_eq!(row(Figure::Rate, (1.1, 1.2)).finding(), Finding::Better);
        assert_eq!(row(Figure::Rate, (0.8, 0.9)).finding(), Finding::Worse);
        assert_eq!(row(Figure::Rate, (0.9, 1.1)).finding(), Finding::NotShown);
    }
}
