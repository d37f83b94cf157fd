//! What has to hold of every connection after every turn, judged from what went through its socket
//! and what its echo connection says of itself.
//!
//! ```text
//! taken from the peer == received + discarded
//! whole frames of received == released == sent + unsent
//! given to the peer == sent
//! paused: from `unsent >= high water` until `unsent <= high water / 2`
//! every deadline: not before it, and not a tick after it; nobody is late whose bytes only wait to be
//! taken in
//! ```

use std::time::Duration;

use echo_core::{Decoder, EchoConnection, EchoLimits, End as How, Intake, Reason};

use super::{link::Link, world::World};

/// For how long the input has to be silent in a drain to count as dry; see `EchoConnection`.
const DRAIN_QUIET: Duration = Duration::from_millis(100);

/// What an echo connection says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status {
    received: usize,
    discarded: usize,
    sent: usize,
    unsent: usize,
    intake: Intake,
    reason: Option<Reason>,
    end: Option<How>,
}

/// What may differ between engines.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) limits: EchoLimits,
    /// How late a deadline may be noticed.
    pub(super) tick: Duration,
    /// The most that may be unsent.
    pub(super) unsent: usize,
    /// What the kernel has done may not be known to the engine yet.
    pub(super) lags: bool,
    /// It takes another turn at once, and judges the time then.
    pub(super) goes_on: bool,
}

/// What was seen of one end of a connection.
#[derive(Debug)]
pub(super) struct Watch {
    side: usize,
    /// What the peer has read of what was sent.
    taken: usize,
    /// At the earliest and at the latest: engines may know some moments better than is seen.
    known: [Known; 2],
    judged: Duration,
    /// Something was sent or began to be; an engine that lags learns how that went a turn later.
    settles: bool,
    fin_sent: Option<Duration>,
    /// Since which turn something is due that was not done, and whether that may be excused.
    overdue: Option<(Duration, bool)>,
    status: Status,
}

/// Moments since which deadlines count.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// When bytes last came in, or waited to.
    last_input: Duration,
    /// When bytes last went out, or began to wait for that.
    last_output: Duration,
    /// When the peer was last seen to read, if that may not have been looked for since.
    taken: Option<Duration>,
    /// When it was told that the service ends, or the service was.
    drain: Option<Duration>,
}

impl Status {
    pub(super) fn of<D: Decoder>(echo: &EchoConnection<D>) -> Self {
        let count = |n: u64| usize::try_from(n).unwrap();
        Self {
            received: count(echo.bytes_received()),
            discarded: count(echo.bytes_discarded()),
            sent: count(echo.bytes_sent()),
            unsent: count(echo.unsent()),
            intake: echo.intake(),
            reason: echo.reason(),
            end: echo.end(),
        }
    }

    fn intake_is_open(&self) -> bool {
        matches!(self.intake, Intake::Echo(_))
    }

    pub(super) fn has_ended(&self) -> bool {
        self.end.is_some()
    }
}

impl Watch {
    pub(super) fn new(side: usize, status: Status, now: Duration) -> Self {
        let known = Known { last_input: now, last_output: now, taken: None, drain: None };
        Self {
            side,
            taken: 0,
            known: [known; 2],
            judged: now,
            settles: false,
            fin_sent: None,
            overdue: None,
            status,
        }
    }

    /// The service ends since `begun`, and the connection is told `now`.
    pub(super) fn drain(&mut self, begun: Duration, now: Duration) {
        let [earliest, latest] = &mut self.known;
        (earliest.drain, latest.drain) = (Some(begun), Some(now));
    }

    /// Judges what a turn has made of the connection.
    pub(super) fn judge(&mut self, world: &World, id: usize, status: Status, bounds: &Bounds) {
        let before = self.status;
        if let Err(wrong) = self.take_in(world, id, status, bounds) {
            let (now, link, side) = (world.now, &world.links[id], self.side);
            panic!("#{id}.{side} at {now:?}: {wrong}: {before:?} -> {status:?}; {link:?}");
        }
    }

