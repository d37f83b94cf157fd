//! What one thread counts during one interval.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::{Failure, MAX_TOLD, histogram, stall::Stood};

/// Counts of measured messages, if not said otherwise.
#[derive(Debug)]
pub(super) struct Tally {
    /// Which interval, from the start of measuring.
    pub(super) interval: u64,
    pub(super) sent: u64,
    /// Came back whole, right or damaged.
    pub(super) completed: u64,
    pub(super) corrupt: u64,
    pub(super) held: u64,
    pub(super) unanswered: u64,
    /// Age of the oldest of them, in nanoseconds.
    pub(super) oldest: u64,
    pub(super) unsent: u64,
    /// Datagrams that did not come back in time, and those of them that came after all.
    pub(super) missed: u64,
    pub(super) late: u64,
    /// Datagrams that came once more.
    pub(super) duplicated: u64,
    /// Datagrams that came back after one that was sent later.
    pub(super) reordered: u64,
    /// Whole messages and all bytes that came back while measuring, whenever they were sent.
    pub(super) messages: u64,
    pub(super) bytes: u64,
    /// Messages that came back at any time, and the nanoseconds that they took together.
    pub(super) came: u64,
    pub(super) took: u64,
    /// Seen at any time.
    pub(super) damages: u64,
    /// The first of them in words.
    pub(super) first_damages: Vec<String>,
    /// Connections that failed at any time, and why.
    pub(super) failures: Vec<Failure>,
    pub(super) stood: Vec<Stood>,
    pub(super) service: Histogram<u64>,
    pub(super) open: Option<OpenLoop>,
}

/// What is known only when there are intended times.
#[derive(Debug)]
pub(super) struct OpenLoop {
    pub(super) response: Histogram<u64>,
    pub(super) lag: Histogram<u64>,
}

impl Tally {
    pub(super) fn new(interval: u64, open: bool) -> Self {
        Self {
            interval,
            sent: 0,
            completed: 0,
            corrupt: 0,
            held: 0,
            unanswered: 0,
            oldest: 0,
            unsent: 0,
            missed: 0,
            late: 0,
            duplicated: 0,
            reordered: 0,
            messages: 0,
            bytes: 0,
            came: 0,
            took: 0,
            damages: 0,
            first_damages: Vec::new(),
            failures: Vec::new(),
            stood: Vec::new(),
            service: histogram(),
            open: open.then(|| OpenLoop { response: histogram(), lag: histogram() }),
        }
    }

    /// Counts places with damage; the words are asked for as long as they are told.
    pub(super) fn damage(&mut self, count: u64, words: impl Iterator<Item = String>) {
        self.damages += count;
        let room = MAX_TOLD - self.first_damages.len();
        self.first_damages.extend(words.take(room));
    }

    /// Connections that failed.
    pub(super) fn failed(&self) -> u32 {
        self.failures.iter().map(|failure| failure.count).sum()
    }

    /// Everything that went wrong.
    pub(super) fn errors(&self) -> u64 {
        self.corrupt + self.missed + self.duplicated + u64::from(self.failed())
    }

    /// Takes in what another thread or another interval has counted.
    pub(super) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.completed += other.completed;
        self.corrupt += other.corrupt;
        self.held += other.held;
        self.unanswered += other.unanswered;
        self.oldest = self.oldest.max(other.oldest);
        self.unsent += other.unsent;
        self.missed += other.missed;
        self.late += other.late;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.damage(other.damages, other.first_damages.iter().cloned());
        for Failure { reason, count } in &other.failures {
            count_reason(&mut self.failures, reason, *count);
        }
        self.stood.extend_from_slice(&other.stood);
        add(&mut self.service, &other.service);
        if let (Some(open), Some(other)) = (&mut self.open, &other.open) {
            add(&mut open.response, &other.response);
            add(&mut open.lag, &other.lag);
        }
    }

    /// The age of the oldest unanswered message.
    pub(super) fn oldest(&self) -> Option<Duration> {
        (self.unanswered > 0).then(|| Duration::from_nanos(self.oldest))
    }
}

/// Counts connections that failed for a reason; of many different ones, the last stand for all others.
pub(super) fn count_reason(failures: &mut Vec<Failure>, reason: &str, count: u32) {
    let is_full = failures.len() >= MAX_TOLD;
    let known = failures.iter().position(|failure| failure.reason == reason);
    match known.or(is_full.then_some(MAX_TOLD - 1)).and_then(|at| failures.get_mut(at)) {
        Some(failure) => failure.count += count,
        None => failures.push(Failure { reason: reason.to_owned(), count }),
    }
}

fn add(to: &mut Histogram<u64>, more: &Histogram<u64>) {
    // All have the same range, and counts of 64 bits do not overflow.
    debug_assert_eq!(to.high(), more.high());
    let _ = to.add(more);
}
