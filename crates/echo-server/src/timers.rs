//! When to look after which connection: coarse timers that cost nothing per message.
//!
//! ```text
//! armed for     5 s ──────────────▶ │ rings: is it due?  no, bytes have moved: armed for 8 s
//! deadline      5 s ... 8 s ───────────────────────────▶ │ rings: it is
//! ```
//!
//! A connection has at most one timer. What moves bytes puts deadlines off, and leaves the timer as
//! it is: it rings too early, and who hears it looks at the deadline and arms it again. Only who
//! gets a nearer deadline has to arm it at once. Time is passed in.

use std::{collections::BTreeSet, time::Duration};

use crate::slots::PLACE_BITS;

/// How late a timer may ring. It never rings early.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// One timer for each index, armed or not.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// The tick at which each rings, above its index: one number, for there are many of them.
    armed: BTreeSet<u64>,
    /// The tick of each index, [`NEVER`] while it is not armed.
    ticks: Vec<u64>,
}

/// The last tick, after 21 years, does not come.
const NEVER: u64 = u64::MAX >> PLACE_BITS;

impl Timers {
    /// Has `index` ring at `at`, whatever it was armed for; never, when there is no such time.
    pub(crate) fn arm(&mut self, index: u32, at: Option<Duration>) {
        let place = index as usize;
        let tick = at.map_or(NEVER, tick_after);
        if place >= self.ticks.len() {
            self.ticks.resize(place + 1, NEVER);
        }
        if self.ticks[place] != tick {
            self.armed.remove(&ring_of(self.ticks[place], index));
            self.ticks[place] = tick;
            if tick != NEVER {
                self.armed.insert(ring_of(tick, index));
            }
        }
    }

    /// Has `index` ring at `at` at the latest.
    pub(crate) fn arm_by(&mut self, index: u32, at: Option<Duration>) {
        let tick = self.ticks.get(index as usize).copied().unwrap_or(NEVER);
        if at.is_some_and(|at| tick_after(at) < tick) {
            self.arm(index, at);
        }
    }

    /// When the next one rings.
    pub(crate) fn next(&self) -> Option<Duration> {
        let ring = self.armed.first()?;
        Some(time_of(ring >> PLACE_BITS))
    }

    /// One that rings at `now` or has rung before. It is not armed any more.
    pub(crate) fn ring(&mut self, now: Duration) -> Option<u32> {
        let ring = self.armed.first()?;
        if time_of(ring >> PLACE_BITS) > now {
            return None;
        }
        let index = u32::try_from(ring & ((1 << PLACE_BITS) - 1)).ok()?;
        self.arm(index, None);
        Some(index)
    }
}

/// The first tick that is not before `at`.
fn tick_after(at: Duration) -> u64 {
    let ticks = at.as_nanos().div_ceil(TICK.as_nanos());
    u64::try_from(ticks).unwrap_or(NEVER).min(NEVER)
}

fn ring_of(tick: u64, index: u32) -> u64 {
    tick << PLACE_BITS | u64::from(index)
}

fn time_of(tick: u64) -> Duration {
    let nanos = u128::from(tick).saturating_mul(TICK.as_nanos());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_timer_rings_once_within_a_tick_and_never_early() {
        let mut timers = Timers::default();
        timers.arm(3, Some(ms(25)));
        assert_eq!(timers.next(), Some(ms(30)));
        assert_eq!(timers.ring(ms(29)), None);
        assert_eq!(timers.ring(ms(30)), Some(3));
        assert_eq!((timers.ring(ms(1000)), timers.next()), (None, None));
    }

    #[test]
    fn those_that_are_due_ring_in_the_order_of_their_times() {
        let mut timers = Timers::default();
        for (index, at) in [(0, 50), (1, 20), (2, 90), (3, 20)] {
            timers.arm(index, Some(ms(at)));
        }
        let rung: Vec<_> = std::iter::from_fn(|| timers.ring(ms(60))).collect();
        assert_eq!(rung, [1, 3, 0]);
        assert_eq!(timers.next(), Some(ms(90)));
    }

    #[test]
    fn an_index_has_one_timer_which_is_armed_earlier_later_or_not_at_all() {
        let mut timers = Timers::default();
        timers.arm(0, Some(ms(100)));
        timers.arm_by(0, Some(ms(200)));
        assert_eq!(timers.next(), Some(ms(100)), "it rings before that anyway");
        timers.arm_by(0, Some(ms(50)));
        assert_eq!(timers.next(), Some(ms(50)));
        timers.arm_by(0, None);
        timers.arm(0, Some(ms(300)));
        assert_eq!((timers.next(), timers.armed.len()), (Some(ms(300)), 1));
        timers.arm(0, None);
        assert_eq!((timers.next(), timers.armed.len()), (None, 0));
        timers.arm_by(7, Some(ms(10)));
        assert_eq!(timers.ring(ms(10)), Some(7));
    }

    #[test]
    fn times_that_no_clock_will_show_ring_never_or_then() {
        let mut timers = Timers::default();
        timers.arm(0, Some(Duration::MAX));
        assert_eq!(timers.ring(Duration::from_secs(1 << 33)), None);
    }
}
