//! Compares what comes back with what was sent; where it differs, finds out where it comes from.
//!
//! ```text
//!            as due                         differs                  understood again
//! received ─────────────▶ in step ──────────────────▶ astray ──────────────────────────▶ in step
//!                                            held: a few bytes,
//!                                            until a word tells where it was sent
//! ```
//!
//! While bytes are as due nothing is copied. A stretch of the stream that comes from somewhere else
//! is followed to its end; what it was is told by the stretches around it: one that is skipped is
//! lost, unless it comes later ([`Gaps`]).

use super::{
    Damage, DamageKind, Pattern, WORD,
    gaps::{Gaps, damage},
};

/// So many bytes in a row have to be those of another place to be taken for them.
const MIN_RUN: usize = 12;

/// So many bytes in a row at their place show that a stream is in step again.
const IN_STEP: usize = 8;

/// Bytes from a place on that tell whether a run begins there: up to 7, then a whole word.
const LOOK: usize = 16;

/// Checks one connection's stream; see the [module](super).
#[derive(Debug)]
pub struct Checker {
    own: Pattern,
    /// What is followed: the own stream, most of the time.
    run: Run,
    /// Where the own stream goes on when everything is as due. All before is understood, or in
    /// `gaps`.
    due: u64,
    /// Received since in place of the own stream; what is held does not count yet.
    astray: u64,
    /// How much of that, at its end, is nobody's.
    unknown: u64,
    /// Received, not understood yet; at most `LOOK` once a call is over.
    held: Vec<u8>,
    gaps: Gaps,
    /// Found by the current call.
    named: Vec<Damage>,
    received: u64,
}

/// A stretch of some stream that is being received.
#[derive(Debug, Clone, Copy)]
struct Run {
    pattern: Pattern,
    start: u64,
    /// Of the next byte.
    at: u64,
}

impl Checker {
    /// Checks the stream from its beginning.
    #[must_use]
    pub fn new(pattern: Pattern) -> Self {
        Self::starting_at(pattern, 0)
    }

    /// Checks the stream from an offset on.
    #[must_use]
    pub fn starting_at(pattern: Pattern, offset: u64) -> Self {
        Self {
            own: pattern,
            run: Run { pattern, start: offset, at: offset },
            due: offset,
            astray: 0,
            unknown: 0,
            held: Vec::new(),
            gaps: Gaps::default(),
            named: Vec::new(),
            received: 0,
        }
    }

    /// Takes the bytes that came next; returns the damage that they reveal, usually none.
    ///
    /// Damage is named as soon as what follows tells which it is: a changed byte some bytes later,
    /// a loss once the bytes are too late to be reordered. [`settle`](Self::settle) and
    /// [`finish`](Self::finish) name it without waiting.
    #[must_use = "it may be damaged"]
    pub fn check(&mut self, received: &[u8]) -> &[Damage] {
        self.named.clear();
        self.received += received.len() as u64;
        let mut rest = received;
        while !rest.is_empty() {
            if self.held.is_empty() {
                rest = self.follow(rest);
            }
            let n = rest.len().min(LOOK - self.held.len());
            let (look, after) = rest.split_at(n);
            self.held.extend_from_slice(look);
            rest = after;
            self.understand(None);
        }
        self.gaps.expire(self.received, &mut self.named);
        &self.named
    }

    /// Nothing more is due before this is judged: names what is pending, and what is missing as
    /// lost.
    #[must_use = "it may be damaged"]
    pub fn settle(&mut self) -> &[Damage] {
        self.named.clear();
        self.settle_at(u64::MAX);
        &self.named
    }

    /// The stream has ended after `sent` bytes were sent: as [`settle`](Self::settle), and what is
    /// missing at the end is lost, too.
    #[must_use = "it may be damaged"]
    pub fn finish(&mut self, sent: u64) -> &[Damage] {
        self.named.clear();
        self.settle_at(sent);
        if self.due < sent {
            self.named.push(damage(DamageKind::Lost, self.due..sent));
            self.keep_step(sent);
        }
        &self.named
    }

    /// How many bytes came.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Up to which offset of the stream every byte has come, right or wrong. A reply that ends there
    /// is complete.
    #[must_use]
    pub fn complete_to(&self) -> u64 {
        let seen = self.seen_to();
        self.gaps.first().map_or(seen, |missing| missing.min(seen))
    }

    /// Up to which offset of the stream bytes have come; some before may be missing.
    #[must_use]
    pub fn seen_to(&self) -> u64 {
        self.due + self.astray + self.held.len() as u64
    }

    fn settle_at(&mut self, sent: u64) {
        self.understand(Some(sent));
        self.end_run();
        self.end_unknown();
        self.keep_step(self.due + self.astray);
        self.gaps.settle(&mut self.named);
    }

