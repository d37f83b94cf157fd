//! Waiting for sockets, and for a moment: asleep, but for the last stretch.

use std::{io, time::Duration};

use mio::{Events, Poll, Registry};
use rustix::event::{PollFd, PollFlags, Timespec};

use super::clock::Clock;

/// Before a message is due we are awake for so long: waking up takes up to that, on a virtual machine
/// most of it.
const SPIN: u64 = 50_000;

/// Awake, we look at the clock so often that a longer step between two looks was not ours: somebody
/// else had the core.
const MAX_STEP: u64 = 20_000;

/// Events that one wait brings; more come with the next.
const EVENTS: usize = 1024;

/// The sockets of one thread.
pub(super) struct Waiter {
    poll: Poll,
    /// Nanoseconds of this thread's CPU time that were spent with nothing to do.
    spun: u64,
}

impl Waiter {
    pub(super) fn new() -> io::Result<(Self, Events)> {
        wake_up_in_time();
        Ok((Self { poll: Poll::new()?, spun: 0 }, Events::with_capacity(EVENTS)))
    }

    pub(super) fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// How long we have been awake with nothing to do, in nanoseconds.
    pub(super) fn spun(&self) -> u64 {
        self.spun
    }

    /// Takes what has happened, without waiting.
    pub(super) fn look(&mut self, events: &mut Events) -> io::Result<()> {
        retried(self.poll.poll(events, Some(Duration::ZERO)))
    }

    /// Waits until something happens, but not beyond `until`; a millisecond more or less does not
    /// matter.
    pub(super) fn wait(&mut self, events: &mut Events, clock: Clock, until: u64) -> io::Result<()> {
        let left = Duration::from_nanos(until.saturating_sub(clock.now()));
        retried(self.poll.poll(events, Some(left)))
    }

    /// Waits until something happens, but not beyond `until`; microseconds matter.
    pub(super) fn wait_exactly(
        &mut self,
        events: &mut Events,
        clock: Clock,
        until: u64,
    ) -> io::Result<()> {
        let left = until.saturating_sub(clock.now());
        if left > SPIN {
            // The set of sockets is itself one that can be waited for, with a finer timeout than its own.
            let sockets = PollFd::new(self.poll.registry(), PollFlags::IN);
            let timeout = Timespec::try_from(Duration::from_nanos(left - SPIN)).ok();
            match rustix::event::poll(&mut [sockets], timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut now = clock.now();
        loop {
            self.look(events)?;
            if !events.is_empty() || now >= until {
                return Ok(());
            }
            let step = clock.now() - now;
            now += step;
            self.spun += if step <= MAX_STEP { step } else { 0 };
        }
    }
}

fn retried(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        result => result,
    }
}

/// Asks the kernel not to delay this thread's timeouts, which it does by 50 us to save power.
fn wake_up_in_time() {
    #[cfg(target_os = "linux")]
    // Without it, send lag shows the delay.
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
}
