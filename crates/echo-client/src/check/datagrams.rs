//! A socket of a check for datagrams. Each datagram that it sends is a stretch of the load of its own:
//! what comes back tells which one it is, whenever and however often it comes.
//!
//! ```text
//! load     | 64 KiB         | 64 KiB         | 64 KiB         |
//!          ├─ datagram 0    ├─ datagram 1    ├─ datagram 2         each as long as it is
//! ```
//!
//! What is on its way may be lost: that is no broken promise before it was tried [`TRIES`] times. What
//! comes and is no datagram of this socket is.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    os::fd::AsFd,
    time::{Duration, Instant},
};

use echo_cli::escaped;
use rustix::{event::PollFlags, io::Errno};
use socket2::Socket;

use super::{
    case::Broken,
    conn::{mismatch, time},
    trial::Trial,
};
use crate::{figures, pattern::Pattern};

/// How often a datagram is sent before its loss counts.
pub(super) const TRIES: u32 = 4;

/// From one datagram to the next in the load, more than any has.
const STRIDE: u64 = 1 << 16;

/// Room for the largest datagram.
const READ_SIZE: usize = 1 << 16;

/// Bytes that tell where they come from.
const WORD: usize = 8;

/// Sockets of one check whose datagrams can be told from chance.
const MAX_SOCKETS: u32 = 1 << 10;

/// A socket, and what became of each datagram that it has sent.
#[derive(Debug)]
pub(super) struct Datagrams<'a> {
    trial: &'a Trial<'a>,
    socket: UdpSocket,
    pattern: Pattern,
    /// Where datagrams go when the socket is not connected.
    to: Option<SocketAddr>,
    /// By number.
    sent: Vec<Sent>,
    buffer: Box<[u8]>,
}

/// A datagram that was sent.
#[derive(Debug, Clone, Copy)]
struct Sent {
    len: usize,
    at: Instant,
    /// How often it came back.
    answers: usize,
}

/// A datagram that has come back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    /// Which one it is, counted from 0.
    pub(super) number: usize,
    /// How long it was on its way.
    pub(super) took: Duration,
    pub(super) from: SocketAddr,
}

/// What became of a datagram that was due to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is back, after so long.
    Back(Duration),
    /// It is not, however often it was tried.
    Lost,
    /// Our system sends none so long.
    TooLong,
}

/// Datagrams that are sent until they are back, as far as it has come.
struct Exchange {
    /// Of each length that was asked for.
    fates: Vec<Fate>,
    /// The number of the first datagram.
    first: usize,
    /// Of each datagram from the first on: which length it stands for.
    stands_for: Vec<usize>,
}

impl<'a> Datagrams<'a> {
    /// On a socket that is connected, or sends `to` an address and hears everybody.
    pub(super) fn new(
        trial: &'a Trial<'a>,
        socket: Socket,
        pattern: Pattern,
        to: Option<SocketAddr>,
    ) -> Result<Self, Broken> {
        socket.set_nonblocking(true).map_err(|error| Broken::Ours(error.to_string()))?;
        let buffer = vec![0; READ_SIZE].into();
        Ok(Self { trial, socket: socket.into(), pattern, to, sent: Vec::new(), buffer })
    }

    /// How long a datagram is waited for before it is sent again.
    pub(super) fn wait(&self) -> Duration {
        self.trial.patience() / TRIES
    }

    /// Sends one until it comes back, and tells how long the one that did was on its way.
    pub(super) fn ask(&mut self, len: usize) -> Result<Duration, Broken> {
        match self.exchange(&[len], Duration::ZERO)?[..] {
            [Fate::Back(took)] => Ok(took),
            _ => Err(self.silence()),
        }
    }

    /// Sends one until anything comes, whatever it is.
    pub(super) fn rouse(&mut self, len: usize) -> Result<(), Broken> {
        for _ in 0..TRIES {
            self.send(len)?;
            let until = self.until(Instant::now() + self.wait());
            while self.trial.wait(self.socket.as_fd(), PollFlags::IN, until)? {
                let Err(error) = self.socket.recv(&mut self.buffer) else { return Ok(()) };
                match Errno::from_io_error(&error) {
                    Some(Errno::INTR | Errno::MSGSIZE | Errno::AGAIN) => {}
                    _ => return Err(failed("receiving", &error)),
                }
            }
        }
        Err(self.silence())
    }

