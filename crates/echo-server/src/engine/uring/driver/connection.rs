//! One connection of a driver: what it waits for, and the bytes that are not in provided buffers.

use std::{mem, time::Duration};

use echo_core::Intake;

use super::{Group, NONE, Request, Ring, SMALL, Stock};
use crate::{session::Session, slots::Key};

/// So many receives that fill small buffers and leave more make a connection get large ones, if
/// nothing came in between that is small; so many in a row that would have fitted in a small one make
/// it get those again.
pub(super) const STREAK: u8 = 8;

pub(super) struct Connection<S> {
    pub(super) socket: S,
    pub(super) session: Session,
    /// Released and not sent, oldest first, before what is in `own`: places in the stock.
    pub(super) first: u16,
    pub(super) last: u16,
    /// Empty for most of the time, for most connections.
    pub(super) own: Option<Box<Own>>,
    pub(super) receive: Receive,
    pub(super) send: Send,
    /// The buffers that it receives into, and those that suit it.
    pub(super) group: Group,
    pub(super) suits: Group,
    /// Receives that speak for the other group.
    pub(super) streak: u8,
    /// The last one left some, which the next one takes.
    pub(super) left_some: bool,
    /// The error number that ended it.
    pub(super) failure: Option<i32>,
}

/// Bytes that are not in provided buffers.
#[derive(Default)]
pub(super) struct Own {
    /// Released and not sent, behind what a [`Request::Send`] has taken along.
    pub(super) unsent: Vec<u8>,
    /// How much of what that has taken along was sent before.
    pub(super) start: usize,
    /// Bytes sent that the peer had not taken when that began to wait, or at the last look.
    pub(super) untaken: usize,
    /// Received and not released: the beginning of a frame.
    pub(super) held: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receive {
    /// The ring owes nothing.
    No,
    /// No buffer was left; it is made again when one has come back.
    Starved,
    Armed,
    /// It was cancelled; completions come until one says that it is the last.
    Ending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Send {
    /// The ring owes nothing.
    No,
    /// The first chunk, without waiting.
    Now,
    /// Own memory, waiting for the peer.
    Waits,
    /// As before, but cancelled.
    Ending,
}

impl<S> Connection<S> {
    pub(super) fn arm(&mut self, key: Key, ring: &mut impl Ring<Socket = S>) {
        self.group = self.suits;
        self.receive = Receive::Armed;
        ring.push(key, Request::Receive { socket: &self.socket, group: self.group });
    }

    /// Looks for what the ring has not told yet: a peer is not late when we are.
    ///
    /// The ring brings a part of what there is at a time, for want of buffers or by itself, and
    /// tries a waiting send again only when a good part of what the system keeps has been taken.
    pub(super) fn look(&mut self, now: Duration, ring: &impl Ring<Socket = S>) {
        let receives = matches!(self.session.echo.intake(), Intake::Echo(_));
        if receives && ring.has_input(&self.socket) {
            self.session.echo.input_waits(now);
        }
        if let (Send::Waits, Some(own)) = (self.send, &mut self.own) {
            let before = mem::replace(&mut own.untaken, ring.untaken(&self.socket));
            if own.untaken < before {
                self.session.echo.output_waits(now);
            }
        }
    }

    pub(super) fn fail(&mut self, result: i32) {
        self.failure = Some(-result);
        self.session.echo.failed();
    }

    /// Takes in what was received; returns how many bytes at its front are to be sent from where
    /// they are.
    pub(super) fn take_in(&mut self, bytes: &[u8], now: Duration) -> usize {
        let new = bytes.len();
        if let Some(own) = self.own.as_mut().filter(|own| !own.held.is_empty()) {
            own.hold(bytes, &self.session);
            let released = self.session.received(&own.held, new, now);
            own.release(released);
            if self.session.echo.reason().is_some() {
                own.held = Vec::new();
            }
            return 0;
        }
        let released = self.session.received(bytes, new, now);
        if released < new && self.session.echo.reason().is_none() {
            self.own.get_or_insert_default().hold(&bytes[released..], &self.session);
        }
        let in_order = matches!(self.send, Send::No | Send::Now);
        match &mut self.own {
            Some(own) if !in_order || !own.unsent.is_empty() => {
                own.unsent.extend_from_slice(&bytes[..released]);
                0
            }
            _ => released,
        }
    }

    pub(super) fn peer_done(&mut self, now: Duration) {
        match &mut self.own {
            Some(own) => {
                let released = self.session.received(&own.held, 0, now);
                own.release(released);
                own.held = Vec::new();
            }
            None => {
                self.session.received(&[], 0, now);
            }
        }
    }

    /// Which buffers suit it, after one of `group` has got `len` bytes.
    pub(super) fn judge(&mut self, group: Group, len: u32, filled: bool, left_some: bool) {
        let is_rest = mem::replace(&mut self.left_some, left_some);
        let (speaks_for_other, other) = match group {
            Group::Small => (filled && left_some, Group::Large),
            Group::Large => (len <= SMALL.size && !left_some, Group::Small),
        };
        if speaks_for_other {
            self.streak = self.streak.saturating_add(1);
        } else if group == Group::Large || !is_rest {
            self.streak = 0;
        }
        if self.streak >= STREAK {
            (self.suits, self.streak) = (other, 0);
        }
    }

    /// When to look after it, but not again in this turn.
    pub(super) fn wake_after(&self, now: Duration) -> Option<Duration> {
        let later = now.saturating_add(Duration::from_nanos(1));
        self.session.echo.wake_at().map(|at| at.max(later))
    }

    /// True when all that is left is to wait for input.
    pub(super) fn rests(&self) -> bool {
        self.first == NONE
            && self.own.is_none()
            && self.receive == Receive::Armed
            && self.session.echo.end().is_none()
            && self.session.echo.is_steady()
    }

    /// True when that will be so once the first chunk is sent.
    pub(super) fn has_only_to_send(&self, stock: &Stock) -> bool {
        stock.at(self.first).is_some_and(|chunk| chunk.next == NONE)
            && self.own.is_none()
            && self.receive == Receive::Armed
            && self.session.echo.reason().is_none()
    }
}

impl Own {
    /// Keeps the beginning of a frame. Memory follows what was received, and the bound of the codec.
    pub(super) fn hold(&mut self, bytes: &[u8], session: &Session) {
        let (len, capacity) = (self.held.len(), self.held.capacity());
        let needed = len.saturating_add(bytes.len());
        if needed > capacity {
            let bound = session.max_held().unwrap_or(usize::MAX);
            let target = capacity.saturating_mul(2).min(bound).max(needed);
            self.held.reserve_exact(target - len);
        }
        self.held.extend_from_slice(bytes);
    }

    /// The first `n` bytes held are to be sent.
    pub(super) fn release(&mut self, n: usize) {
        if self.unsent.is_empty() && n > 0 {
            let rest = self.held.split_off(n);
            self.unsent = mem::replace(&mut self.held, rest);
        } else {
            self.unsent.extend(self.held.drain(..n));
        }
    }
}
