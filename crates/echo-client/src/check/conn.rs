//! A connection of a check: nothing on it waits without bound, and whatever is not as it should be is
//! said in words.

use std::{
    io::{self, Read, Write},
    net::Shutdown,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use echo_cli::escaped;
use rustix::event::PollFlags;
use socket2::Socket;

use super::{case::Broken, trial::Trial};
use crate::{
    figures,
    pattern::{Checker, Pattern},
};

/// What one receive takes at most.
const READ_SIZE: usize = 64 << 10;

/// Bytes that are shown where they are not as they should be.
const MAX_SHOWN: usize = 16;

/// A connected stream.
#[derive(Debug)]
pub(super) struct Conn<'a> {
    trial: &'a Trial<'a>,
    socket: Socket,
    pattern: Pattern,
    /// Compares what comes back of the pattern.
    checker: Checker,
    /// Of the pattern, bytes that the system has taken.
    sent: u64,
}

/// What a receive has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received {
    Bytes(usize),
    /// The peer has sent all that it will.
    Fin,
    /// RST: the connection is gone, and what was in flight with it.
    Reset,
    /// Not a byte, in the time given.
    Nothing,
}

/// How bytes of the pattern are exchanged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exchange {
    /// How many are sent.
    pub(super) len: u64,
    /// How many each write is given at most.
    pub(super) chunk: usize,
    /// FIN follows the last of them.
    pub(super) half_close: bool,
}

impl<'a> Conn<'a> {
    pub(super) fn new(
        trial: &'a Trial<'a>,
        socket: Socket,
        pattern: Pattern,
    ) -> Result<Self, Broken> {
        socket.set_nonblocking(true).map_err(|error| Broken::Ours(error.to_string()))?;
        Ok(Self { trial, socket, pattern, checker: Checker::new(pattern), sent: 0 })
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// What the peer is due to return, from an offset of the pattern.
    pub(super) fn load(&self, offset: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.pattern.fill(offset, &mut bytes);
        bytes
    }

    /// Sends all of it.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let n = self.send_some(rest, self.trial.patience())?;
            if n == 0 {
                return Err(Broken::Promise(format!(
                    "it took {} of {}, then nothing for {}",
                    figures::bytes((bytes.len() - rest.len()) as f64),
                    figures::bytes(bytes.len() as f64),
                    time(self.trial.patience()),
                )));
            }
            rest = &rest[n..];
        }
        Ok(())
    }

    /// Sends what the system takes, 0 when it takes nothing `within` that time.
    pub(super) fn send_some(&mut self, bytes: &[u8], within: Duration) -> Result<usize, Broken> {
        let until = self.until(within);
        loop {
            match self.socket.write(bytes) {
                Ok(n) => return Ok(n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.wait(PollFlags::OUT, until)? {
                        return Ok(0);
                    }
                }
                Err(error) => return Err(Broken::Promise(format!("sending failed: {error}"))),
            }
        }
    }

    /// Receives what there is, into the front of `buffer`.
    pub(super) fn receive(
        &mut self,
        buffer: &mut [u8],
        within: Duration,
    ) -> Result<Received, Broken> {
        let until = self.until(within);
        loop {
            match self.socket.read(buffer) {
                Ok(0) => return Ok(Received::Fin),
                Ok(n) => return Ok(Received::Bytes(n)),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => {
                        if !self.wait(PollFlags::IN, until)? {
                            return Ok(Received::Nothing);
                        }
                    }
                    io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                        return Ok(Received::Reset);
                    }
                    _ => return Err(Broken::Promise(format!("receiving failed: {error}"))),
                },
            }
        }
    }

    /// Receives as many bytes as these, and they have to be these. Returns when the last was here.
    pub(super) fn expect(&mut self, expected: &[u8]) -> Result<Instant, Broken> {
        let mut came = vec![0; expected.len()];
        let mut at = 0;
        while at < expected.len() {
            let received = self.receive(&mut came[at..], self.trial.patience())?;
            let Received::Bytes(n) = received else {
                return Err(Broken::Promise(self.short(
                    at as u64,
                    expected.len() as u64,
                    received,
                )));
            };
            if let Some(words) = mismatch(at, &expected[at..at + n], &came[at..at + n]) {
                return Err(Broken::Promise(words));
            }
            at += n;
        }
        Ok(Instant::now())
    }

    /// Sends, and gets the same back. Returns how long that took.
    pub(super) fn echo(&mut self, bytes: &[u8]) -> Result<Duration, Broken> {
        let before = Instant::now();
        self.send(bytes)?;
        Ok(self.expect(bytes)? - before)
    }

    /// Listens for what must not come.
    pub(super) fn expect_quiet(&mut self) -> Result<(), Broken> {
        let mut buffer = [0; 64];
        match self.receive(&mut buffer, self.trial.quiet())? {
            Received::Nothing => Ok(()),
            Received::Bytes(n) => {
                let came = escaped(&buffer[..n]);
                Err(Broken::Promise(format!("{n} bytes came that nobody sent: {came}")))
            }
            end => Err(Broken::Promise(format!("then came {}", end.words(self.trial.quiet())))),
        }
    }

    /// Sends the next bytes of the pattern and receives what comes, both at once, until all are
    /// back. Every byte is compared.
    pub(super) fn exchange(&mut self, exchange: Exchange) -> Result<Duration, Broken> {
        let Exchange { len, chunk, half_close } = exchange;
        let before = Instant::now();
        let end = self.sent + len;
        let mut output = Output::new(self.pattern, chunk);
        let mut input = vec![0; READ_SIZE];
        let mut is_open = half_close;
        while self.checker.received() < end || is_open {
            if self.sent == end && is_open {
                self.finish()?;
                is_open = false;
                continue;
            }
            let wants =
                if self.sent < end { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
            let until = self.until(self.trial.patience());
            if !self.wait(wants, until)? {
                let missing = self.short(self.checker.received(), end, Received::Nothing);
                return Err(Broken::Promise(missing));
            }
            if self.sent < end {
                self.sent += self.send_some(output.next(self.sent, end), Duration::ZERO)? as u64;
            }
            match self.receive(&mut input, Duration::ZERO)? {
                Received::Bytes(n) => self.compare(&input[..n])?,
                Received::Nothing => {}
                over => {
                    let missing = self.short(self.checker.received(), end, over);
                    return Err(Broken::Promise(missing));
                }
            }
        }
        match self.checker.settle() {
            [] => Ok(before.elapsed()),
            [damage, ..] => Err(Broken::Promise(damage.to_string())),
        }
    }

    /// FIN: we send no more.
    pub(super) fn finish(&self) -> Result<(), Broken> {
        self.socket
            .shutdown(Shutdown::Write)
            .map_err(|error| Broken::Promise(format!("FIN could not be sent: {error}")))
    }

    /// Waits for the peer's FIN, with nothing before it. Returns how long it took.
    pub(super) fn expect_fin(&mut self) -> Result<Duration, Broken> {
        let before = Instant::now();
        let mut buffer = [0; 64];
        match self.receive(&mut buffer, self.trial.patience())? {
            Received::Fin => Ok(before.elapsed()),
            Received::Bytes(n) => {
                let came = escaped(&buffer[..n]);
                Err(Broken::Promise(format!("{n} bytes more than were sent came: {came}")))
            }
            other => {
                let words = other.words(self.trial.patience());
                Err(Broken::Promise(format!("instead of FIN came {words}")))
            }
        }
    }

    /// Ends it with RST, whatever is in flight.
    pub(super) fn reset(self) -> Result<(), Broken> {
        let lingers = self.socket.set_linger(Some(Duration::ZERO));
        lingers.map_err(|error| Broken::Ours(error.to_string()))
    }

    /// Waits for one of `events`; false when none comes by then.
    pub(super) fn wait(&self, events: PollFlags, until: Instant) -> Result<bool, Broken> {
        self.trial.wait(self.socket.as_fd(), events, until)
    }

    fn compare(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        match self.checker.check(bytes) {
            [] => Ok(()),
            [damage, ..] => Err(Broken::Promise(damage.to_string())),
        }
    }

    fn until(&self, within: Duration) -> Instant {
        (Instant::now() + within).min(self.trial.deadline())
    }

    /// That so much came back and not more, for this reason.
    fn short(&self, came: u64, expected: u64, over: Received) -> String {
        let words = over.words(self.trial.patience());
        let [came, expected] = [came, expected].map(figures::count);
        format!("{came} of {expected} bytes came back, then {words}")
    }
}

