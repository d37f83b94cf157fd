//! What to ask of the ring, and what to make of its answers: everything but the ring itself.
//!
//! ```text
//!             completions, time                      requests
//! ring ───────────────────────────▶ Driver ───────────────────────────▶ ring
//!                                     │
//!  received ──▶ chunks: provided ─────┼─▶ SendNow ── done ──▶ the buffer goes back
//!               buffers, in order     │      └── not all went ─┐
//!                                     │                        ▼
//!               frames not whole ─▶ own memory ◀── what is left, copied; buffers go back
//!                                     └─▶ Send, waits for the peer
//! ```
//!
//! No provided buffer ever waits for a peer: what a connection cannot send at once is copied to
//! memory of its own. So a buffer is with us from the completion that brings it to the submission
//! that sends it, and peers that do not read cannot take them from the others.
//!
//! A connection's place is used again when the ring owes it nothing: after the completion that ends
//! its receive, that of its send, and the submission of what it sends at once.

mod connection;
mod request;
mod stock;

use std::{collections::VecDeque, io, mem, time::Duration};

use echo_core::Intake;
use rustix::io::Errno;

pub(crate) use self::request::{
    Buffers, Completion, Group, LARGE, Lease, Received, Request, Ring, SMALL,
};

use self::{
    connection::{Connection, Receive, Send},
    stock::{Chunk, Stock},
};
use crate::{
    session::Session,
    slots::{Key, Slots},
    timers::Timers,
};

/// So many places of what grows in a rush are kept when it is over.
pub(crate) const KEPT: usize = 256;

/// No place in the stock.
const NONE: u16 = u16::MAX;

/// The connections of one worker.
pub(crate) struct Driver<R: Ring> {
    connections: Slots<Connection<R::Socket>>,
    timers: Timers,
    stock: Stock,
    /// Who sends at once, each once.
    sending_now: Vec<Key>,
    /// Who did in the turn before; empty between turns, kept for its memory.
    sent_now: Vec<Key>,
    /// Who found no buffer to receive into, by group, in the order in which they did.
    starved: [VecDeque<Key>; 2],
    /// Whether some connection has more to do once what it sends at once is out.
    pressing: bool,
    /// Whether everyone is to hear soon of what was sent at once.
    eager: bool,
    /// The service ends.
    draining: bool,
    /// When the last turn was taken: what was sent at once since was sent then.
    turned: Duration,
}

impl<R: Ring> Driver<R> {
    pub(crate) fn new() -> Self {
        Self {
            connections: Slots::new(),
            timers: Timers::default(),
            stock: Stock::new(),
            sending_now: Vec::new(),
            sent_now: Vec::new(),
            starved: [VecDeque::new(), VecDeque::new()],
            pressing: false,
            eager: tracing::enabled!(tracing::Level::DEBUG),
            draining: false,
            turned: Duration::ZERO,
        }
    }

    /// True when no connection is left, and nothing is owed.
    pub(crate) fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// How many there are.
    pub(crate) fn open(&self) -> usize {
        self.connections.keys().count()
    }

    /// Provided buffers that are kept from the ring while few connections fill them.
    #[cfg(test)]
    pub(crate) fn reserved(&self) -> usize {
        self.stock.reserved()
    }

    #[cfg(test)]
    pub(crate) fn sessions(&self) -> impl Iterator<Item = &Session> {
        let at =
            |key: Key| self.connections.at(key.index).map(|(_, connection)| &connection.session);
        self.connections.keys().filter_map(at)
    }

    /// When to take a turn at the latest, even without a completion.
    pub(crate) fn wake_at(&self) -> Option<Duration> {
        self.timers.next()
    }

    /// Whether to submit and take the next turn without waiting for completions.
    pub(crate) fn is_pressing(&self) -> bool {
        self.pressing
    }

    /// Gives memory back that a rush has taken.
    pub(crate) fn shrink(&mut self) {
        self.starved.iter_mut().for_each(|starved| starved.shrink_to(KEPT));
    }

