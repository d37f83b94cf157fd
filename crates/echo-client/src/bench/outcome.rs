//! What a run has found.
//!
//! ```text
//!       started                                    + elapsed           + drained
//!          |                                           |                  |
//! warm-up  |  measured: what is due here is counted    |  waiting for it  |
//! ---------+-------------------------------------------+------------------+
//!          due = sent + unsent         sent = received + corrupt + unanswered
//! ```
//!
//! Of datagrams, `sent` are also those that were lost or late.
//!
//! A message belongs to the measured part when it was due there: by its intended time in an open
//! loop, by its sending in a closed one. Latencies are in nanoseconds.

use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;

use super::{Counts, Settings, Slo, histogram, percentile};

/// Everything that one run has found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Outcome {
    /// What was asked for.
    pub settings: Settings,
    /// When measuring began.
    pub started: SystemTime,
    /// How long the load was measured: as asked for, or until SIGINT.
    pub elapsed: Duration,
    /// How long what was missing was waited for after that.
    pub drained: Duration,
    /// True when SIGINT ended it early.
    pub interrupted: bool,

    /// Messages sent, at least in part.
    pub sent: u64,
    /// Messages that came back whole and right.
    pub received: u64,
    /// Messages that came back with damage.
    pub corrupt: u64,
    /// Messages sent that had not come back in the end.
    pub unanswered: Unanswered,
    /// Messages that were due and never sent; open loop only.
    pub unsent: u64,
    /// Messages that their connection could not take when they were due, so that they waited; open
    /// loop only.
    pub held: u64,
    /// What became of datagrams that came back otherwise than once and in time; none for streams.
    pub datagrams: Option<Datagrams>,
    /// Damage that was seen, at any time of the run.
    pub damage: Damage,
    /// Connections that were opened.
    pub connections: u32,
    /// Connections that could not be opened or failed at any time of the run, by reason.
    pub failed: Vec<Failure>,
    /// What came back while measuring, whenever it was sent.
    pub throughput: Throughput,

    /// From a message's first byte written to its last byte back.
    pub service: Histogram<u64>,
    /// From a message's intended time to its last byte back; open loop only.
    pub response: Option<Histogram<u64>>,
    /// How late we were: from when a message was due and its connection could take it, to its first
    /// byte written; open loop only.
    pub send_lag: Option<Histogram<u64>>,
    /// Round trips of one message at a time on a connection of its own, beside the load.
    pub probe: Option<Probe>,

    /// The same over time: one second each, more in runs of over [`MAX_INTERVALS`] seconds. The
    /// last one is what came back after the load had ended.
    pub timeline: Vec<Interval>,
    /// When several connections stood still together; at most [`MAX_STALLS`].
    pub stalls: Vec<Stall>,
    /// How busy each of our threads was: its share of the time that it was not idle.
    pub cpu: Vec<f64>,

    /// What became of each objective.
    pub slo: Vec<SloResult>,
    /// Why these figures say nothing about the path; empty when they do.
    pub invalid: Vec<String>,
}

/// Intervals of a timeline, that of the end excepted.
pub const MAX_INTERVALS: u32 = 600;

/// Stalls that are told one by one.
pub const MAX_STALLS: usize = 64;

/// Kinds of failure and damage that are told one by one.
pub const MAX_TOLD: usize = 16;

impl Outcome {
    /// The outcome of a run in which nothing has happened.
    pub(crate) fn empty(settings: Settings) -> Self {
        Self {
            settings,
            started: SystemTime::UNIX_EPOCH,
            elapsed: Duration::ZERO,
            drained: Duration::ZERO,
            interrupted: false,
            sent: 0,
            received: 0,
            corrupt: 0,
            unanswered: Unanswered::default(),
            unsent: 0,
            held: 0,
            datagrams: None,
            damage: Damage::default(),
            connections: 0,
            failed: Vec::new(),
            throughput: Throughput::default(),
            service: histogram(),
            response: None,
            send_lag: None,
            probe: None,
            timeline: Vec::new(),
            stalls: Vec::new(),
            cpu: Vec::new(),
            slo: Vec::new(),
            invalid: Vec::new(),
        }
    }