impl Received {
    /// In words; nothing is waited for `so_long`.
    pub(super) fn words(self, so_long: Duration) -> String {
        match self {
            Self::Bytes(n) => format!("{n} bytes"),
            Self::Fin => "FIN".to_owned(),
            Self::Reset => "RST".to_owned(),
            Self::Nothing => format!("nothing for {}", time(so_long)),
        }
    }
}

/// The first difference of two stretches of the same length that begin at this offset, in words.
pub(super) fn mismatch(offset: usize, due: &[u8], came: &[u8]) -> Option<String> {
    let at = due.iter().zip(came).position(|(due, came)| due != came)?;
    let shown = |bytes: &[u8]| escaped(&bytes[at..bytes.len().min(at + MAX_SHOWN)]).to_string();
    Some(format!("at offset {} came {} instead of {}", offset + at, shown(came), shown(due)))
}

/// A duration as people read it.
pub(super) fn time(duration: Duration) -> String {
    figures::time(duration.as_nanos() as f64)
}

/// The bytes of the pattern that are to be sent next.
struct Output {
    pattern: Pattern,
    chunk: Vec<u8>,
    /// Where they begin.
    offset: u64,
    /// How many of them are filled in.
    filled: usize,
}

impl Output {
    fn new(pattern: Pattern, chunk: usize) -> Self {
        Self { pattern, chunk: vec![0; chunk], offset: 0, filled: 0 }
    }

    /// At least one byte, at most a chunk, from `from` on and not beyond `end`.
    fn next(&mut self, from: u64, end: u64) -> &[u8] {
        let at = usize::try_from(from - self.offset.min(from)).unwrap_or(usize::MAX);
        if at >= self.filled {
            let left = usize::try_from(end - from).unwrap_or(usize::MAX);
            self.filled = left.min(self.chunk.len());
            self.pattern.fill(from, &mut self.chunk[..self.filled]);
            self.offset = from;
            return &self.chunk[..self.filled];
        }
        &self.chunk[at..self.filled]
    }
}
