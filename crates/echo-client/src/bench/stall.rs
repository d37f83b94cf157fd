//! Several connections that stand still together: what freezes them is one thing, on the path or in the
//! service.

use std::{cmp::Reverse, time::Duration};

use super::{MAX_STALLS, Stall};

/// A connection stands when bytes are due on it and none come for so long, in nanoseconds ...
const STANDS: u64 = 200_000_000;

/// ... and for so many times as long as a message usually takes.
const TIMES: u64 = 4;

/// When we have not looked for so long, we may have been the ones that stood: what has come meanwhile
/// has not been read yet.
const AWAY: u64 = STANDS / 2;

/// What is looked at of a connection, in nanoseconds from the start of the load.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    /// When something last came.
    pub(super) came: u64,
    /// Since when bytes are due without any coming, if they are.
    pub(super) waits: Option<u64>,
}

/// Looks at the connections of one thread from time to time.
#[derive(Debug, Default)]
pub(super) struct StallWatch {
    current: Option<Standing>,
    looked: u64,
}

#[derive(Debug, Clone, Copy)]
struct Standing {
    since: u64,
    seen: u64,
    connections: u32,
}

/// A stretch in which the connections of one thread stood, from and to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stood {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) connections: u32,
}

impl StallWatch {
    /// Looks at all connections; returns a stall that is over. `usual` is what a message usually
    /// takes.
    pub(super) fn look(
        &mut self,
        now: u64,
        usual: u64,
        connections: impl Iterator<Item = Progress>,
    ) -> Option<Stood> {
        let was_away = now - std::mem::replace(&mut self.looked, now).min(now) > AWAY;
        let bound = STANDS.max(usual.saturating_mul(TIMES));
        let (mut waiting, mut standing, mut since, mut moved) = (0_u32, 0_u32, 0, now);
        let seen = self.current.map_or(u64::MAX, |current| current.seen);
        for Progress { came, waits } in connections {
            if came > seen {
                moved = moved.min(came);
            }
            let Some(from) = waits else { continue };
            waiting += 1;
            if now.saturating_sub(from) >= bound {
                standing += 1;
                since = since.max(from);
            }
        }
        let stands = standing > 0 && standing >= waiting.div_ceil(2);
        match &mut self.current {
            None if stands && !was_away => {
                self.current = Some(Standing { since, seen: now, connections: standing });
                None
            }
            Some(current) if stands => {
                current.connections = current.connections.max(standing);
                None
            }
            Some(_) => self.end(moved),
            None => None, // or not known to be one
        }
    }

    /// Ends a stall that has not ended; returns it.
    pub(super) fn end(&mut self, now: u64) -> Option<Stood> {
        let Standing { since, connections, .. } = self.current.take()?;
        Some(Stood { from: since, to: now, connections })
    }
}

/// The stalls of all threads, those that overlap as one, when more than one connection stood; the
/// longest, in the order of their times. `from` is when measuring began.
pub(super) fn together(mut stood: Vec<Stood>, from: u64) -> Vec<Stall> {
    stood.sort_by_key(|stood| stood.from);
    let mut merged: Vec<Stood> = Vec::new();
    for next in stood {
        match merged.last_mut().filter(|last| next.from < last.to) {
            Some(last) => {
                last.to = last.to.max(next.to);
                last.connections += next.connections;
            }
            None => merged.push(next),
        }
    }
    merged.retain(|stood| stood.connections > 1);
    merged.sort_by_key(|stood| Reverse(stood.to - stood.from));
    merged.truncate(MAX_STALLS);
    merged.sort_by_key(|stood| stood.from);
    let stall = |Stood { from: since, to, connections }: Stood| Stall {
        start: Duration::from_nanos(since.saturating_sub(from)),
        length: Duration::from_nanos(to.saturating_sub(since.max(from))),
        connections,
    };
    merged.into_iter().map(stall).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn waits(since: u64) -> Progress {
        Progress { came: since, waits: Some(since) }
    }

    /// A watch that has looked shortly before.
    fn watch_at(now: u64) -> StallWatch {
        StallWatch { current: None, looked: now - 50 * MS }
    }

    #[test]
    fn a_freeze_of_all_is_seen_from_its_beginning_to_its_end() {
        let mut watch = watch_at(250 * MS);
        let frozen = [waits(98 * MS), waits(100 * MS), waits(99 * MS)];
        assert_eq!(watch.look(250 * MS, MS, frozen.into_iter()), None);
        assert_eq!(watch.look(350 * MS, MS, frozen.into_iter()), None);
        // One was idle, and its first message hangs, too: no sign of movement.
        let late = Progress { came: 10 * MS, waits: Some(360 * MS) };
        assert_eq!(watch.look(400 * MS, MS, frozen.into_iter().chain([late])), None);
        let moves = [waits(1105 * MS), waits(1101 * MS), waits(1103 * MS)];
        assert_eq!(
            watch.look(1150 * MS, MS, moves.into_iter()),
            Some(Stood { from: 100 * MS, to: 1101 * MS, connections: 3 })
        );
        assert_eq!(watch.look(1200 * MS, MS, moves.into_iter()), None);
    }

    #[test]
    fn one_among_many_is_not_a_freeze() {
        let mut watch = watch_at(1000 * MS);
        let flows = [waits(0), waits(990 * MS), waits(999 * MS)];
        assert_eq!(watch.look(1000 * MS, MS, flows.into_iter()), None);
        assert_eq!(watch.end(1000 * MS), None);
    }

    #[test]
    fn a_service_that_is_always_slow_does_not_stand() {
        let mut watch = watch_at(1000 * MS);
        let flows = [waits(0), waits(MS)];
        assert_eq!(watch.look(1000 * MS, 300 * MS, flows.into_iter()), None);
        assert_eq!(watch.end(1000 * MS), None);
        watch = watch_at(1300 * MS);
        assert_eq!(watch.look(1300 * MS, 300 * MS, flows.into_iter()), None);
        assert!(watch.end(1400 * MS).is_some());
    }

    #[test]
    fn a_watch_that_was_away_does_not_take_its_own_absence_for_a_freeze() {
        let mut watch = watch_at(50 * MS);
        let unread = [waits(10 * MS), waits(20 * MS)];
        assert_eq!(watch.look(1000 * MS, MS, unread.into_iter()), None);
        assert_eq!(watch.end(1000 * MS), None);
        assert_eq!(watch.look(1050 * MS, MS, unread.into_iter()), None);
        assert!(watch.end(1050 * MS).is_some(), "still standing now that we look again");
    }

    #[test]
    fn threads_that_stand_at_the_same_time_stand_together() {
        let stood = |from, to, connections| Stood { from: from * MS, to: to * MS, connections };
        let stall = |start, length, connections| Stall {
            start: Duration::from_millis(start),
            length: Duration::from_millis(length),
            connections,
        };
        let all = vec![stood(2000, 2400, 1), stood(1001, 1900, 2), stood(1000, 1950, 3)];
        assert_eq!(together(all, 500 * MS), [stall(500, 950, 5)], "a lone one is not several");
    }
}
