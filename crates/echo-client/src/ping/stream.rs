//! Probes on a stream: one after the other, `size` bytes each.
//!
//! ```text
//! stream  | probe 0 | probe 1 | probe 2 | ...
//! back    ───────────────────▶ complete_to
//! ```
//!
//! A probe is back when every byte before its end is. Sending never blocks, and while a probe is too
//! large for the system to take at once, receiving goes on: no size can lock both sides up.

use std::{io, time::Instant};

use super::path::{Arrival, Path, Wire};
use crate::pattern::{Checker, Damage, Pattern};

/// How much is received at once.
const READ_SIZE: usize = 64 << 10;

/// Probes over TCP or a Unix socket.
pub(super) struct StreamPath {
    wire: Wire,
    pattern: Pattern,
    checker: Checker,
    /// Bytes of a probe.
    size: u64,
    /// How many were begun, and how many are back.
    sent: u64,
    back: u64,
    /// Those before it that are not back are given up.
    given_up: u64,
    /// The last probe sent, and how much of it is not sent yet.
    probe: Vec<u8>,
    unsent: usize,
    buffer: Box<[u8]>,
}

impl StreamPath {
    pub(super) fn new(wire: Wire, pattern: Pattern, size: usize) -> Self {
        Self {
            wire,
            pattern,
            checker: Checker::new(pattern),
            size: size as u64,
            sent: 0,
            back: 0,
            given_up: 0,
            probe: vec![0; size],
            unsent: 0,
            buffer: vec![0; READ_SIZE].into(),
        }
    }

    fn send_rest(&mut self) -> io::Result<()> {
        while self.unsent > 0 {
            let rest = &self.probe[self.probe.len() - self.unsent..];
            let Some(n) = self.wire.send(rest)? else { break };
            self.unsent -= n;
        }
        Ok(())
    }

    /// Takes note of what came up to now.
    fn take(&mut self, at: Instant, arrivals: &mut Vec<Arrival>) {
        let lacks = self.checker.complete_to() < self.given_up * self.size;
        if lacks && self.checker.seen_to() >= self.sent * self.size {
            self.settle(arrivals);
        }
        let complete = (self.checker.complete_to() / self.size).min(self.sent);
        if complete == self.sent && complete > self.back {
            // Nothing is on its way: what is pending can be judged.
            self.settle(arrivals);
        }
        arrivals.extend((self.back..complete).map(|probe| Arrival::Back { probe, at }));
        self.back = self.back.max(complete);
    }

    fn settle(&mut self, arrivals: &mut Vec<Arrival>) {
        arrivals.extend(
            self.checker.settle().iter().map(|damage| damaged(damage, self.size, self.sent)),
        );
    }
}

impl Path for StreamPath {
    fn send(&mut self) -> io::Result<Instant> {
        self.pattern.fill(self.sent * self.size, &mut self.probe);
        self.unsent = self.probe.len();
        self.sent += 1;
        let at = Instant::now();
        self.send_rest()?;
        Ok(at)
    }

    fn is_sending(&self) -> bool {
        self.unsent > 0
    }

    fn receive(&mut self, until: Instant, arrivals: &mut Vec<Arrival>) -> io::Result<()> {
        let mut until = until;
        if self.unsent > 0 {
            self.wire.wait_for_room(until)?;
            self.send_rest()?;
            until = Instant::now();
        }
        let Some((n, at)) = self.wire.receive(&mut self.buffer, until)? else { return Ok(()) };
        if n == 0 {
            self.settle(arrivals);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the peer closed"));
        }
        let damages = self.checker.check(&self.buffer[..n]);
        arrivals.extend(damages.iter().map(|damage| damaged(damage, self.size, self.sent)));
        self.take(at, arrivals);
        Ok(())
    }

    fn give_up(&mut self, probe: u64, arrivals: &mut Vec<Arrival>) {
        self.given_up = probe + 1;
        // What came after it shows that it will not come.
        if self.checker.seen_to() > self.checker.complete_to() {
            self.settle(arrivals);
        }
    }
}

fn damaged(damage: &Damage, size: u64, sent: u64) -> Arrival {
    let probe = (damage.offset / size).min(sent.saturating_sub(1));
    Arrival::Damaged { probe, damage: *damage }
}