    /// Serves a connection.
    pub(crate) fn admit(
        &mut self,
        socket: R::Socket,
        mut session: Session,
        now: Duration,
        ring: &mut R,
    ) {
        if self.draining {
            session.echo.drain(now);
        }
        let connection = Connection {
            socket,
            session,
            first: NONE,
            last: NONE,
            own: None,
            receive: Receive::No,
            send: Send::No,
            group: Group::Small,
            suits: Group::Small,
            streak: 0,
            left_some: false,
            failure: None,
        };
        match self.connections.insert(connection) {
            Ok(key) => self.look_after(key, now, ring),
            Err(Connection { socket, session, .. }) => {
                drop(socket);
                session.settle(Some(&io::ErrorKind::OutOfMemory.into()), now);
            }
        }
    }

    /// The service ends: every connection is told.
    pub(crate) fn drain(&mut self, now: Duration, ring: &mut R) {
        self.draining = true;
        let keys: Vec<Key> = self.connections.keys().collect();
        for key in keys {
            if let Some(connection) = self.connections.get_mut(key) {
                connection.session.echo.drain(now);
                // Not judged before the next turn: what is out already may not be known yet.
                self.timers.arm_by(key.index, connection.wake_after(now));
                self.advance(key, now, ring);
            }
        }
    }

    /// The time to drain is over: who is left is cut.
    pub(crate) fn cut(&mut self, now: Duration, ring: &mut R) {
        let keys: Vec<Key> = self.connections.keys().collect();
        for key in keys {
            if let Some(connection) = self.connections.get_mut(key) {
                connection.session.echo.tick(Duration::MAX);
                self.advance(key, now, ring);
            }
        }
    }

    /// Takes in what the ring has completed until `now`, and does what is due. With `submitted`,
    /// no request is left that was pushed before and not submitted.
    pub(crate) fn turn(
        &mut self,
        batch: &mut Vec<(Key, Completion)>,
        submitted: bool,
        now: Duration,
        ring: &mut R,
    ) {
        self.pressing = !submitted;
        let pushed = mem::replace(&mut self.turned, now);
        if !self.sending_now.is_empty() {
            self.settle(batch, submitted, pushed, now, ring);
        }
        for (key, completion) in batch.drain(..) {
            match completion {
                Completion::Received(received) => self.received(key, received, now, ring),
                Completion::Sent { result, bytes } => self.sent(key, result, bytes, now, ring),
                Completion::NotSent { .. } => {} // settled
            }
        }
        if submitted {
            self.ring_timers(now, ring);
        } // else it is not known yet what is out: what is due is due in the next turn
        self.feed(ring);
        // Those that are fed may have nothing to receive: nobody waits for them to use a buffer.
        self.pressing |= self.starved.iter().any(|starved| !starved.is_empty());
        // What is lent comes back with the submission: better before the others find nothing left.
        self.pressing |= self.stock.is_low();
    }

    fn ring_timers(&mut self, now: Duration, ring: &mut R) {
        while let Some(index) = self.timers.ring(now) {
            if let Some((key, _)) = self.connections.at(index) {
                self.look_after(key, now, ring);
            }
        }
    }

    /// Takes note of what was sent at once, and what was not.
    fn settle(
        &mut self,
        batch: &[(Key, Completion)],
        submitted: bool,
        pushed: Duration,
        now: Duration,
        ring: &mut R,
    ) {
        mem::swap(&mut self.sending_now, &mut self.sent_now);
        for (key, completion) in batch {
            if let Completion::NotSent { result } = completion {
                self.not_sent(*key, *result, now, ring);
            }
        }
        let mut sent_now = mem::take(&mut self.sent_now);
        for key in sent_now.drain(..) {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            if connection.send != Send::Now {
                continue; // it was not
            }
            if !submitted {
                self.sending_now.push(key);
                continue;
            }
            connection.send = Send::No;
            let mut sent = 0;
            if let Some(Chunk { lease, start, end, .. }) = self.stock.take(connection) {
                sent = (end - start) as usize;
                self.stock.give_back(lease, ring);
            }
            // What follows has not been offered to the peer yet: its time to take it begins now.
            let at = if connection.session.unsent() > sent { now } else { pushed };
            connection.session.sent(sent, at);
            if !connection.rests() {
                self.advance(key, now, ring);
            }
        }
        self.sent_now = sent_now;
    }

