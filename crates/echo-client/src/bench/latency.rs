//! Latencies in nanoseconds: a histogram to record into, and a small copy of one to keep.

use hdrhistogram::Histogram;

/// The longest latency told apart; longer ones count as this one. One hour.
pub const MAX_LATENCY: u64 = 3_600_000_000_000;

/// Significant decimal digits: a latency is known to within 0.1 %.
pub const DIGITS: u8 = 3;

/// A percentile is told only when so many samples lie beyond it; fewer are a matter of luck.
pub const MIN_BEYOND: u64 = 10;

/// An empty histogram of nanoseconds, from 1 to [`MAX_LATENCY`], that never allocates again.
///
/// # Panics
/// Never: the range is a valid one.
#[must_use]
pub fn histogram() -> Histogram<u64> {
    match Histogram::new_with_bounds(1, MAX_LATENCY, DIGITS) {
        Ok(histogram) => histogram,
        Err(_) => unreachable!("1 to an hour with 3 digits is a valid range"),
    }
}

/// The latency within which `percent` of the samples lie, if [`MIN_BEYOND`] of them lie beyond.
#[must_use]
pub fn percentile(histogram: &Histogram<u64>, percent: f64) -> Option<u64> {
    let value = histogram.value_at_percentile(percent);
    let beyond = (100.0 - percent) / 100.0 * histogram.len() as f64;
    // A rank that is a whole number but for the last bit of a float is one.
    (beyond + 1e-6 >= MIN_BEYOND as f64).then_some(value)
}

/// What a histogram holds and nothing else: some kilobytes instead of hundreds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(Vec<(u64, u64)>);

impl Counts {
    /// The latencies that occur, as the lowest of their bucket in rising order, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().copied()
    }

    /// Takes in the samples of a histogram.
    pub fn add(&mut self, more: &Histogram<u64>) {
        if self.0.is_empty() {
            *self = more.into();
        } else if !more.is_empty() {
            let mut sum = self.to_histogram();
            for bucket in more.iter_recorded() {
                sum.saturating_record_n(bucket.value_iterated_to(), bucket.count_at_value());
            }
            *self = (&sum).into();
        }
    }

    /// How many samples there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// The same samples in a histogram again.
    #[must_use]
    pub fn to_histogram(&self) -> Histogram<u64> {
        let mut histogram = histogram();
        for (value, count) in self.iter() {
            histogram.saturating_record_n(value, count);
        }
        histogram
    }
}

impl From<&Histogram<u64>> for Counts {
    fn from(histogram: &Histogram<u64>) -> Self {
        let buckets = histogram.iter_recorded();
        Self(
            buckets
                .map(|bucket| {
                    (
                        histogram.lowest_equivalent(bucket.value_iterated_to()),
                        bucket.count_at_value(),
                    )
                })
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_thousandth_of_an_exact_sort() {
        let mut histogram = histogram();
        let mut exact = Vec::new();
        let mut state = 1_u64;
        for _ in 0..100_000 {
            // Knuth's MMIX generator; the upper bits spread the sample over six decades.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let sample = 1 + (state >> 24 & 0xffff_ffff) * (state >> 56);
            exact.push(sample);
            histogram.saturating_record(sample);
        }
        exact.sort_unstable();
        for (percent, rank) in [(50.0, 50_000), (90.0, 90_000), (99.0, 99_000), (99.9, 99_900)] {
            let told = percentile(&histogram, percent).unwrap() as f64;
            let truth = exact[rank - 1] as f64;
            assert!((told / truth - 1.0).abs() <= 0.001, "p{percent}: {told} for {truth}");
        }
    }

    #[test]
    fn a_percentile_needs_ten_samples_beyond_it() {
        let mut few = histogram();
        for sample in 1..=999 {
            few.saturating_record(sample);
        }
        assert_eq!(percentile(&few, 99.0), None);
        few.saturating_record(1000);
        assert_eq!(percentile(&few, 99.0), Some(990));
        assert_eq!(percentile(&few, 99.9), None);
        assert_eq!(percentile(&histogram(), 50.0), None);
    }

    #[test]
    fn counts_give_back_the_histogram_they_were_made_of() {
        let mut whole = histogram();
        for sample in [1, 1, 2047, 2049, 5_000_001, MAX_LATENCY, MAX_LATENCY * 2] {
            whole.saturating_record(sample);
        }
        let counts = Counts::from(&whole);
        assert_eq!(counts.total(), 7);
        assert_eq!(counts.to_histogram(), whole);
    }
}
