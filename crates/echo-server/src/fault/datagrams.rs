//! Datagrams that do not come back as they were sent.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::catalog::{
    Entry,
    Kind::Datagrams,
    Value::{Bytes, Count, Plain, Time},
};

pub(super) const FAULTS: &[Entry] = &[
    Entry {
        name: "udp-merge",
        kind: Datagrams(Plain(|| Box::new(Pairs { held: None, pair: merge }))),
        does: "two datagrams that come close together return as one, as if it were a stream",
    },
    Entry {
        name: "udp-reorder",
        kind: Datagrams(Plain(|| Box::new(Pairs { held: None, pair: swap }))),
        does: "two datagrams that come close together return in the other order",
    },
    Entry {
        name: "udp-truncate",
        kind: Datagrams(Bytes("512B", |size| {
            Box::new(Truncate { size: usize::try_from(size).unwrap_or(usize::MAX) })
        })),
        does: "what is beyond so many bytes is cut off, as by a buffer that is too small",
    },
    Entry {
        name: "udp-drop-large",
        kind: Datagrams(Bytes("1472B", |size| {
            Box::new(DropLarge { size: usize::try_from(size).unwrap_or(usize::MAX) })
        })),
        does: "longer datagrams are lost, as where fragments do not get through",
    },
    Entry {
        name: "udp-wrong-source",
        kind: Datagrams(Plain(|| Box::new(WrongSource))),
        does: "the answer comes from another port, as from a NAT that has lost its mapping",
    },
    Entry {
        name: "udp-drop-empty",
        kind: Datagrams(Plain(|| Box::new(DropEmpty))),
        does: "empty datagrams are not answered, as where a length of 0 is taken for the end",
    },
    Entry {
        name: "udp-duplicate",
        kind: Datagrams(Plain(|| Box::new(Duplicate))),
        does: "each datagram returns twice, as from a network with two ways",
    },
    Entry {
        name: "udp-crossed",
        kind: Datagrams(Plain(|| Box::new(Crossed { last: None }))),
        does: "with two clients, the answer goes to the other, as from a proxy that mixes them up",
    },
    Entry {
        name: "udp-delay",
        kind: Datagrams(Time("50ms", |by| Box::new(Delay { by }))),
        does: "each datagram returns so much later, as over a long way",
    },
    Entry {
        name: "udp-corrupt",
        kind: Datagrams(Plain(|| Box::new(Corrupt))),
        does: "one bit of each datagram flips, as without checksums",
    },
    Entry {
        name: "udp-loss",
        kind: Datagrams(Count("10", |every| Box::new(Loss { every, count: 0 }))),
        does: "every Nth datagram is lost, as in a full queue",
    },
];

/// How close together two datagrams come that belong together.
const TOGETHER: Duration = Duration::from_millis(50);

/// Answers that may wait for their time; more are lost.
const WAITING: usize = 1024;

/// What becomes of the datagrams of one endpoint.
pub(super) trait DatagramSpoiler: Send {
    fn received(&mut self, datagram: Datagram, answers: &mut Answers);

    /// When it wants to be told the time, if it does.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// That time has come.
    fn late(&mut self, _answers: &mut Answers) {}
}

/// One that came from there, or goes there.
#[derive(Debug, Clone)]
pub(super) struct Datagram {
    pub(super) peer: SocketAddr,
    pub(super) payload: Vec<u8>,
    /// Whether it goes from a port that was not asked.
    pub(super) from_elsewhere: bool,
}

/// Answers, each with its time.
#[derive(Debug)]
pub(super) struct Answers {
    now: Instant,
    /// In the order of their times, since an endpoint delays all alike; at most [`WAITING`].
    waiting: VecDeque<(Instant, Datagram)>,
}

impl Answers {
    pub(super) fn new(now: Instant) -> Self {
        Self { now, waiting: VecDeque::new() }
    }

    pub(super) fn tick(&mut self, now: Instant) {
        self.now = now;
    }

    fn send(&mut self, datagram: Datagram) {
        self.send_later(Duration::ZERO, datagram);
    }

    fn send_later(&mut self, by: Duration, datagram: Datagram) {
        if self.waiting.len() < WAITING {
            let due = self.now.checked_add(by).unwrap_or(self.now);
            self.waiting.push_back((due, datagram));
        }
    }

