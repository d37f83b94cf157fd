//! Probes in datagrams: each is a stretch of the load that begins with a whole word, so that it
//! tells which one it is, whenever and however often it comes.

use std::{io, time::Instant};

use super::path::{Arrival, Path, Wire};
use crate::pattern::{Checker, Pattern, WORD};

/// Room for the largest datagram.
const READ_SIZE: usize = 64 << 10;

/// Probes that a datagram too short for a word may be.
const MAX_GUESSED: u64 = 64;

/// Probes over UDP.
pub(super) struct DatagramPath {
    wire: Wire,
    pattern: Pattern,
    /// From one probe to the next in the load: the size, rounded up to whole words.
    stride: u64,
    sent: u64,
    probe: Vec<u8>,
    buffer: Box<[u8]>,
}

impl DatagramPath {
    pub(super) fn new(wire: Wire, pattern: Pattern, size: usize) -> Self {
        Self {
            wire,
            pattern,
            stride: (size as u64).next_multiple_of(WORD as u64),
            sent: 0,
            probe: vec![0; size],
            buffer: vec![0; READ_SIZE].into(),
        }
    }

    /// Which probe a datagram is.
    fn probe_of(&self, bytes: &[u8]) -> u64 {
        let is = |probe: u64| self.pattern.matching(probe * self.stride, bytes) == bytes.len();
        let last = self.sent.saturating_sub(1);
        if is(last) {
            return last;
        }
        let by_word = self.pattern.message_of(bytes, self.stride, self.sent);
        let guessed =
            || (self.sent.saturating_sub(MAX_GUESSED)..self.sent).rev().find(|probe| is(*probe));
        by_word.or_else(guessed).unwrap_or(last)
    }
}

impl Path for DatagramPath {
    fn send(&mut self) -> io::Result<Instant> {
        self.pattern.fill(self.sent * self.stride, &mut self.probe);
        self.sent += 1;
        let at = Instant::now();
        match self.wire.send(&self.probe)? {
            Some(_) => Ok(at),
            None => Err(io::Error::new(io::ErrorKind::WouldBlock, "no room to send")),
        }
    }

    fn is_sending(&self) -> bool {
        false
    }

    fn receive(&mut self, until: Instant, arrivals: &mut Vec<Arrival>) -> io::Result<()> {
        let Some((n, at)) = self.wire.receive(&mut self.buffer, until)? else { return Ok(()) };
        let bytes = &self.buffer[..n];
        let probe = self.probe_of(bytes);
        let start = probe * self.stride;
        let end = start + self.probe.len() as u64;
        let mut checker = Checker::starting_at(self.pattern, start);
        let mut found = |damage: &_| arrivals.push(Arrival::Damaged { probe, damage: *damage });
        checker.check(bytes).iter().for_each(&mut found);
        checker.finish(end).iter().for_each(&mut found);
        arrivals.push(Arrival::Back { probe, at });
        Ok(())
    }

    fn give_up(&mut self, _: u64, _: &mut Vec<Arrival>) {}
}
