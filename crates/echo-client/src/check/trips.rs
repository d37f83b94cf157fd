//! Round trips of small messages, and what they say about a path.

use std::time::{Duration, Instant};

use super::{
    case::Broken,
    conn::{Conn, MESSAGE},
};

/// Round trips that were measured.
#[derive(Debug, Default)]
pub(super) struct Trips {
    /// The shortest first.
    took: Vec<Duration>,
}

impl Trips {
    /// Makes them one after the other, at most `count`, and none after so long.
    pub(super) fn make(conn: &mut Conn<'_>, count: u32, within: Duration) -> Result<Self, Broken> {
        let begun = Instant::now();
        let message = conn.load(0, MESSAGE);
        let mut trips = Self::default();
        for _ in 0..count {
            trips.add(conn.echo(&message)?);
            if begun.elapsed() >= within {
                break;
            }
        }
        Ok(trips)
    }

    pub(super) fn add(&mut self, took: Duration) {
        let at = self.took.partition_point(|other| *other <= took);
        self.took.insert(at, took);
    }

    pub(super) fn count(&self) -> usize {
        self.took.len()
    }

    pub(super) fn least(&self) -> Duration {
        self.took.first().copied().unwrap_or_default()
    }

    pub(super) fn median(&self) -> Duration {
        self.took.get(self.took.len() / 2).copied().unwrap_or_default()
    }

    pub(super) fn most(&self) -> Duration {
        self.took.last().copied().unwrap_or_default()
    }
}
