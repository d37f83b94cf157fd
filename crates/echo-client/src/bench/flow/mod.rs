//! One connection of the load, as its thread sees it: a stream or datagrams, behind the same calls.
//!
//! What is the same for both is here: when a message may be sent, and how it is counted.

mod datagram;
mod in_flight;
mod stream;

use std::io;

use super::{clock::Clock, pace::Arrivals, plan::Plan, stall::Progress, tally::Tally};
use crate::pattern::{Damage, Pattern};

pub(super) use datagram::DatagramFlow;
pub(super) use stream::StreamFlow;

/// What every load's bytes are made of; instances of one load differ in their connections.
pub(super) const SEED: u64 = 1;

/// One connection of the load.
pub(super) trait Flow: Sized {
    /// What carries it.
    type Socket;

    /// The connection with this number in the whole load.
    fn new(socket: Self::Socket, number: u32, plan: &Plan) -> Self;

    /// When its next message is due; none when it could not be sent then.
    fn next_due(&self, plan: &Plan) -> Option<u64>;

    /// The socket takes more again.
    fn unblock(&mut self, now: u64);

    /// Sends what may be sent at `now`, which has just been.
    fn send(&mut self, turn: &mut Turn<'_>, now: u64) -> io::Result<Left>;

    /// Receives what is there. With it comes the time at which it came.
    fn receive(&mut self, turn: &mut Turn<'_>) -> io::Result<(Left, Option<u64>)>;

    /// When something last came, and whether more is due.
    fn progress(&self) -> Progress;

    /// Whether a message is sent in part.
    fn is_unfinished(&self, plan: &Plan) -> bool;

    /// Whether it stands, so that it is to be settled.
    fn is_overdue(&self, plan: &Plan, now: u64) -> bool;

    /// Judges what has come so far as if nothing of what is overdue were still to come. True when that
    /// has changed anything.
    fn settle(&mut self, turn: &mut Turn<'_>, at: u64) -> bool;

    /// Counts what has not come back, or was never sent, when the connection is over at `at`.
    fn give_up(&mut self, turn: &mut Turn<'_>, at: u64);
}

/// What is at hand for a turn of a flow.
pub(super) struct Turn<'a> {
    pub(super) plan: &'a Plan,
    /// When sending ends.
    pub(super) until: u64,
    pub(super) clock: Clock,
    /// For what is written and read, as much of it as is wanted at once.
    pub(super) output: &'a mut [u8],
    pub(super) input: &'a mut [u8],
    pub(super) tally: &'a mut Tally,
}

/// Whether a turn has left something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Until the socket, or the time, says so.
    Nothing,
    /// The socket may have, or take, more.
    More,
}

/// When a message in flight was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sent {
    /// When it was due.
    due: u64,
    at: u64,
}

impl Turn<'_> {
    /// Counts messages that were sent together; true when they are measured. Their connection could
    /// have taken them from `able_since` on.
    fn began(&mut self, sent: Sent, count: u64, able_since: u64) -> bool {
        if !self.plan.measures(sent.due) {
            return false;
        }
        self.tally.sent += count;
        if let Some(open) = &mut self.tally.open {
            // What its connection could not take is not our lateness.
            let lag = sent.at.saturating_sub(sent.due.max(able_since));
            open.lag.saturating_record_n(lag, count);
            self.tally.held += if able_since > sent.due { count } else { 0 };
        }
        true
    }

    /// Counts messages that were sent together and came back at `at`, right or damaged; true when they
    /// are measured.
    fn came_back(&mut self, sent: Sent, count: u64, at: u64) -> bool {
        let tally = &mut *self.tally;
        let took = at.saturating_sub(sent.at);
        tally.took += took.saturating_mul(count);
        tally.came += count;
        if at >= self.plan.from && at < self.until {
            tally.messages += count;
        }
        let measured = self.plan.measures(sent.due);
        if measured {
            tally.completed += count;
            tally.service.saturating_record_n(took, count);
            if let Some(open) = &mut tally.open {
                open.response.saturating_record_n(at.saturating_sub(sent.due), count);
            }
        }
        measured
    }

    /// Counts messages that have not come back when their connection is over at `at`. Those of the
    /// warm-up, too, if measuring has begun: all the time they were due.
    fn never_came(&mut self, sent: Sent, count: u64, at: u64) {
        let is_measured = self.plan.measures(sent.due);
        if is_measured || self.plan.measures(at) {
            self.tally.sent += if is_measured { 0 } else { count };
            self.tally.unanswered += count;
            self.tally.oldest = self.tally.oldest.max(at.saturating_sub(sent.at));
        }
    }

    /// Counts places with damage in the stream of a connection.
    fn damaged(&mut self, stream: &Pattern, damages: &[Damage]) {
        let number = stream.connection();
        let words = damages.iter().map(|damage| format!("connection {number}: {damage}"));
        self.tally.damage(damages.len() as u64, words);
    }

    /// Counts bytes that came at `at`.
    fn received(&mut self, len: usize, at: u64) {
        if at >= self.plan.from && at < self.until {
            self.tally.bytes += len as u64;
        }
    }
}

/// When the next message of a connection may be sent.
struct Pacer {
    /// When its messages are due, in an open loop.
    arrivals: Option<Arrivals>,
    /// The socket takes no more for now.
    blocked: bool,
    /// Since when the next message could have been sent.
    able_since: u64,
}

impl Pacer {
    fn new(plan: &Plan, number: u32) -> Self {
        Self { arrivals: plan.arrivals(number), blocked: false, able_since: 0 }
    }

    /// When the next message is due, by an open loop's clock; none while the socket takes no more.
    fn next_due(&self) -> Option<u64> {
        self.arrivals.as_ref().filter(|_| !self.blocked).map(Arrivals::next)
    }

    fn unblock(&mut self, now: u64) {
        if self.blocked {
            self.blocked = false;
            self.able_since = now;
        }
    }

    /// How many messages may begin at `at`, up to `most`.
    fn ready(&self, until: u64, at: u64, most: u64) -> u64 {
        if at >= until {
            return 0;
        }
        let Some(arrivals) = &self.arrivals else { return most };
        let mut ahead = arrivals.clone();
        let due = std::iter::from_fn(|| {
            let due = ahead.next();
            ahead.advance();
            // What is due at the end is not due any more.
            (due <= at && due < until).then_some(due)
        });
        due.take(usize::try_from(most).unwrap_or(usize::MAX)).count() as u64
    }

    /// Takes the next messages that are due together, at most `most`, at least 1, which are sent at
    /// `at`; and says how many they are.
    fn take(&mut self, at: u64, most: u64) -> (Sent, u64) {
        let Some(arrivals) = &mut self.arrivals else { return (Sent { due: at, at }, most) };
        let due = arrivals.next();
        arrivals.advance();
        (Sent { due, at }, 1)
    }

    /// Counts what was never sent when the connection is over at `at`.
    fn give_up(&mut self, turn: &mut Turn<'_>, at: u64) {
        if let Some(arrivals) = self.arrivals.take() {
            turn.tally.unsent += arrivals.count(turn.plan.from, turn.until.min(at));
        }
    }
}
