//! What every connection of a run has to know, in the engine's units.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{MAX_INTERVALS, Mode, Settings, clock::nanos, pace::Arrivals};

/// Nanoseconds of a second.
pub(super) const SECOND: u64 = 1_000_000_000;

/// How long what is missing is waited for after an interrupt, at least ...
const INTERRUPTED_DRAIN: u64 = SECOND;

/// ... and as often as long as the longest that was seen.
const LONGEST_TIMES: u64 = 2;

/// Settings, in bytes and in nanoseconds from the start of the load.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) size: u64,
    pub(super) depth: usize,
    pub(super) verify: bool,
    pub(super) mode: Mode,
    /// Connections of the whole load.
    pub(super) connections: u32,
    /// When measuring begins.
    pub(super) from: u64,
    /// When it ends and nothing more is sent; SIGINT brings it forward.
    until: AtomicU64,
    /// How long what is missing is waited for after that.
    drain: AtomicU64,
    /// How long a datagram is waited for.
    wait: u64,
    /// Length of an interval of the timeline.
    pub(super) interval: u64,
}

impl Plan {
    pub(super) fn new(settings: &Settings) -> Self {
        let from = nanos(settings.warmup);
        let duration = nanos(settings.duration);
        let seconds = duration.div_ceil(SECOND);
        Self {
            size: settings.size as u64,
            depth: settings.depth as usize,
            verify: settings.verify,
            mode: settings.mode,
            connections: settings.connections,
            from,
            until: AtomicU64::new(from.saturating_add(duration)),
            // Every datagram has come or is missed by then.
            drain: AtomicU64::new(nanos(settings.patience())),
            wait: nanos(settings.wait),
            interval: seconds.div_ceil(u64::from(MAX_INTERVALS)).max(1) * SECOND,
        }
    }

    /// When measuring ends and nothing more is sent.
    pub(super) fn until(&self) -> u64 {
        self.until.load(Ordering::Relaxed)
    }

    /// When what is missing then has been waited for long enough.
    pub(super) fn patience_ends(&self) -> u64 {
        self.until().saturating_add(self.drain.load(Ordering::Relaxed))
    }

    /// Ends measuring at `at`, if it does not end before; whoever asks for that does not want to wait
    /// longer for a message than one can take, which is `longest` so far.
    pub(super) fn end(&self, at: u64, longest: u64) {
        self.until.fetch_min(at, Ordering::Relaxed);
        let drain = longest.saturating_mul(LONGEST_TIMES).max(INTERRUPTED_DRAIN);
        self.drain.fetch_min(drain, Ordering::Relaxed);
    }

    /// Whether a message that was due at `at` is measured.
    pub(super) fn measures(&self, at: u64) -> bool {
        at >= self.from
    }

    /// Whether a datagram that was sent at `at` is too late at `now`.
    pub(super) fn is_late(&self, at: u64, now: u64) -> bool {
        now.saturating_sub(at) >= self.wait
    }

    /// Which interval of the timeline a moment belongs to.
    pub(super) fn interval_of(&self, at: u64) -> u64 {
        at.saturating_sub(self.from) / self.interval
    }

    pub(super) fn arrivals(&self, connection: u32) -> Option<Arrivals> {
        match self.mode {
            Mode::Closed => None,
            Mode::Open { rate, arrival } => {
                Some(Arrivals::new(arrival, rate, connection, self.connections))
            }
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.mode, Mode::Open { .. })
    }
}
