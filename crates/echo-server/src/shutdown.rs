//! The wish to end: told once, heard by every thread, also by one that waits in `poll`.
//!
//! The pipe's write end is closed to tell it, so its read end is ready from then on, for everyone.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use rustix::pipe::{PipeFlags, pipe_with};

/// When everything has to end, once that is wished.
#[derive(Debug)]
pub struct Shutdown {
    told: OwnedFd,
    teller: Mutex<Option<OwnedFd>>,
    begun: OnceLock<Instant>,
    drain_timeout: Duration,
}

impl Shutdown {
    /// Nothing to end yet; once begun, `drain_timeout` is left to finish.
    ///
    /// # Errors
    /// When no pipe can be had.
    pub fn new(drain_timeout: Duration) -> io::Result<Self> {
        let (told, teller) = pipe_with(PipeFlags::CLOEXEC)?;
        let teller = Mutex::new(Some(teller));
        Ok(Self { told, teller, begun: OnceLock::new(), drain_timeout })
    }

    /// Tells everyone to finish. Calls after the first do nothing.
    pub fn begin(&self) {
        self.begun.get_or_init(Instant::now);
        // Dropping the descriptor is what wakes the others.
        self.teller.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// True once a shutdown has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun.get().is_some()
    }

    /// When connections that are not finished are cut; `None` while no shutdown has begun,
    /// or when that time is beyond what the clock can tell.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.begun.get()?.checked_add(self.drain_timeout)
    }
}

impl AsFd for Shutdown {
    /// Ready to read once a shutdown has begun.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.told.as_fd()
    }
}
