//! Stretches that are missing from a stream: lost, unless they turn out to be late.

use std::ops::Range;

use super::{Damage, DamageKind, Pattern};

/// How much may come after a stretch is missed before it counts as lost.
pub(super) const REORDER_WINDOW: u64 = 16 << 20;

/// Stretches that may be missing at once; beyond that the oldest counts as lost.
const MAX_GAPS: usize = 64;

/// Pieces in which one stretch may come late; beyond that it is settled as it stands.
const MAX_PIECES: usize = 64;

/// What is missing.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// In order of their offsets.
    open: Vec<Gap>,
}

#[derive(Debug)]
struct Gap {
    missing: Range<u64>,
    /// What of it came late, in order, not touching each other.
    late: Vec<Range<u64>>,
    /// How much had been received when it was seen.
    seen_at: u64,
}

impl Gaps {
    /// The first offset that is missing.
    pub(super) fn first(&self) -> Option<u64> {
        self.open
            .iter()
            .map(|gap| gap.holes().next().map_or(gap.missing.start, |hole| hole.start))
            .min()
    }

    /// A stretch was skipped.
    pub(super) fn miss(&mut self, missing: Range<u64>, received: u64, named: &mut Vec<Damage>) {
        if self.open.len() == MAX_GAPS {
            self.open.remove(0).settle(named);
        }
        self.open.push(Gap { missing, late: Vec::new(), seen_at: received });
    }

    /// A stretch came that is not the next one: late, or once more.
    pub(super) fn came(&mut self, pattern: &Pattern, came: Range<u64>, named: &mut Vec<Damage>) {
        let mut came = came;
        while !came.is_empty() {
            self.open.iter_mut().for_each(|gap| gap.slide_to(pattern, &came));
            let gap = self
                .open
                .iter_mut()
                .find(|gap| gap.missing.start < came.end && came.start < gap.missing.end);
            let Some(gap) = gap else {
                named.push(damage(DamageKind::Duplicated, came));
                return;
            };
            if came.start < gap.missing.start {
                named.push(damage(DamageKind::Duplicated, came.start..gap.missing.start));
            }
            let late = came.start.max(gap.missing.start)..came.end.min(gap.missing.end);
            came.start = late.end;
            gap.fill(late, named);
            self.open.retain_mut(|gap| !gap.is_over(named));
        }
    }

    /// How many of the bytes before `at` are missing, but seemed to have come because they are the
    /// same as those before `due`.
    pub(super) fn taken_for(&self, pattern: &Pattern, at: u64, due: u64) -> u64 {
        let is_missing =
            |at| self.open.iter().any(|gap| gap.holes().any(|hole| hole.contains(&at)));
        let mut by = 0;
        while by < at.min(due)
            && is_missing(at - by - 1)
            && pattern.repeats(at - by - 1, pattern, due - by - 1, by + 1)
        {
            by += 1;
        }
        by
    }

    /// Names what has been missing for too long.
    pub(super) fn expire(&mut self, received: u64, named: &mut Vec<Damage>) {
        while self.open.first().is_some_and(|gap| received - gap.seen_at > REORDER_WINDOW) {
            self.open.remove(0).settle(named);
        }
    }

    /// Names everything: nothing more is to come.
    pub(super) fn settle(&mut self, named: &mut Vec<Damage>) {
        for gap in self.open.drain(..) {
            gap.settle(named);
        }
    }
}

impl Gap {
    /// Where a stretch is cut out cannot be told exactly when the bytes at its start are the same as
    /// those behind its end; what comes late tells.
    fn slide_to(&mut self, pattern: &Pattern, came: &Range<u64>) {
        let by = self.missing.start.saturating_sub(came.start);
        if by == 0 || came.end <= self.missing.start {
            return;
        }
        let (start, end) = (self.missing.start - by, self.missing.end - by);
        if pattern.repeats(start, pattern, end, by) {
            self.missing = start..end;
        }
    }

    /// Takes in what came late; what of it came late before came once more.
    fn fill(&mut self, late: Range<u64>, named: &mut Vec<Damage>) {
        for before in &self.late {
            let again = before.start.max(late.start)..before.end.min(late.end);
            if !again.is_empty() {
                named.push(damage(DamageKind::Duplicated, again));
            }
        }
        self.late.push(late);
        self.late.sort_unstable_by_key(|late| late.start);
        self.late.dedup_by(|next, last| {
            let touches = next.start <= last.end;
            if touches {
                last.end = last.end.max(next.end);
            }
            touches
        });
    }

    /// The parts that have not come.
    fn holes(&self) -> impl Iterator<Item = Range<u64>> {
        let starts = [self.missing.start].into_iter().chain(self.late.iter().map(|late| late.end));
        let ends = self.late.iter().map(|late| late.start).chain([self.missing.end]);
        starts.zip(ends).map(|(start, end)| start..end).filter(|hole| !hole.is_empty())
    }

    /// Names it when all of it has come, or it came in too many pieces.
    fn is_over(&self, named: &mut Vec<Damage>) -> bool {
        let is_over = self.holes().next().is_none() || self.late.len() >= MAX_PIECES;
        if is_over {
            self.settle(named);
        }
        is_over
    }

    fn settle(&self, named: &mut Vec<Damage>) {
        if self.holes().next().is_none() {
            named.push(damage(DamageKind::Reordered, self.missing.clone()));
            return;
        }
        named.extend(self.late.iter().map(|late| damage(DamageKind::Reordered, late.clone())));
        named.extend(self.holes().map(|hole| damage(DamageKind::Lost, hole)));
    }
}

pub(super) fn damage(kind: DamageKind, bytes: Range<u64>) -> Damage {
    Damage { kind, offset: bytes.start, extent: bytes.end.saturating_sub(bytes.start) }
}
