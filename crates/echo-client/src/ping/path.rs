//! What probes travel on, and what comes back.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send},
};
use socket2::Socket;

use crate::pattern::Damage;

/// How often a wait looks up, to see whether it was interrupted.
pub(super) const TICK: Duration = Duration::from_millis(50);

/// Carries probes; one connection.
pub(crate) trait Path: Send {
    /// Sends the next probe, or begins to; returns when.
    fn send(&mut self) -> io::Result<Instant>;

    /// A probe that is not all sent yet: no other can be.
    fn is_sending(&self) -> bool;

    /// Waits until something comes, but not after `until`, and never longer than [`TICK`].
    fn receive(&mut self, until: Instant, arrivals: &mut Vec<Arrival>) -> io::Result<()>;

    /// Nobody waits for this probe any more.
    fn give_up(&mut self, probe: u64, arrivals: &mut Vec<Arrival>);
}

/// What has come. Probes are counted from 0 on each connection.
pub(crate) enum Arrival {
    /// The last byte of a probe.
    Back { probe: u64, at: Instant },
    /// A probe is not as it was sent.
    Damaged { probe: u64, damage: Damage },
}

/// A socket and its ways to wait. While there is time for a whole tick, waiting is a plain blocking
/// receive, one system call.
pub(super) struct Wire(Socket);

impl Wire {
    pub(super) fn new(socket: Socket) -> io::Result<Self> {
        socket.set_read_timeout(Some(TICK))?;
        Ok(Self(socket))
    }

    /// Sends as much as the system takes at once; None when it takes nothing now.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<Option<usize>> {
        now_or_never(send(&self.0, bytes, SendFlags::DONTWAIT))
    }

    /// Receives, and tells when; None when nothing came in time.
    pub(super) fn receive(
        &self,
        buffer: &mut [u8],
        until: Instant,
    ) -> io::Result<Option<(usize, Instant)>> {
        let left = until.saturating_duration_since(Instant::now());
        let flags = if left >= TICK {
            RecvFlags::empty()
        } else {
            self.wait(PollFlags::IN, left)?;
            RecvFlags::DONTWAIT
        };
        let received = recv(&self.0, buffer, flags).map(|(_, n)| n);
        let at = Instant::now();
        Ok(now_or_never(received)?.map(|n| (n, at)))
    }

    /// Waits for room to send, and for what comes meanwhile.
    pub(super) fn wait_for_room(&self, until: Instant) -> io::Result<()> {
        let left = until.saturating_duration_since(Instant::now()).min(TICK);
        self.wait(PollFlags::IN | PollFlags::OUT, left)
    }

    fn wait(&self, events: PollFlags, left: Duration) -> io::Result<()> {
        let fd: BorrowedFd<'_> = self.0.as_fd();
        let left = Timespec { tv_sec: 0, tv_nsec: left.min(TICK).subsec_nanos().into() };
        now_or_never(poll(&mut [PollFd::from_borrowed_fd(fd, events)], Some(&left)))?;
        Ok(())
    }
}

/// None for what would have to wait, or was interrupted.
fn now_or_never(result: Result<usize, Errno>) -> io::Result<Option<usize>> {
    match result {
        Ok(n) => Ok(Some(n)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
