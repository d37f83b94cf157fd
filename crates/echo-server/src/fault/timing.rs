//! Right, but late.

use std::time::{Duration, Instant};

use socket2::Socket;

use super::{
    catalog::{
        Entry,
        Kind::{Stream, Tcp},
        Value::{Bytes, Plain, Time},
    },
    schedule::Schedule,
    spoiler::{Gate, Spoiler, each},
};

pub(super) const FAULTS: &[Entry] = &[
    Entry {
        name: "delay",
        kind: Stream(Time("50ms", |by| each(Delay { by, random: false }))),
        does: "every chunk comes back so much later, as over a long way",
    },
    Entry {
        name: "jitter",
        kind: Stream(Time("50ms", |by| each(Delay { by, random: true }))),
        does: "every chunk comes back later by a random time up to this, in order, as over a radio",
    },
    Entry {
        name: "drip",
        kind: Stream(Time("10ms", |pause| each(Drip { pause }))),
        does: "one byte at a time, with a pause after each, as from a serial line",
    },
    Entry {
        name: "throttle",
        kind: Stream(Bytes("64KiB", |rate| each(Throttle { rate }))),
        does: "so many bytes a second, as a traffic shaper lets through",
    },
    Entry {
        name: "nagle",
        kind: Tcp(Plain(|| each(Nagle))),
        does: "two small writes per answer without TCP_NODELAY: the second waits for a delayed ACK",
    },
    Entry {
        name: "slow-accept",
        kind: Stream(Time("500ms", |after| each(SlowAccept { after, since: None }))),
        does: "a connection is looked at only so late, as by a server that does too much at once",
    },
    Entry {
        name: "eof-delay",
        kind: Stream(Time("1s", |by| each(EofDelay { by }))),
        does: "our FIN comes so late, as from a proxy that waits for a timer",
    },
];

#[derive(Clone)]
struct Delay {
    by: Duration,
    random: bool,
}

impl Spoiler for Delay {
    fn returned(&mut self, bytes: &[u8], out: &mut Schedule) {
        out.hold(if self.random { self.by.mul_f64(fastrand::f64()) } else { self.by });
        out.send(bytes);
    }
}

#[derive(Clone)]
struct Drip {
    pause: Duration,
}

impl Spoiler for Drip {
    fn returned(&mut self, bytes: &[u8], out: &mut Schedule) {
        for byte in bytes {
            out.send(&[*byte]);
            out.pause(self.pause);
        }
    }
}

#[derive(Clone)]
struct Throttle {
    /// Bytes a second.
    rate: u64,
}

impl Throttle {
    /// Twenty pieces a second.
    const PIECES: u64 = 20;
}

impl Spoiler for Throttle {
    fn returned(&mut self, bytes: &[u8], out: &mut Schedule) {
        let piece = usize::try_from(self.rate / Self::PIECES).unwrap_or(usize::MAX).max(1);
        for piece in bytes.chunks(piece) {
            out.send(piece);
            let len = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            out.pause(Duration::from_nanos(len.saturating_mul(1_000_000_000) / self.rate.max(1)));
        }
    }
}

#[derive(Clone)]
struct Nagle;

impl Spoiler for Nagle {
    fn prepare(&mut self, peer: &Socket) {
        // On a Unix socket, beside a TCP one, there is no such thing.
        let _ = peer.set_tcp_nodelay(false);
    }

    fn returned(&mut self, bytes: &[u8], out: &mut Schedule) {
        let (head, body) = bytes.split_at(bytes.len() / 2);
        out.send(head);
        out.send(body);
    }
}

#[derive(Clone)]
struct SlowAccept {
    after: Duration,
    since: Option<Instant>,
}

impl Spoiler for SlowAccept {
    fn gate(&mut self, now: Instant) -> Gate {
        let since = *self.since.get_or_insert(now);
        if now.duration_since(since) < self.after { Gate::Shut } else { Gate::Open }
    }
}

#[derive(Clone)]
struct EofDelay {
    by: Duration,
}

impl Spoiler for EofDelay {
    fn ended(&mut self, out: &mut Schedule) {
        out.hold(self.by);
        out.fin();
    }
}