    fn take_in(
        &mut self,
        world: &World,
        id: usize,
        status: Status,
        bounds: &Bounds,
    ) -> Result<(), &'static str> {
        let (now, link, before) = (world.now, &world.links[id], self.status);
        self.judge_counts(link, &status, bounds)?;
        self.judge_pause(&status, bounds)?;
        self.learn(now, link, status, bounds);
        if self.fin_sent.is_none() && link.shut[self.side] {
            self.fin_sent = Some(now);
            let is_due = status.unsent == 0 && status.reason.is_some();
            ensure(is_due, "FIN before everything was sent")?;
        }
        self.judge_early(now, link, &before, bounds)?;
        self.judge_late(now, bounds)?;
        let fins = link.into[self.side].fin_read && self.fin_sent.is_some();
        let in_order = status.end == Some(How::InOrder);
        ensure(!in_order || fins, "an orderly end without both FIN")
    }

    /// Takes note of what has moved.
    fn learn(&mut self, now: Duration, link: &Link, status: Status, bounds: &Bounds) {
        let before = self.status;
        let [earliest, latest] = &mut self.known;
        if status.received > before.received {
            (earliest.last_input, latest.last_input) = (now, now);
        }
        let begins_to_wait = before.unsent == 0 && status.sent + status.unsent > before.sent;
        let moves = status.sent > before.sent || begins_to_wait;
        if moves {
            earliest.last_output = if bounds.lags { self.judged } else { now };
            latest.last_output = now;
        }
        let taken = link.into[1 - self.side].read;
        if bounds.lags {
            if status.intake_is_open() && link.is_readable(self.side) {
                latest.last_input = now; // it looks, if it has to know
            }
            if status.unsent > 0 && taken > self.taken {
                latest.taken = Some(now);
            }
            if self.settles {
                latest.last_output = now;
            }
        }
        self.taken = taken;
        self.settles = moves || self.settles && bounds.goes_on;
        self.judged = now;
        self.status = status;
    }

    fn judge_counts(
        &self,
        link: &Link,
        status: &Status,
        bounds: &Bounds,
    ) -> Result<(), &'static str> {
        let (before, lags) = (self.status, bounds.lags);
        let (taken, given) = (link.into[self.side].read, link.given(self.side));
        let told = status.received + status.discarded;
        ensure(told == taken || lags && told < taken, "what was received is told wrong")?;
        ensure(status.sent == given || lags && status.sent < given, "what was sent is told wrong")?;
        let whole = link.script.whole(status.received);
        ensure(status.sent + status.unsent == whole, "not the whole frames were released")?;
        ensure(status.unsent <= bounds.unsent, "too much is unsent")?;
        ensure(before.received <= status.received, "less was received than before")?;
        ensure(before.sent <= status.sent, "less was sent than before")?;
        let was_open = before.reason.is_none();
        ensure(was_open || before.received == status.received, "input echoed behind its end")
    }

    fn judge_pause(&self, status: &Status, bounds: &Bounds) -> Result<(), &'static str> {
        if status.reason.is_some() || status.end.is_some() {
            return Ok(());
        }
        let high_water = bounds.limits.high_water;
        let paused = status.intake == Intake::Pause;
        let was_paused = self.status.intake == Intake::Pause;
        let (over, under) = (status.unsent >= high_water, status.unsent <= high_water / 2);
        ensure(paused || !over, "receiving goes on above high water")?;
        ensure(!paused || !under, "receiving is paused below half of high water")?;
        let moved_in = status.received > self.status.received;
        let stays = over || under || moved_in || paused == was_paused;
        ensure(stays, "receiving paused or resumed in between")
    }

    /// Nothing was done to the peer before its time.
    fn judge_early(
        &self,
        now: Duration,
        link: &Link,
        before: &Status,
        bounds: &Bounds,
    ) -> Result<(), &'static str> {
        let Status { reason, end, unsent, .. } = self.status;
        let [earliest, latest] = self.known;
        let is_due = |at: Option<Duration>| at.is_some_and(|at| at <= now);
        let is_cut = before.end.is_none() && end == Some(How::Cut);
        ensure(!is_cut || is_due(self.cut_at(bounds, &earliest)), "cut before its time")?;
        let slow =
            !is_cut || is_due(self.drained_at(bounds, &earliest)) || latest.taken != Some(now);
        ensure(slow, "cut while it read")?;
        let by_us = matches!(reason, Some(Reason::Idle | Reason::Drain));
        let ended_by_us = before.reason.is_none() && by_us;
        let in_time = !ended_by_us || is_due(self.input_ends_at(bounds, &earliest));
        ensure(in_time, "its input was ended before its time")?;
        let half = bounds.limits.drain_timeout / 2;
        let must_end = is_due(earliest.drain.map(|begun| begun + half));
        let waits = link.into[self.side].there() > 0 || link.into[self.side].fin_arrived;
        let looks = before.intake_is_open() && (bounds.lags || unsent == 0);
        let silent = !ended_by_us || must_end || !(looks && waits);
        ensure(silent, "its input was ended while some waited")
    }

    /// What is due was done within a tick.
    fn judge_late(&mut self, now: Duration, bounds: &Bounds) -> Result<(), &'static str> {
        let Status { reason, end, .. } = self.status;
        let latest = self.known[1];
        let is_due = |at: Option<Duration>| at.is_some_and(|at| at <= now);
        let late_cut = end.is_none() && is_due(self.cut_at(bounds, &latest));
        let open = reason.is_none() && end.is_none();
        let late_end = open && is_due(self.input_ends_at(bounds, &latest));
        let is_overdue = (late_cut || late_end) && !bounds.goes_on;
        // Of a peer that may have taken some it is not known; of a drain that is over it is.
        let excuse = latest.taken.filter(|_| !is_due(self.drained_at(bounds, &latest)));
        let since = self.overdue.filter(|(_, excused)| *excused == excuse.is_some());
        self.overdue = is_overdue.then(|| since.unwrap_or((now, excuse.is_some())));
        let missed = self.overdue.is_some_and(|(since, _)| since + bounds.tick <= now);
        let Some(taken) = excuse.filter(|_| missed) else {
            return ensure(!missed, "a deadline was missed");
        };
        // It was looked whether the peer has, and will be again if it has since.
        let wait = bounds.limits.stall_timeout.max(bounds.limits.idle_timeout);
        if wait.is_some_and(|wait| taken + wait <= now) {
            self.known[1] = Known { last_output: now, taken: None, ..latest };
            self.overdue = None;
        }
        Ok(())
    }

    /// When it is cut whatever moves: the drain, or the wait for the peer's FIN, is over.
    fn drained_at(&self, bounds: &Bounds, known: &Known) -> Option<Duration> {
        let begun = [known.drain, self.fin_sent].into_iter().flatten().min();
        begun.map(|begun| begun + bounds.limits.drain_timeout)
    }

    /// When it has to be cut at the latest, from what was seen.
    fn cut_at(&self, bounds: &Bounds, known: &Known) -> Option<Duration> {
        let EchoLimits { idle_timeout, stall_timeout, .. } = bounds.limits;
        let (waits, closed) = (self.status.unsent > 0, self.status.reason.is_some());
        let stalled = stall_timeout.filter(|_| waits).map(|stall| known.last_output + stall);
        let flushes = idle_timeout.filter(|_| waits && closed).map(|idle| known.last_output + idle);
        [stalled, flushes, self.drained_at(bounds, known)].into_iter().flatten().min()
    }

    /// When its input has to be ended at the latest, from what was seen, if it is open.
    fn input_ends_at(&self, bounds: &Bounds, known: &Known) -> Option<Duration> {
        let moved = known.last_input.max(known.last_output);
        let Some(begun) = known.drain else {
            return bounds.limits.idle_timeout.map(|idle| moved + idle);
        };
        let half = begun + bounds.limits.drain_timeout / 2;
        let dry = moved.max(begun) + DRAIN_QUIET;
        Some(if self.status.unsent > 0 { half } else { half.min(dry) })
    }

    /// Judges how the connection has ended, once the engine has let go of it.
    pub(super) fn judge_end(&self, world: &World, id: usize) {
        let Link { script, into, shut, reset, .. } = &world.links[id];
        let inbound = &into[self.side];
        let (sent, status) = (world.links[id].given(self.side), self.status);
        let in_order = status.end == Some(How::InOrder);
        let whole = script.whole(status.received);
        assert!(!in_order || sent == whole, "#{id}: {sent} of {whole} bytes came back: {status:?}");
        assert!(!in_order || shut[self.side], "#{id}: no FIN for the peer");
        let told_all = inbound.fin_read && inbound.read == inbound.written;
        assert!(!in_order || told_all, "#{id}: closed with input unread");
        let done = status.reason == Some(Reason::PeerDone);
        assert!(!done || status.received == inbound.written, "#{id}: not all was echoed");
        let failed = status.end == Some(How::Failed);
        assert!(!failed || *reset, "#{id}: failed without a failure");
    }
}

fn ensure(holds: bool, otherwise: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(otherwise) }
}