    /// When the next answer goes.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.front().map(|(due, _)| *due)
    }

    /// The next one whose time has come.
    pub(super) fn next(&mut self) -> Option<Datagram> {
        self.due().filter(|due| *due <= self.now)?;
        self.waiting.pop_front().map(|(_, datagram)| datagram)
    }
}

/// Waits a moment for a second datagram of the same client.
struct Pairs {
    held: Option<(Datagram, Instant)>,
    pair: fn(Datagram, Datagram, &mut Answers),
}

fn merge(mut first: Datagram, second: Datagram, answers: &mut Answers) {
    first.payload.extend(second.payload);
    answers.send(first);
}

fn swap(first: Datagram, second: Datagram, answers: &mut Answers) {
    answers.send(second);
    answers.send(first);
}

impl DatagramSpoiler for Pairs {
    fn received(&mut self, datagram: Datagram, answers: &mut Answers) {
        match self.held.take() {
            Some((first, _)) if first.peer == datagram.peer => {
                (self.pair)(first, datagram, answers);
            }
            other => {
                if let Some((other, _)) = other {
                    answers.send(other);
                }
                let until = answers.now.checked_add(TOGETHER).unwrap_or(answers.now);
                self.held = Some((datagram, until));
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        self.held.as_ref().map(|(_, until)| *until)
    }

    fn late(&mut self, answers: &mut Answers) {
        if let Some((datagram, _)) = self.held.take() {
            answers.send(datagram);
        }
    }
}

struct Truncate {
    size: usize,
}

impl DatagramSpoiler for Truncate {
    fn received(&mut self, mut datagram: Datagram, answers: &mut Answers) {
        datagram.payload.truncate(self.size);
        answers.send(datagram);
    }
}

struct DropLarge {
    size: usize,
}

impl DatagramSpoiler for DropLarge {
    fn received(&mut self, datagram: Datagram, answers: &mut Answers) {
        if datagram.payload.len() <= self.size {
            answers.send(datagram);
        }
    }
}

struct WrongSource;

impl DatagramSpoiler for WrongSource {
    fn received(&mut self, datagram: Datagram, answers: &mut Answers) {
        answers.send(Datagram { from_elsewhere: true, ..datagram });
    }
}

struct DropEmpty;

impl DatagramSpoiler for DropEmpty {
    fn received(&mut self, datagram: Datagram, answers: &mut Answers) {
        if !datagram.payload.is_empty() {
            answers.send(datagram);
        }
    }
}

struct Duplicate;

impl DatagramSpoiler for Duplicate {
    fn received(&mut self, datagram: Datagram, answers: &mut Answers) {
        answers.send(datagram.clone());
        answers.send(datagram);
    }
}

struct Crossed {
    /// The last two clients, the last first.
    last: Option<(SocketAddr, SocketAddr)>,
}

impl DatagramSpoiler for Crossed {
    fn received(&mut self, mut datagram: Datagram, answers: &mut Answers) {
        let from = datagram.peer;
        let (last, before) = self.last.unwrap_or((from, from));
        let other = if last == from { before } else { last };
        self.last = Some((from, other));
        datagram.peer = other;
        answers.send(datagram);
    }
}

struct Delay {
    by: Duration,
}

impl DatagramSpoiler for Delay {
    fn received(&mut self, datagram: Datagram, answers: &mut Answers) {
        answers.send_later(self.by, datagram);
    }
}

struct Corrupt;

impl DatagramSpoiler for Corrupt {
    fn received(&mut self, mut datagram: Datagram, answers: &mut Answers) {
        let middle = datagram.payload.len() / 2;
        if let Some(byte) = datagram.payload.get_mut(middle) {
            *byte ^= 0x10;
        }
        answers.send(datagram);
    }
}

struct Loss {
    every: u64,
    /// Since the last one that was lost.
    count: u64,
}

impl DatagramSpoiler for Loss {
    fn received(&mut self, datagram: Datagram, answers: &mut Answers) {
        self.count += 1;
        if self.count < self.every {
            answers.send(datagram);
        } else {
            self.count = 0;
        }
    }
}
