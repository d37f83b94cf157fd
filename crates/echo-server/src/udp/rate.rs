//! How many datagrams are answered: so many a second of one source, and so many of all.
//!
//! Token buckets in whole numbers: a bucket gains `rate` billionths of a datagram every nanosecond,
//! up to one second's worth, and a datagram takes a billion of them. Time is passed in.
//!
//! Sources are hashed into a fixed number of buckets, with a key that nobody outside knows. So the
//! table never grows, whatever is spoofed; two sources in one bucket share what it has.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    time::Duration,
};

use crate::peer::network;

/// Buckets for sources, 16 bytes each.
const SOURCES: usize = 4096;

/// What a datagram takes.
const ONE: u64 = 1_000_000_000;

/// Which limit a datagram is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Source,
    Total,
}

/// The rates of a service; `None` is without limit.
#[derive(Debug)]
pub(crate) struct Rates {
    per_source: Option<NonZeroU32>,
    total: Option<NonZeroU32>,
    sources: Box<[Bucket]>,
    all: Bucket,
    key: RandomState,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// In billionths of a datagram, at most a second's worth.
    level: u64,
    /// When it had that, in nanoseconds.
    at: u64,
}

impl Rates {
    /// Full at first: so many may come at once.
    pub(crate) fn new(per_source: Option<NonZeroU32>, total: Option<NonZeroU32>) -> Self {
        Self {
            per_source,
            total,
            sources: vec![Bucket::full(per_source); SOURCES].into(),
            all: Bucket::full(total),
            key: RandomState::new(),
        }
    }

    /// Whether a datagram of `source` may be answered at `now`; then it is counted.
    pub(super) fn take(&mut self, source: IpAddr, now: Duration) -> Result<(), Over> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        if let Some(rate) = self.per_source {
            let slots = u64::try_from(self.sources.len()).unwrap_or(u64::MAX);
            let slot = self.key.hash_one(network(source)) % slots;
            let bucket = usize::try_from(slot).ok().and_then(|slot| self.sources.get_mut(slot));
            if bucket.is_some_and(|bucket| !bucket.take(rate, now)) {
                return Err(Over::Source);
            }
        }
        match self.total {
            Some(rate) if !self.all.take(rate, now) => Err(Over::Total),
            _ => Ok(()),
        }
    }
}

impl Bucket {
    fn full(rate: Option<NonZeroU32>) -> Self {
        Self { level: rate.map_or(0, most), at: 0 }
    }

    fn take(&mut self, rate: NonZeroU32, now: u64) -> bool {
        let gained = now.saturating_sub(self.at).saturating_mul(rate.get().into());
        self.level = self.level.saturating_add(gained).min(most(rate));
        self.at = self.at.max(now);
        let Some(left) = self.level.checked_sub(ONE) else { return false };
        self.level = left;
        true
    }
}

/// A second's worth, under 2^63.
fn most(rate: NonZeroU32) -> u64 {
    u64::from(rate.get()) * ONE
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "192.0.2.1";

    fn rates(per_source: u32, total: u32) -> Rates {
        Rates::new(NonZeroU32::new(per_source), NonZeroU32::new(total))
    }

    fn taken(rates: &mut Rates, source: &str, tries: u32, now: Duration) -> usize {
        let source = source.parse().unwrap();
        (0..tries).filter(|_| rates.take(source, now).is_ok()).count()
    }

    #[test]
    fn a_source_has_a_second_at_once_and_its_rate_from_then_on() {
        let mut rates = rates(100, 0);
        assert_eq!(taken(&mut rates, A, 1000, Duration::ZERO), 100);
        assert_eq!(taken(&mut rates, A, 1000, Duration::from_millis(95)), 9);
        assert_eq!(taken(&mut rates, A, 1000, Duration::from_millis(100)), 1, "no part is lost");
        assert_eq!(taken(&mut rates, A, 1000, Duration::from_secs(3600)), 100, "saved up");
    }

    #[test]
    fn ports_and_addresses_of_one_network_do_not_multiply_it() {
        let mut rates = rates(10, 0);
        let taken: usize = (0..100)
            .map(|i| taken(&mut rates, &format!("2001:db8::{i:x}"), 1, Duration::ZERO))
            .sum();
        assert_eq!(taken, 10);
    }

    #[test]
    fn what_is_over_the_rate_of_its_source_takes_nothing_from_the_others() {
        let mut rates = rates(10, 15);
        assert_eq!(taken(&mut rates, A, 1000, Duration::ZERO), 10);
        let others = (0..100).map(|i| format!("198.51.100.{i}"));
        let taken: usize = others.map(|other| taken(&mut rates, &other, 1, Duration::ZERO)).sum();
        assert_eq!(taken, 5);
        assert_eq!(rates.take("203.0.113.9".parse().unwrap(), Duration::ZERO), Err(Over::Total));
    }

    #[test]
    fn the_highest_rate_and_the_end_of_time_overflow_nothing() {
        let mut highest = rates(u32::MAX, u32::MAX);
        assert_eq!(taken(&mut highest, A, 10, Duration::MAX), 10);
        assert_eq!(taken(&mut highest, A, 10, Duration::ZERO), 10, "a clock that goes back");
        assert_eq!(taken(&mut rates(0, 0), A, 100_000, Duration::ZERO), 100_000, "no limit");
    }
}