    /// Whether the figures say something about the path.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.invalid.is_empty()
    }

    /// Whether every byte came back right and once, except for datagrams that may be lost, and no
    /// connection failed.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.corrupt == 0
            && self.damage.count == 0
            && self.unanswered.count == 0
            && self.failed.is_empty()
            && self.datagrams.is_none_or(|datagrams| {
                let loss = datagrams.loss_on_path(self.sent);
                datagrams.duplicated == 0 && loss <= self.settings.max_loss
            })
            && self.probe.as_ref().is_none_or(|probe| probe.failed.is_none())
    }

    /// Whether the path did what was asked of it: everything is intact, and each objective was met.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.is_intact() && self.slo.iter().all(|slo| slo.met)
    }

    /// The share of datagrams that were lost or late, 0 to 1.
    #[must_use]
    pub fn loss(&self) -> f64 {
        let missed = self.datagrams.map_or(0, |datagrams| datagrams.lost + datagrams.late);
        missed as f64 / self.sent.max(1) as f64
    }

    /// What the run comes to. Damage is damage whoever measures; latencies have to be valid first.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.is_valid() {
            _ if !self.is_intact() => Verdict::Failed,
            false => Verdict::Invalid,
            true if self.is_good() => Verdict::Good,
            true => Verdict::Failed,
        }
    }

    /// The latency that users of the service see: response time in an open loop, service time in a
    /// closed one.
    #[must_use]
    pub fn latency(&self) -> &Histogram<u64> {
        self.response.as_ref().unwrap_or(&self.service)
    }
}

/// What a run comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The path did what was asked of it.
    Good,
    /// It did not.
    Failed,
    /// The figures say nothing about it.
    Invalid,
}

/// Messages sent that had not come back in the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unanswered {
    /// How many.
    pub count: u64,
    /// How long ago the oldest of them was sent, at the end or when its connection failed.
    pub oldest: Option<Duration>,
}

/// What happens to datagrams, and to nothing else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Datagrams {
    /// Sent, and never back.
    pub lost: u64,
    /// Back, but not within the time that was waited for them.
    pub late: u64,
    /// Datagrams that came once more than they were sent.
    pub duplicated: u64,
    /// Back in time, but after one that was sent later. UDP promises no order, so that is no fault.
    pub reordered: u64,
    /// Back, and dropped by our own sockets, which were full, at any time of the run; none where the
    /// system does not tell. So many at most of those lost are our fault.
    pub dropped: Option<u64>,
}

impl Datagrams {
    /// The share of `sent` that was lost or late and that cannot have been dropped by us.
    pub(super) fn loss_on_path(&self, sent: u64) -> f64 {
        let missed = self.lost.saturating_add(self.late).saturating_sub(self.dropped.unwrap_or(0));
        missed as f64 / sent.max(1) as f64
    }
}

/// What came back while measuring.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Throughput {
    /// Whole messages.
    pub messages: u64,
    /// Bytes, also of messages that came back in part.
    pub bytes: u64,
    /// Whole messages per second.
    pub messages_per_s: f64,
    /// Bytes per second, one way.
    pub bytes_per_s: f64,
}

/// Returned bytes that are not those sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Damage {
    /// Places with damage.
    pub count: u64,
    /// The first [`MAX_TOLD`] of them, in words: kind, connection, offset, extent.
    pub first: Vec<String>,
}

/// Connections that failed for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// In words.
    pub reason: String,
    /// How many connections.
    pub count: u32,
}

/// The latency of a lone flow beside the load.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Messages sent.
    pub sent: u64,
    /// Messages that came back whole and right.
    pub received: u64,
    /// Round trips.
    pub rtt: Histogram<u64>,
    /// Why it ended before the load, if it did.
    pub failed: Option<String>,
}

/// A stretch of the run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Interval {
    /// From when measuring began.
    pub start: Duration,
    /// How long.
    pub length: Duration,
    /// Measured messages sent in it.
    pub sent: u64,
    /// Measured messages that came back in it, whole and right.
    pub received: u64,
    /// Bytes that came back in it.
    pub bytes: u64,
    /// Messages that came back in it damaged or once more, or did not come in time, and connections
    /// that failed in it.
    pub errors: u64,
    /// Service times of the messages that came back in it.
    pub service: Counts,
    /// Response times of the messages that came back in it; open loop only.
    pub response: Option<Counts>,
}

impl Interval {
    /// The 99th percentile of the latency that users of the service see, if there are enough messages.
    #[must_use]
    pub fn p99(&self) -> Option<Duration> {
        let latency = self.response.as_ref().unwrap_or(&self.service).to_histogram();
        percentile(&latency, 99.0).map(Duration::from_nanos)
    }
}

/// Several connections stood still together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    /// From when measuring began.
    pub start: Duration,
    /// How long nothing came back.
    pub length: Duration,
    /// On how many connections.
    pub connections: u32,
}

/// What became of an objective.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SloResult {
    /// What was asked for.
    pub slo: Slo,
    /// What was measured; none when there were too few messages to tell.
    pub measured: Option<Duration>,
    /// Whether it was met; what cannot be told is not met.
    pub met: bool,
}
