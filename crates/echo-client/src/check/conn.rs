//! A connection of a check: nothing on it waits without bound, and whatever is not as it should be is
//! said in words.

#[cfg(test)]
mod tests;

use std::{
    io::{self, Read, Write},
    net::Shutdown,
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use echo_cli::escaped;
use rustix::event::PollFlags;
use socket2::Socket;

use super::{case::Broken, many, trial::Trial};
use crate::{
    figures,
    pattern::{Checker, Pattern},
};

/// What one receive takes at most.
pub(super) const READ_SIZE: usize = 64 << 10;

/// Bytes of a message that only has to come back.
pub(super) const MESSAGE: usize = 64;

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

impl Exchange {
    /// A message that only has to come back.
    pub(super) const OF_A_MESSAGE: Self =
        Self { len: MESSAGE as u64, chunk: MESSAGE, half_close: false };
}

/// An exchange under way.
#[derive(Debug)]
pub(super) struct Transfer {
    output: Output,
    /// How many bytes of the pattern had come back before.
    start: u64,
    /// How many will have been sent.
    end: u64,
    /// FIN is still to be sent.
    fin_is_due: bool,
    /// From then on no more is sent.
    until: Option<Instant>,
    begun: Instant,
    /// When bytes were last sent or received.
    moved: Instant,
}

impl Transfer {
    /// The same in writes of random sizes up to a chunk.
    pub(super) fn in_fragments(mut self, random: fastrand::Rng) -> Self {
        self.output.random = Some(random);
        self
    }

    /// The same, but what is not sent by then stays unsent.
    pub(super) fn until(self, until: Instant) -> Self {
        Self { until: Some(until), ..self }
    }
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

    /// Of the pattern, how many bytes came back.
    pub(super) fn came(&self) -> u64 {
        self.checker.received()
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
        let mut at = 0;
        while at < expected.len() {
            at += self.expect_some(expected, at)?;
        }
        Ok(Instant::now())
    }

    /// The same for what comes first of those from `at` on. Returns how many they are.
    pub(super) fn expect_some(&mut self, expected: &[u8], at: usize) -> Result<usize, Broken> {
        let mut came = vec![0; (expected.len() - at).min(READ_SIZE)];
        let received = self.receive(&mut came, self.trial.patience())?;
        let Received::Bytes(n) = received else {
            return Err(self.short(at as u64, expected.len() as u64, received));
        };
        let (due, came) = (&expected[at..at + n], &came[..n]);
        if let Some(words) = mismatch(at, due, came) {
            return Err(Broken::Promise(words));
        }
        Ok(n)
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

    /// Sends up to `len` bytes of the pattern and receives none, for as long as the path takes them.
    /// Returns how many it took.
    pub(super) fn send_ahead(&mut self, len: u64) -> Result<u64, Broken> {
        let (start, end) = (self.sent, self.sent + len);
        let mut output = Output::new(self.pattern, READ_SIZE);
        while self.sent < end {
            match self.send_some(output.next(self.sent, end), self.trial.quiet())? {
                0 => break,
                n => self.sent += n as u64,
            }
        }
        Ok(self.sent - start)
    }

    /// Sends the next bytes of the pattern and receives what comes, both at once, until all that
    /// were ever sent are back. Every byte is compared.
    pub(super) fn exchange(&mut self, exchange: Exchange) -> Result<Duration, Broken> {
        let transfer = self.begin(exchange);
        self.complete(transfer)
    }

    /// Goes on until all is back. Returns how long it took.
    pub(super) fn complete(&mut self, mut transfer: Transfer) -> Result<Duration, Broken> {
        let mut input = vec![0; READ_SIZE];
        while !self.advance(&mut transfer, &mut input)? {
            let until = self.until(self.trial.patience());
            if !self.wait(self.wants(&transfer), until)? {
                return Err(self.starved(&transfer));
            }
        }
        Ok(transfer.begun.elapsed())
    }

    /// Begins what [`advance`](Self::advance) goes on with.
    pub(super) fn begin(&self, exchange: Exchange) -> Transfer {
        let now = Instant::now();
        Transfer {
            output: Output::new(self.pattern, exchange.chunk),
            start: self.checker.received(),
            end: self.sent + exchange.len,
            fin_is_due: exchange.half_close,
            until: None,
            begun: now,
            moved: now,
        }
    }

    /// Sends a chunk and receives what there is, without waiting; true once all is back. `input` is
    /// room to receive into.
    pub(super) fn advance(
        &mut self,
        transfer: &mut Transfer,
        input: &mut [u8],
    ) -> Result<bool, Broken> {
        let now = Instant::now();
        if transfer.until.is_some_and(|until| until <= now) {
            transfer.end = transfer.end.min(self.sent);
        }
        let before = (self.sent, self.checker.received());
        // When there is nobody to send to, what came back before tells more about it.
        let unsent = match self.send_next(transfer) {
            Ok(()) => None,
            Err(Broken::Promise(words)) => Some(words),
            Err(other) => return Err(other),
        };
        let end = transfer.end;
        if self.checker.received() < end {
            match (self.take(input, Duration::ZERO)?, unsent) {
                (Received::Fin | Received::Reset, Some(_)) => {
                    return Err(self.missing(transfer, Received::Reset));
                }
                (over @ (Received::Fin | Received::Reset), None) => {
                    return Err(self.missing(transfer, over));
                }
                (Received::Nothing, Some(words)) => return Err(Broken::Promise(words)),
                (Received::Bytes(_) | Received::Nothing, _) => {}
            }
        } else if let Some(words) = unsent {
            return Err(Broken::Promise(words));
        }
        if self.checker.received() < end || transfer.fin_is_due {
            if before != (self.sent, self.checker.received()) {
                transfer.moved = now;
            }
            let has_stopped = now.duration_since(transfer.moved) >= self.trial.patience();
            if has_stopped || self.trial.is_over() {
                return Err(self.starved(transfer));
            }
            return Ok(false);
        }
        match self.checker.settle() {
            [] => Ok(true),
            [damage, ..] => Err(Broken::Promise(damage.to_string())),
        }
    }

    /// What has to happen before the transfer can go on.
    pub(super) fn wants(&self, transfer: &Transfer) -> PollFlags {
        if self.sent < transfer.end { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN }
    }

    /// Nothing has happened for as long as our patience lasts, or the check's time is up.
    pub(super) fn starved(&mut self, transfer: &Transfer) -> Broken {
        self.missing(transfer, Received::Nothing)
    }

    /// Not all is back, for this reason; what is damaged of the rest may be why.
    fn missing(&mut self, transfer: &Transfer, over: Received) -> Broken {
        let Transfer { start, end, .. } = transfer;
        let short = self.short(self.checker.received() - start, end - start, over);
        match self.checker.settle() {
            [] => short,
            [damage, ..] => Broken::Promise(damage.to_string()),
        }
    }

    /// Sends the next bytes of a transfer, or the FIN that ends it.
    fn send_next(&mut self, transfer: &mut Transfer) -> Result<(), Broken> {
        if self.sent < transfer.end {
            let chunk = transfer.output.next(self.sent, transfer.end);
            self.sent += self.send_some(chunk, Duration::ZERO)? as u64;
        }
        if self.sent == transfer.end && transfer.fin_is_due {
            self.finish()?;
            transfer.fin_is_due = false;
        }
        Ok(())
    }

    /// Receives what there is of the pattern, and compares it.
    pub(super) fn take(&mut self, input: &mut [u8], within: Duration) -> Result<Received, Broken> {
        let received = self.receive(input, within)?;
        if let Received::Bytes(n) = received {
            self.compare(&input[..n])?;
        }
        Ok(received)
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
        Ok(!many::wait(self.trial, [(self, events)], until)?.is_empty())
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
    pub(super) fn short(&self, came: u64, expected: u64, over: Received) -> Broken {
        let [came, expected] = [came, expected].map(figures::count);
        if over == Received::Nothing && self.trial.is_over() {
            let took = time(self.trial.age());
            return Broken::Slow(format!("only {came} of {expected} bytes came back in {took}"));
        }
        let words = over.words(self.trial.patience());
        Broken::Promise(format!("{came} of {expected} bytes came back, then {words}"))
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

impl AsFd for Conn<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
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
#[derive(Debug)]
struct Output {
    pattern: Pattern,
    chunk: Vec<u8>,
    /// Where they begin.
    offset: u64,
    /// How many of them are filled in.
    filled: usize,
    /// Draws how many are filled in next; without it, the chunk is.
    random: Option<fastrand::Rng>,
}

impl Output {
    fn new(pattern: Pattern, chunk: usize) -> Self {
        Self { pattern, chunk: vec![0; chunk], offset: 0, filled: 0, random: None }
    }

    /// At least one byte, at most a chunk, from `from` on and not beyond `end`.
    fn next(&mut self, from: u64, end: u64) -> &[u8] {
        let at = usize::try_from(from - self.offset.min(from)).unwrap_or(usize::MAX);
        if at >= self.filled {
            let left = usize::try_from(end - from).unwrap_or(usize::MAX);
            let most = left.min(self.chunk.len());
            self.filled = self.random.as_mut().map_or(most, |random| random.usize(1..=most));
            self.pattern.fill(from, &mut self.chunk[..self.filled]);
            self.offset = from;
            return &self.chunk[..self.filled];
        }
        &self.chunk[at..self.filled]
    }
}
