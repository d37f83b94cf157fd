//! The time of a run: nanoseconds from the start of its load.

use std::time::{Duration, Instant};

/// Reads the time; threads that share a start agree on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    /// A clock that shows 0 at `start` and before.
    pub(super) fn starting(start: Instant) -> Self {
        Self(start)
    }

    pub(super) fn now(self) -> u64 {
        nanos(self.0.elapsed())
    }

    /// Sleeps until the load starts.
    pub(super) fn wait_for_start(self) {
        std::thread::sleep(self.0.saturating_duration_since(Instant::now()));
    }
}

/// A duration in nanoseconds; centuries are all alike.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