    /// What was to be sent at once was sent in part, or not at all: the rest has to wait for the
    /// peer, in memory of its own.
    fn not_sent(&mut self, key: Key, result: i32, now: Duration, ring: &mut R) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.send != Send::Now {
            return;
        }
        connection.send = Send::No;
        let sent = u32::try_from(result).unwrap_or(0);
        if let Some(chunk) = self.stock.at_mut(connection.first) {
            let sent = sent.min(chunk.end - chunk.start);
            chunk.start += sent;
            if sent > 0 {
                connection.session.sent(sent as usize, now);
            }
        }
        if result < 0 && !is_passing(result) {
            connection.fail(result);
        } else {
            let mut unsent = Vec::with_capacity(connection.session.unsent());
            while let Some(Chunk { lease, start, end, .. }) = self.stock.take(connection) {
                unsent.extend_from_slice(&ring.bytes(&lease)[start as usize..end as usize]);
                self.stock.give_back(lease, ring);
            }
            connection.session.echo.output_waits(now); // until now it was our turn
            let own = connection.own.get_or_insert_default();
            unsent.append(&mut own.unsent);
            own.unsent = unsent;
        }
        self.advance(key, now, ring);
    }

    fn received(&mut self, key: Key, received: Received, now: Duration, ring: &mut R) {
        let Received { result, lease, goes_on, filled, left_some } = received;
        let Some(connection) = self.connections.get_mut(key) else {
            // It has ended since; the buffer has not.
            return lease.into_iter().for_each(|lease| self.stock.give_back(lease, ring));
        };
        if !goes_on {
            connection.receive = Receive::No;
        } else if connection.receive == Receive::Ending {
            // The cancel may have come while the receive was on its way from one wait to the next,
            // and found none. One too many does no harm.
            ring.push(key, Request::CancelReceive);
        }
        if connection.session.echo.end().is_some() || result <= 0 {
            lease.into_iter().for_each(|lease| self.stock.give_back(lease, ring));
            if connection.session.echo.end().is_some() {
                // Nothing is of interest any more but that it was the last.
            } else if result == 0 {
                connection.peer_done(now);
            } else if result == -NO_BUFFER {
                connection.receive = Receive::Starved;
                self.starved[connection.group as usize].push_back(key);
            } else if result != -CANCELLED && !is_passing(result) {
                connection.fail(result);
            }
        } else if let Some(lease) = lease {
            let len = result.unsigned_abs();
            let suited = connection.suits;
            connection.judge(lease.group(), len, filled, left_some);
            self.stock.suits(suited, connection.suits, ring);
            let bytes = &ring.bytes(&lease)[..len as usize];
            let released = connection.take_in(bytes, now);
            if released == 0 {
                self.stock.give_back(lease, ring);
            } else {
                self.stock.append(connection, lease, u32::try_from(released).unwrap_or(len));
            }
        }
        self.advance(key, now, ring);
    }

    fn sent(&mut self, key: Key, result: i32, bytes: Vec<u8>, now: Duration, ring: &mut R) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let is_wanted = connection.send == Send::Waits;
        connection.send = Send::No;
        if is_wanted {
            let own = connection.own.get_or_insert_default();
            let left = bytes.len().saturating_sub(own.start);
            let sent = usize::try_from(result).unwrap_or(0).min(left);
            if sent > 0 {
                own.start += sent;
                own.untaken = ring.untaken(&connection.socket);
                connection.session.sent(sent, now);
            }
            if result == 0 || result < 0 && !is_passing(result) {
                connection.fail(result);
            } else if sent < left {
                let start = own.start;
                connection.send = Send::Waits;
                ring.push(key, Request::Send { socket: &connection.socket, bytes, start });
            }
        }
        self.advance(key, now, ring);
    }

    /// Ticks the connection, does what follows, and sets its timer.
    fn look_after(&mut self, key: Key, now: Duration, ring: &mut R) {
        if let Some(connection) = self.connections.get_mut(key) {
            if connection.session.echo.wake_at().is_some_and(|at| at <= now) {
                connection.look(now, ring);
                connection.session.echo.tick(now);
            }
            self.timers.arm(key.index, connection.wake_after(now));
            self.advance(key, now, ring);
        }
    }

    /// Asks for what the connection can do now.
    fn advance(&mut self, key: Key, now: Duration, ring: &mut R) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Connection { socket, session, .. } = connection;
        if session.echo.end().is_none() && connection.send == Send::No {
            if let Some(Chunk { lease, start, end, .. }) = self.stock.at(connection.first) {
                let (start, end) = (*start, *end);
                ring.push(key, Request::SendNow { socket, lease, start, end });
                connection.send = Send::Now;
                self.sending_now.push(key);
            } else if let Some(own) = &mut connection.own {
                if !own.unsent.is_empty() {
                    let bytes = mem::take(&mut own.unsent);
                    (own.start, own.untaken) = (0, ring.untaken(socket));
                    ring.push(key, Request::Send { socket, bytes, start: 0 });
                    connection.send = Send::Waits;
                } else if own.held.is_empty() {
                    connection.own = None;
                }
            }
            if connection.send == Send::No && session.echo.owes_fin() {
                match ring.send_fin(socket) {
                    Ok(()) => session.echo.fin_sent(now),
                    Err(error) => connection.fail(-error.raw_os_error().unwrap_or(0)),
                }
            }
        }
        if connection.session.echo.end().is_some() {
            return self.end(key, now, ring);
        }
        match (connection.receive, connection.session.echo.intake()) {
            (Receive::No, Intake::Echo(_) | Intake::Discard) => connection.arm(key, ring),
            // While bytes are sent at once there is no telling whether the peer is slow.
            (Receive::Armed, Intake::Pause) if connection.send == Send::Waits => {
                ring.push(key, Request::CancelReceive);
                connection.receive = Receive::Ending;
            }
            (Receive::Armed, Intake::Echo(_)) if connection.group != connection.suits => {
                ring.push(key, Request::CancelReceive);
                connection.receive = Receive::Ending;
            }
            _ => {}
        }
        if connection.send == Send::Now {
            self.pressing |=
                self.eager || self.draining || !connection.has_only_to_send(&self.stock);
        } else if !connection.session.echo.is_steady() {
            self.timers.arm_by(key.index, connection.wake_after(now));
        }
    }

    /// Lets go of a connection that has ended, as far as the ring has.
    fn end(&mut self, key: Key, now: Duration, ring: &mut R) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        match connection.receive {
            Receive::Armed => {
                ring.push(key, Request::CancelReceive);
                connection.receive = Receive::Ending;
            }
            Receive::Starved => connection.receive = Receive::No,
            Receive::No | Receive::Ending => {}
        }
        match connection.send {
            Send::Now => self.pressing = true,
            Send::Waits => {
                ring.push(key, Request::CancelSend);
                connection.send = Send::Ending;
            }
            Send::No => {
                while let Some(chunk) = self.stock.take(connection) {
                    self.stock.give_back(chunk.lease, ring);
                }
            }
            Send::Ending => {}
        }
        if connection.receive == Receive::No && connection.send == Send::No {
            self.timers.arm(key.index, None);
            if let Some(ended) = self.connections.remove(key) {
                let Connection { socket, session, suits, failure, .. } = ended;
                self.stock.suits(suits, Group::Small, ring);
                drop(socket); // before the slot: who waits for that may need the descriptor
                session.settle(failure.map(io::Error::from_raw_os_error).as_ref(), now);
            }
        }
    }

    /// Has those who found no buffer receive again, as many as there are buffers.
    fn feed(&mut self, ring: &mut R) {
        for group in [Group::Small, Group::Large] {
            for _ in 0..self.stock.left(group) {
                let Some(key) = self.starved[group as usize].pop_front() else { break };
                match self.connections.get_mut(key) {
                    Some(connection) if connection.receive == Receive::Starved => {
                        match connection.session.echo.intake() {
                            Intake::Echo(_) | Intake::Discard => connection.arm(key, ring),
                            // It has paused since; what resumes it makes the receive again.
                            Intake::Pause | Intake::Done => connection.receive = Receive::No,
                        }
                    }
                    _ => {} // it has ended since
                }
            }
        }
    }
}

const NO_BUFFER: i32 = Errno::NOBUFS.raw_os_error();
const CANCELLED: i32 = Errno::CANCELED.raw_os_error();

/// Nothing has failed: it would have had to wait, or was interrupted.
fn is_passing(result: i32) -> bool {
    [Errno::AGAIN, Errno::INTR].iter().any(|errno| result == -errno.raw_os_error())
}

#[cfg(test)]
mod tests;