    /// Sends one of each length, and those again that do not come back. Between two, what comes is
    /// received for as long as the `pace` says, unless all are back.
    pub(super) fn exchange(&mut self, lens: &[usize], pace: Duration) -> Result<Vec<Fate>, Broken> {
        let fates = vec![Fate::Lost; lens.len()];
        let mut exchange = Exchange { fates, first: self.sent.len(), stands_for: Vec::new() };
        for _ in 0..TRIES {
            for (at, len) in lens.iter().enumerate() {
                if exchange.fates[at] != Fate::Lost {
                    continue;
                }
                if self.send(*len)? {
                    exchange.stands_for.push(at);
                    self.collect(&mut exchange, Instant::now() + pace)?;
                } else {
                    exchange.fates[at] = Fate::TooLong;
                }
            }
            self.collect(&mut exchange, Instant::now() + self.wait())?;
        }
        Ok(exchange.fates)
    }

    /// Sends the next; false when our system sends none so long.
    pub(super) fn send(&mut self, len: usize) -> Result<bool, Broken> {
        let mut bytes = vec![0; len];
        self.pattern.fill(start(self.sent.len()), &mut bytes);
        let until = self.until(Instant::now() + self.trial.patience());
        let mut was_too_long = false;
        loop {
            let at = Instant::now();
            let result = match self.to {
                Some(to) => self.socket.send_to(&bytes, to),
                None => self.socket.send(&bytes),
            };
            let Err(error) = result else {
                self.sent.push(Sent { len, at, answers: 0 });
                return Ok(true);
            };
            match Errno::from_io_error(&error) {
                Some(Errno::INTR) => {}
                // The first may be about an earlier one, which a link on the path could not take
                // whole: this one is cut in fragments.
                Some(Errno::MSGSIZE) if !was_too_long => was_too_long = true,
                Some(Errno::MSGSIZE) => return Ok(false),
                Some(Errno::AGAIN) => {
                    if !self.trial.wait(self.socket.as_fd(), PollFlags::OUT, until)? {
                        return Err(Broken::Ours("there is no room to send".to_owned()));
                    }
                }
                _ => return Err(failed("sending", &error)),
            }
        }
    }

    /// Receives the next that comes back, None when there is none by then.
    pub(super) fn receive(&mut self, until: Instant) -> Result<Option<Arrival>, Broken> {
        let until = self.until(until);
        loop {
            let error = match self.socket.recv_from(&mut self.buffer) {
                Ok((len, from)) => return self.arrived(len, Instant::now(), from).map(Some),
                Err(error) => error,
            };
            match Errno::from_io_error(&error) {
                // About an earlier one, as above.
                Some(Errno::INTR | Errno::MSGSIZE) => {}
                Some(Errno::AGAIN) => {
                    if !self.trial.wait(self.socket.as_fd(), PollFlags::IN, until)? {
                        return Ok(None);
                    }
                }
                _ => return Err(failed("receiving", &error)),
            }
        }
    }

    /// How many were sent.
    pub(super) fn sent(&self) -> usize {
        self.sent.len()
    }

    /// How many of them came back.
    pub(super) fn answered(&self) -> usize {
        self.sent.iter().filter(|sent| sent.answers > 0).count()
    }

    /// How many datagrams came that had come before.
    pub(super) fn duplicates(&self) -> usize {
        self.sent.iter().map(|sent| sent.answers.saturating_sub(1)).sum()
    }

    /// That nothing came back.
    pub(super) fn silence(&self) -> Broken {
        let wait = time(self.wait());
        Broken::Promise(format!("nothing came back within {wait}, {TRIES} times in a row"))
    }