    /// Takes what goes on as the current run does; returns the rest.
    fn follow<'a>(&mut self, received: &'a [u8]) -> &'a [u8] {
        let mut rest = received;
        loop {
            let mut n = self.run.pattern.matching(self.run.at, rest);
            let ahead = self.due - self.run.at.min(self.due);
            let is_behind = self.is_own() && ahead > 0;
            if is_behind {
                // What was sent before ends at the latest where the stream goes on.
                n = n.min(usize::try_from(ahead).unwrap_or(usize::MAX));
            }
            let len = n as u64;
            rest = &rest[n..];
            self.run.at += len;
            if !self.is_own() {
                self.astray += len;
            } else if !is_behind {
                self.due += len;
                self.run.start = self.due;
            } else if len == ahead {
                self.end_run();
                self.keep_step(self.due);
                continue;
            }
            return rest;
        }
    }

    /// Finds out where what is held comes from; at the end of the stream from all that there is.
    fn understand(&mut self, sent: Option<u64>) {
        let mut skipped = 0;
        while skipped < self.held.len() {
            let look = &self.held[skipped..];
            if sent.is_none() && look.len() < LOOK {
                break;
            }
            match self.run_at(look, sent) {
                None => {
                    if self.unknown == 0 {
                        self.end_run();
                    }
                    self.unknown += 1;
                    self.astray += 1;
                    skipped += 1;
                }
                Some((pattern, at)) => {
                    self.begin_run(pattern, at);
                    let held = std::mem::take(&mut self.held);
                    skipped = held.len() - self.follow(&held[skipped..]).len();
                    self.held = held;
                }
            }
        }
        self.held.drain(..skipped);
    }

    /// The stream that bytes belong to, and where in it.
    fn run_at(&self, bytes: &[u8], sent: Option<u64>) -> Option<(Pattern, u64)> {
        let len = bytes.len().min(IN_STEP);
        let at_end = sent.map(|sent| sent.saturating_sub(bytes.len() as u64));
        let likely = [Some(self.due + self.astray), Some(self.due), at_end];
        for at in likely.into_iter().flatten() {
            let len = if Some(at) == at_end { bytes.len() } else { len };
            // Of a few bytes, chance may make some that are due, but not some that are not.
            let is_enough = at == self.due + self.astray || len >= IN_STEP / 2;
            if is_enough && self.own.matching(at, &bytes[..len]) == len {
                return Some((self.own, at));
            }
        }
        bytes.windows(WORD).take(WORD).enumerate().find_map(|(before, word)| {
            let origin = self.own.origin(word.try_into().ok()?);
            let pattern = self.own.of(origin.connection);
            let at = origin.offset.checked_sub(before as u64)?;
            let run = bytes.get(..MIN_RUN.max(before + WORD))?;
            (pattern.matching(at, run) == run.len()).then_some((pattern, at))
        })
    }

    /// From here on the bytes are those of `pattern` from `at` on.
    fn begin_run(&mut self, pattern: Pattern, at: u64) {
        self.end_unknown();
        if pattern == self.own {
            self.move_ends(at);
        }
        let crossed = !self.is_own();
        self.end_run();
        if pattern != self.own || at < self.due {
            let is_late = pattern == self.own && self.astray == 0;
            let before = if is_late { self.gaps.taken_for(&self.own, at, self.due) } else { 0 };
            self.due -= before;
            self.run = Run { pattern, start: at - before, at };
            return;
        }
        let due = self.due + self.astray;
        // What another connection's bytes have replaced may be more than they are.
        if at > due && !crossed {
            self.gaps.miss(due..at, self.received, &mut self.named);
        }
        self.keep_step(at);
    }

    /// The own stream goes on at `due`.
    fn keep_step(&mut self, due: u64) {
        (self.due, self.astray) = (due, 0);
        self.run = Run { pattern: self.own, start: due, at: due };
    }

    fn is_own(&self) -> bool {
        self.run.pattern == self.own
    }

    /// The own stream goes on at `at`, some bytes from where it should: that may be because a run's
    /// last bytes are by chance those that were due next, or its first bytes those that were due then.
    fn move_ends(&mut self, at: u64) {
        let Run { pattern, start, at: end } = self.run;
        let (after, before) = (at.saturating_sub(self.due), self.due.saturating_sub(at));
        let is_own = self.is_own() && self.astray == 0;
        if is_own
            && (1..end - start).contains(&after)
            && pattern.repeats(end - after, &self.own, self.due, after)
        {
            self.run.at -= after;
            self.due = at;
        } else if start < end
            && (1..=start).contains(&before)
            && pattern.repeats(start - before, &self.own, at, before)
        {
            self.run.start -= before;
            self.due = at;
            self.astray += if is_own { 0 } else { before };
        }
    }

    /// Names the run that ends here, unless it was in step.
    fn end_run(&mut self) {
        let Run { pattern, start, at } = self.run;
        if start < at && self.is_own() {
            self.gaps.came(&self.own, start..at, &mut self.named);
        } else if start < at {
            let kind = DamageKind::Crossed { connection: pattern.connection(), offset: start };
            let end = self.due + self.astray;
            self.named.push(damage(kind, end - (at - start)..end));
        }
        self.run = Run { pattern: self.own, start: self.due, at: self.due };
    }

    /// Names the bytes that are nobody's, up to here.
    fn end_unknown(&mut self) {
        if self.unknown > 0 {
            let end = self.due + self.astray;
            self.named.push(damage(DamageKind::Corrupt, end - self.unknown..end));
            self.unknown = 0;
        }
    }
}
