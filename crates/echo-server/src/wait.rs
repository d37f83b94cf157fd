//! Waiting for descriptors, with a deadline and interrupted by no signal.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    pipe::{PipeFlags, pipe_with},
};

/// Waits until one of `fds` is ready, for at most until `deadline`; returns whether any is.
///
/// An error or a hang-up counts as ready: the next read or write will tell.
pub(crate) fn wait<const N: usize>(
    fds: [(BorrowedFd<'_>, PollFlags); N],
    deadline: Option<Instant>,
) -> io::Result<[bool; N]> {
    let mut fds = fds.map(|(fd, events)| PollFd::from_borrowed_fd(fd, events));
    wait_all(&mut fds, deadline)?;
    Ok(fds.map(|fd| !fd.revents().is_empty()))
}

/// As [`wait`], for any number of descriptors; the answers are in their `revents`.
pub(crate) fn wait_all(fds: &mut [PollFd<'_>], deadline: Option<Instant>) -> io::Result<()> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match poll(fds, left.map(timespec).as_ref()) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    // A wait of over 292 billion years may be cut short.
    Timespec {
        tv_sec: duration.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

/// Wakes a thread that waits for descriptors: a pipe with at most a few bytes in it.
#[derive(Debug)]
pub(crate) struct Bell {
    heard: OwnedFd,
    rope: OwnedFd,
}

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        let (heard, rope) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Self { heard, rope })
    }

    /// Never waits; a full pipe is as good as rung.
    pub(crate) fn ring(&self) {
        let _ = rustix::io::write(&self.rope, &[1]);
    }

    /// Silent again until the next ring.
    pub(crate) fn silence(&self) {
        let mut rings = [0; 64];
        while matches!(rustix::io::read(&self.heard, &mut rings), Ok(n) if n == rings.len()) {}
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.heard.as_fd()
    }
}
