//! What goes to the peer, and when: a queue of steps, each not before its time, in the order in
//! which they were decided.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// What a step takes beside its bytes, so that many small ones count, too.
const STEP: usize = 64;

/// How long somebody who goes on sending after our FIN is listened to, before the socket is closed:
/// a reset that comes at once destroys bytes that are on their way.
const LINGER: Duration = Duration::from_millis(500);

/// Something to be done to the peer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// In one write, as far as the peer takes it.
    Send(Vec<u8>),
    /// The end of what we send; the peer may go on.
    Fin,
    /// Both directions end; no more is read.
    Close,
    /// RST: both directions end, and what is in flight is lost.
    Reset,
    /// Nothing moves any more, neither way.
    Freeze,
    /// What the peer sends is taken and forgotten, and nothing comes any more, not even an end.
    Vanish,
}

/// The steps that are still to be done.
#[derive(Debug)]
pub(super) struct Schedule {
    now: Instant,
    /// When the next step may come at the earliest.
    earliest: Instant,
    /// Not before their time; the times never decrease.
    steps: VecDeque<(Instant, Step)>,
    /// What the steps take in memory, about.
    weight: usize,
}

impl Schedule {
    pub(super) fn new(now: Instant) -> Self {
        Self { now, earliest: now, steps: VecDeque::new(), weight: 0 }
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.push(Step::Send(bytes.to_vec()));
        }
    }

    pub(super) fn fin(&mut self) {
        self.push(Step::Fin);
    }

    pub(super) fn close(&mut self) {
        self.push(Step::Close);
    }

    /// FIN, time for the peer to see it, and the end.
    pub(super) fn close_in_order(&mut self) {
        self.fin();
        self.pause(LINGER);
        self.close();
    }

    pub(super) fn reset(&mut self) {
        self.push(Step::Reset);
    }

    pub(super) fn freeze(&mut self) {
        self.push(Step::Freeze);
    }

    pub(super) fn vanish(&mut self) {
        self.push(Step::Vanish);
    }

    /// What comes next goes so long from now at the earliest.
    pub(super) fn hold(&mut self, time: Duration) {
        self.earliest = self.earliest.max(later(self.now, time));
    }

    /// What comes next goes so long after what came before.
    pub(super) fn pause(&mut self, time: Duration) {
        self.earliest = later(self.earliest.max(self.now), time);
    }

    /// What is not gone yet never goes; what comes next need not wait for it.
    pub(super) fn lose(&mut self) {
        *self = Self::new(self.now);
    }

    pub(super) fn now(&self) -> Instant {
        self.now
    }

    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// Tells it the time.
    pub(super) fn tick(&mut self, now: Instant) {
        self.now = now;
    }

    /// When the first step's time comes, if there is a step.
    pub(super) fn due(&self) -> Option<Instant> {
        self.steps.front().map(|(due, _)| *due)
    }

    /// The first step, if its time has come.
    pub(super) fn first(&self) -> Option<&Step> {
        self.steps.front().filter(|(due, _)| *due <= self.now).map(|(_, step)| step)
    }

    /// The first step is done, of its bytes the first `n`.
    pub(super) fn done(&mut self, n: usize) {
        if let Some((_, Step::Send(bytes))) = self.steps.front_mut() {
            if n < bytes.len() {
                bytes.drain(..n);
                self.weight -= n;
                return;
            }
        }
        if let Some((_, step)) = self.steps.pop_front() {
            self.weight -= step.weight();
        }
    }

    fn push(&mut self, step: Step) {
        self.earliest = self.earliest.max(self.now);
        self.weight += step.weight();
        self.steps.push_back((self.earliest, step));
    }
}

impl Step {
    fn weight(&self) -> usize {
        match self {
            Self::Send(bytes) => STEP + bytes.len(),
            _ => STEP,
        }
    }
}

/// A time that no clock will show is as good as any that is far away.
fn later(time: Instant, by: Duration) -> Instant {
    time.checked_add(by).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_keep_their_order_and_come_at_their_time() {
        let start = Instant::now();
        let mut out = Schedule::new(start);
        out.hold(Duration::from_secs(2));
        out.send(b"a");
        out.hold(Duration::from_secs(1)); // over before the step before it
        out.send(b"b");
        out.pause(Duration::from_secs(3));
        out.fin();
        for (at, step) in
            [(2, Step::Send(b"a".into())), (2, Step::Send(b"b".into())), (5, Step::Fin)]
        {
            let due = start + Duration::from_secs(at);
            assert_eq!(out.due(), Some(due));
            assert_eq!(out.first(), (out.now() >= due).then_some(&step));
            out.tick(due);
            assert_eq!(out.first(), Some(&step));
            out.done(1);
        }
        assert_eq!((out.due(), out.weight()), (None, 0));
    }

    #[test]
    fn a_write_that_takes_a_part_leaves_the_rest() {
        let mut out = Schedule::new(Instant::now());
        out.send(b"abc");
        out.done(2);
        assert_eq!(out.first(), Some(&Step::Send(b"c".into())));
        out.done(1);
        assert_eq!((out.first(), out.weight()), (None, 0));
    }
}