    /// Receives until all are back that were sent, or the time is over.
    fn collect(&mut self, exchange: &mut Exchange, until: Instant) -> Result<(), Broken> {
        let Exchange { fates, first, stands_for } = exchange;
        while stands_for.iter().any(|at| fates[*at] == Fate::Lost) {
            let Some(arrival) = self.receive(until)? else { break };
            let at = arrival.number.checked_sub(*first).and_then(|nth| stands_for.get(nth));
            if let Some(at) = at.filter(|at| fates[**at] == Fate::Lost) {
                fates[*at] = Fate::Back(arrival.took);
            }
        }
        Ok(())
    }

    fn arrived(&mut self, len: usize, at: Instant, from: SocketAddr) -> Result<Arrival, Broken> {
        let bytes = &self.buffer[..len];
        // The last first: too short to tell itself from others, it is likely to be that one.
        let number = (0..self.sent.len())
            .rev()
            .find(|number| self.sent[*number].len == len && self.begins(*number, bytes));
        let Some(number) = number else {
            return Err(Broken::Promise(self.stranger(bytes)));
        };
        let sent = &mut self.sent[number];
        sent.answers += 1;
        Ok(Arrival { number, took: at - sent.at, from })
    }

    /// Whether the bytes are the first of what a datagram is a stretch of.
    fn begins(&self, number: usize, bytes: &[u8]) -> bool {
        self.pattern.matching(start(number), bytes) == bytes.len()
    }

    /// What is to be said of bytes that are no datagram of ours.
    fn stranger(&self, bytes: &[u8]) -> String {
        let count = |len: usize| figures::count(len as u64);
        let len = count(bytes.len());
        if self.is_another_sockets(bytes) {
            return format!("a datagram of {len} bytes came that another socket had sent");
        }
        let numbers = || (0..self.sent.len()).rev();
        if let Some(whole) = numbers().find(|number| self.begins(*number, bytes)) {
            return format!(
                "{len} of a datagram's {} bytes came back",
                count(self.sent[whole].len)
            );
        }
        let is_head = |head: &[u8], number| !head.is_empty() && self.begins(number, head);
        let head = numbers().find(|number| {
            bytes.get(..self.sent[*number].len).is_some_and(|head| is_head(head, *number))
        });
        if let Some(head) =
            head.map(|number| self.sent[number].len).filter(|len| *len < bytes.len())
        {
            return format!("a datagram of {} bytes came back as one of {len}", count(head));
        }
        let damaged = numbers()
            .filter(|number| self.sent[*number].len == bytes.len())
            .map(|number| self.datagram(number))
            .max_by_key(|due| due.iter().zip(bytes).filter(|(due, came)| due == came).count());
        match damaged.and_then(|due| mismatch(0, &due, bytes)) {
            Some(words) => format!("in a datagram of {len} bytes, {words}"),
            None => format!("a datagram of {len} bytes came that nobody sent: {}", escaped(bytes)),
        }
    }

    fn is_another_sockets(&self, bytes: &[u8]) -> bool {
        let Some(word) = bytes.first_chunk::<WORD>() else { return false };
        let origin = self.pattern.origin(*word);
        origin.connection != self.pattern.connection()
            && origin.connection < MAX_SOCKETS
            && origin.offset % STRIDE == 0
            && self.pattern.of(origin.connection).matching(origin.offset, bytes) == bytes.len()
    }

    fn datagram(&self, number: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.sent[number].len];
        self.pattern.fill(start(number), &mut bytes);
        bytes
    }

    fn until(&self, until: Instant) -> Instant {
        until.min(self.trial.deadline())
    }
}

/// Where a datagram begins in the load.
fn start(number: usize) -> u64 {
    number as u64 * STRIDE
}

fn failed(doing: &str, error: &io::Error) -> Broken {
    match Errno::from_io_error(error) {
        Some(Errno::CONNREFUSED) => Broken::Promise("refused: nobody receives there".to_owned()),
        Some(Errno::NOBUFS | Errno::NOMEM | Errno::PERM) => {
            Broken::Ours(format!("{doing} failed: {error}"))
        }
        _ => Broken::Promise(format!("{doing} failed: {error}")),
    }
}
