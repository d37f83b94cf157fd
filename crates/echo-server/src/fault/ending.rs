//! Connections that end too early, too late, or in the wrong way.

use std::time::Duration;

use super::{
    catalog::{
        Entry,
        Kind::{Stream, Tcp},
        Value::{Bytes, Plain, Time},
    },
    content::split,
    schedule::Schedule,
    spoiler::{Spoiler, Spoilers, each},
};

pub(super) const FAULTS: &[Entry] = &[
    Entry {
        name: "truncate-after",
        kind: Stream(Bytes("64KiB", |bytes| after(bytes, |_| ()))),
        does: "what comes after SIZE vanishes, the connection stays, as in a buffer of fixed size",
    },
    Entry {
        name: "cap",
        kind: Stream(Bytes("1MiB", |bytes| after(bytes, Schedule::fin))),
        does: "a connection returns SIZE, then FIN; what comes in is still taken, as with a quota",
    },
    Entry {
        name: "close-after",
        kind: Stream(Bytes("64KiB", |bytes| after(bytes, Schedule::close_in_order))),
        does: "FIN after SIZE, and soon the socket is closed, as by a worker that is recycled",
    },
    Entry {
        name: "reset-after",
        kind: Tcp(Bytes("64KiB", |bytes| after(bytes, Schedule::reset))),
        does: "RST after SIZE, as from a process that crashes, or a firewall",
    },
    Entry {
        name: "stall-after",
        kind: Stream(Bytes("64KiB", |bytes| after(bytes, Schedule::freeze))),
        does: "after SIZE nothing moves any more, neither way, as in a deadlock",
    },
    Entry {
        name: "close-after-first",
        kind: Stream(Plain(|| each(CloseAfterFirst { is_over: false }))),
        does: "FIN after the first chunk, as from a server that takes one recv for the whole message",
    },
    Entry {
        name: "lose-tail",
        kind: Stream(Plain(|| each(LoseTail { is_over: false }))),
        does: "on the peer's FIN the connection is closed and what is still to return is lost",
    },
    Entry {
        name: "never-close",
        kind: Stream(Plain(|| each(NeverClose))),
        does: "our FIN never comes, as from a proxy that does not pass a half-close on",
    },
    Entry {
        name: "reset-on-close",
        kind: Tcp(Plain(|| each(ResetOnClose))),
        does: "RST instead of FIN after everything was returned, as with SO_LINGER 0",
    },
    Entry {
        name: "idle-close",
        kind: Stream(Time("1s", |limit| idle(limit, Schedule::close_in_order))),
        does: "FIN when nothing moves so long, as a proxy with a short timeout does it",
    },
    Entry {
        name: "idle-reset",
        kind: Tcp(Time("1s", |limit| idle(limit, Schedule::reset))),
        does: "RST when nothing moves so long, as a load balancer does it",
    },
    Entry {
        name: "idle-drop",
        kind: Stream(Time("1s", |limit| idle(limit, Schedule::vanish))),
        does: "forgets who is idle so long: later bytes vanish and no end is told, as behind a NAT",
    },
];

/// Returns so many bytes; then something happens, and no more comes back.
#[derive(Clone)]
struct After {
    left: u64,
    is_over: bool,
    then: fn(&mut Schedule),
}

fn after(bytes: u64, then: fn(&mut Schedule)) -> Spoilers {
    each(After { left: bytes, is_over: false, then })
}

impl Spoiler for After {
    fn returned(&mut self, bytes: &[u8], out: &mut Schedule) {
        out.send(split(bytes, &mut self.left).0);
        if self.left == 0 && !self.is_over {
            self.is_over = true;
            (self.then)(out);
        }
    }
}

#[derive(Clone)]
struct CloseAfterFirst {
    is_over: bool,
}

impl Spoiler for CloseAfterFirst {
    fn returned(&mut self, bytes: &[u8], out: &mut Schedule) {
        if !self.is_over {
            self.is_over = true;
            out.send(bytes);
            out.close_in_order();
        }
    }
}

#[derive(Clone)]
struct LoseTail {
    is_over: bool,
}

impl LoseTail {
    /// What comes back stays here so long, so that there is a tail to be lost.
    const STAYS: Duration = Duration::from_millis(20);
}

impl Spoiler for LoseTail {
    fn returned(&mut self, bytes: &[u8], out: &mut Schedule) {
        if !self.is_over {
            out.hold(Self::STAYS);
            out.send(bytes);
        }
    }

    fn peer_done(&mut self, out: &mut Schedule) {
        self.is_over = true;
        out.lose();
        out.close();
    }
}

#[derive(Clone)]
struct NeverClose;

impl Spoiler for NeverClose {
    fn ended(&mut self, _out: &mut Schedule) {}
}

#[derive(Clone)]
struct ResetOnClose;

impl ResetOnClose {
    /// For the last bytes to arrive: a reset destroys what is in flight.
    const IN_FLIGHT: Duration = Duration::from_millis(50);
}

impl Spoiler for ResetOnClose {
    fn ended(&mut self, out: &mut Schedule) {
        out.hold(Self::IN_FLIGHT);
        out.reset();
    }
}

/// What happens when nothing moves.
#[derive(Clone)]
struct Idle {
    limit: Duration,
    then: fn(&mut Schedule),
}

fn idle(limit: Duration, then: fn(&mut Schedule)) -> Spoilers {
    each(Idle { limit, then })
}

impl Spoiler for Idle {
    fn idle_limit(&self) -> Option<Duration> {
        Some(self.limit)
    }

    fn idle(&mut self, out: &mut Schedule) {
        (self.then)(out);
    }
}
