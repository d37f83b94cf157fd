//! The echo connection: what an echo service owes one peer, decided from bytes and time alone.
//!
//! It counts bytes and is told the time; it holds no storage and reads no clock. An engine moves the
//! bytes, keeps those not sent yet, and asks what to do next:
//!
//! ```text
//!        received             released              sent
//! peer ──────────▶ held ─────────────────▶ unsent ────────▶ peer
//!                  (frames not whole yet)  (<= high water, else receiving pauses)
//!
//! until end():   intake()     Echo(n): receive up to n bytes, tell received() | Pause
//!                             Discard: receive and drop                       | Done: receive no more
//!                unsent()     send them, tell sent()
//!                owes_fin()   shut down the write side, tell fin_sent()
//!                wake_at()    then at the latest, tell tick()
//! ```
//!
//! What is sent back is always a prefix of what was received: `sent <= released <= received`. To end
//! from our side, new input is no longer echoed but discarded, what was released is flushed, FIN is
//! sent, and the peer's FIN awaited: a socket closed with unread input answers RST, and the peer would
//! lose bytes that are still in flight.

use alloc::boxed::Box;
use core::time::Duration;

use crate::{Decoded, Decoder, FrameError};

/// For how long the input has to be silent in a drain to count as dry: long enough for what a peer
/// sent before it heard of the end to arrive.
const DRAIN_QUIET: Duration = Duration::from_millis(100);

/// The bounds of a connection. Times are as the engine tells them: since a fixed moment of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EchoLimits {
    /// Unsent bytes at which receiving pauses; it resumes at half of that.
    pub high_water: usize,
    /// How long nothing may move in either direction.
    pub idle_timeout: Option<Duration>,
    /// How long the peer may take none of the bytes that are ready for it.
    pub stall_timeout: Option<Duration>,
    /// How long ending from our side may take.
    pub drain_timeout: Duration,
}

/// The state of one echo connection: small, for a service has one for everyone who is silent, too.
#[derive(Debug)]
pub struct EchoConnection<D> {
    decoder: D,
    high_water: usize,
    idle_timeout: Nanos,
    stall_timeout: Nanos,
    drain_timeout: Nanos,
    received: u64,
    released: u64, // <= received
    sent: u64,     // <= released
    /// Bytes received after the input was closed.
    discarded: u64,
    /// Why no more input is echoed.
    input_closed: Option<Closed>,
    /// When bytes last came in, and when some last went out or began to wait for that.
    last_input: Nanos,
    last_output: Nanos,
    /// When a drain has begun.
    drain: Nanos,
    /// When the wait for the peer's FIN is over.
    close_by: Nanos,
    peer_is_done: bool,
    paused: bool,
    fin_sent: bool,
    end: Option<End>,
}

/// A [`Reason`], smaller.
#[derive(Debug)]
enum Closed {
    PeerDone,
    Idle,
    Drain,
    Frame(Box<FrameError>),
}

/// A time in nanoseconds, in half of what a [`Duration`] takes. The last one, after 584 years, never
/// comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Nanos(u64);

/// What to do with input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intake {
    /// Receive up to so many bytes (at least 1) to be echoed.
    Echo(usize),
    /// Receive nothing now; the peer is slowed down by what it has not read.
    Pause,
    /// Receive and drop, until the peer is done.
    Discard,
    /// Nothing more will come.
    Done,
}

/// Why input is not echoed any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The peer has sent FIN.
    PeerDone,
    /// Nothing moved for the idle timeout.
    Idle,
    /// The service ends.
    Drain,
    /// What came is not of the framing, too long, or cut off.
    Frame(FrameError),
}

/// How a connection has ended. Close the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// Everything released was sent, and both sides have said that they are done.
    InOrder,
    /// The peer did not read, or did not say that it is done, in time.
    Cut,
    /// The connection failed.
    Failed,
}

impl<D: Decoder> EchoConnection<D> {
    /// A connection accepted at `now`, whose bytes are echoed in whole frames as `decoder` finds them.
    pub fn new(decoder: D, limits: EchoLimits, now: Duration) -> Self {
        let now = Nanos::of(now);
        Self {
            decoder,
            high_water: limits.high_water,
            idle_timeout: limits.idle_timeout.map_or(Nanos::NEVER, Nanos::of),
            stall_timeout: limits.stall_timeout.map_or(Nanos::NEVER, Nanos::of),
            drain_timeout: Nanos::of(limits.drain_timeout),
            received: 0,
            released: 0,
            sent: 0,
            discarded: 0,
            input_closed: None,
            last_input: now,
            last_output: now,
            drain: Nanos::NEVER,
            close_by: Nanos::NEVER,
            peer_is_done: false,
            paused: false,
            fin_sent: false,
            end: None,
        }
    }

    /// What to do with input now.
    #[inline]
    pub fn intake(&self) -> Intake {
        if self.peer_is_done || self.end.is_some() {
            Intake::Done
        } else if self.input_closed.is_some() {
            Intake::Discard
        } else if self.paused {
            Intake::Pause
        } else {
            let unsent = usize::try_from(self.unsent()).unwrap_or(usize::MAX);
            Intake::Echo(self.high_water.saturating_sub(unsent).max(1))
        }
    }

    /// `new` bytes came in; `held` is everything received and not released, they are its end.
    /// Returns how many bytes at the front of `held` are released: they are to be sent.
    ///
    /// While discarding, `held` is of no interest, and nothing is released.
    pub fn received(&mut self, held: &[u8], new: usize, now: Duration) -> usize {
        if self.input_closed.is_some() {
            self.discarded += new as u64;
            return 0;
        }
        self.received += new as u64;
        self.last_input = Nanos::of(now);
        let released = self.whole_frames(held, D::decode);
        self.release(released, self.last_input);
        released
    }

    /// The peer has sent FIN; `held` is everything received and not released. Returns how many bytes
    /// at its front are released after all; the rest is a frame that was cut off.
    pub fn peer_done(&mut self, held: &[u8], now: Duration) -> usize {
        let mut released = 0;
        if self.input_closed.is_none() {
            released = self.whole_frames(held, D::decode_eof);
            self.release(released, Nanos::of(now));
            self.input_closed.get_or_insert(Closed::PeerDone);
        }
        self.peer_is_done = true;
        self.end_in_order();
        released
    }

    /// Bytes released and not sent yet.
    #[inline]
    pub fn unsent(&self) -> u64 {
        self.released - self.sent
    }

    /// `n` of the unsent bytes were sent.
    #[inline]
    pub fn sent(&mut self, n: usize, now: Duration) {
        debug_assert!(n as u64 <= self.unsent());
        self.sent = self.released.min(self.sent + n as u64);
        if n > 0 {
            self.last_output = Nanos::of(now); // nothing taken is nothing read: it gives no more time
        }
        if self.paused && self.unsent() <= (self.high_water / 2) as u64 {
            self.paused = false;
        }
    }

    /// Input waits at `now` that was not taken in yet: the peer is not silent. For engines that can
    /// be behind their sockets, before [`tick`](Self::tick).
    pub fn input_waits(&mut self, now: Duration) {
        self.last_input = Nanos::of(now);
    }

    /// What is unsent waits for the peer only since `now`: it has just taken some of it, though it is
    /// not known how much, or was not offered it before.
    pub fn output_waits(&mut self, now: Duration) {
        self.last_output = Nanos::of(now);
    }

    /// True when everything is sent that will be: shut down the write side.
    #[inline]
    pub fn owes_fin(&self) -> bool {
        self.input_closed.is_some() && self.unsent() == 0 && !self.fin_sent && self.end.is_none()
    }

    /// The write side was shut down.
    pub fn fin_sent(&mut self, now: Duration) {
        self.fin_sent = true;
        self.close_by = Nanos::of(now).after(self.drain_timeout);
        self.end_in_order();
    }

    /// The service ends: what still arrives is echoed until the input runs dry, at most for half of
    /// the time to drain; then the connection is ended from our side.
    pub fn drain(&mut self, now: Duration) {
        if !self.drains() {
            self.drain = Nanos::of(now);
        }
    }

    /// The connection was reset, or failed in another way.
    pub fn failed(&mut self) {
        self.end.get_or_insert(End::Failed);
    }

    /// Does what is due at `now`. Before that, take in what has arrived and send what can be sent: a
    /// peer is not late when we are.
    pub fn tick(&mut self, now: Duration) {
        let is_due = |at: Nanos| at != Nanos::NEVER && at <= Nanos::of(now);
        if self.end.is_some() {
            return;
        }
        if !is_due(self.cut_at()) && is_due(self.input_ends_at()) {
            self.input_closed = Some(if self.drains() { Closed::Drain } else { Closed::Idle });
        }
        // What is left to flush may be late by now, too.
        if is_due(self.cut_at()) {
            self.end = Some(End::Cut);
        }
    }

    /// When to call [`tick`](Self::tick) at the latest.
    pub fn wake_at(&self) -> Option<Duration> {
        let at = self.cut_at().min(self.input_ends_at());
        (self.end.is_none() && at != Nanos::NEVER).then(|| Duration::from_nanos(at.0))
    }

    /// True while bytes that move only put [`wake_at`](Self::wake_at) off: who has a timer for it
    /// needs no new one until that has rung.
    #[inline]
    pub fn is_steady(&self) -> bool {
        self.unsent() == 0 && self.input_closed.is_none() && !self.drains()
    }

    /// How it has ended, once it has.
    #[inline]
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Why input is not echoed any more.
    pub fn reason(&self) -> Option<Reason> {
        self.input_closed.as_ref().map(|closed| match closed {
            Closed::PeerDone => Reason::PeerDone,
            Closed::Idle => Reason::Idle,
            Closed::Drain => Reason::Drain,
            Closed::Frame(error) => Reason::Frame(**error),
        })
    }

    /// Bytes received to be echoed.
    pub fn bytes_received(&self) -> u64 {
        self.received
    }

    /// Bytes sent back: a prefix of those received.
    pub fn bytes_sent(&self) -> u64 {
        self.sent
    }

    /// Bytes received after the input was closed from our side.
    pub fn bytes_discarded(&self) -> u64 {
        self.discarded
    }

    /// How many bytes at the front of `held` are whole frames. An error closes the input behind them.
    fn whole_frames(
        &mut self,
        held: &[u8],
        decode: impl Fn(&mut D, &[u8]) -> Result<Decoded, FrameError>,
    ) -> usize {
        let mut whole = 0;
        loop {
            let rest = held.get(whole..).unwrap_or_default();
            match decode(&mut self.decoder, rest) {
                Ok(Decoded::Frame(span)) if 0 < span.consumed && span.consumed <= rest.len() => {
                    whole += span.consumed;
                }
                Ok(_) => return whole,
                Err(error) => {
                    self.input_closed.get_or_insert_with(|| Closed::Frame(Box::new(error)));
                    return whole;
                }
            }
        }
    }

    fn release(&mut self, n: usize, now: Nanos) {
        if self.unsent() == 0 {
            self.last_output = now; // from here on the peer can stall
        }
        self.released = self.received.min(self.released + n as u64);
        self.paused |= self.unsent() >= self.high_water as u64;
    }

    fn end_in_order(&mut self) {
        if self.peer_is_done && self.fin_sent {
            self.end.get_or_insert(End::InOrder);
        }
    }

    fn drains(&self) -> bool {
        self.drain != Nanos::NEVER
    }

    /// When the input is closed from our side, if nothing moves until then.
    fn input_ends_at(&self) -> Nanos {
        if self.input_closed.is_some() {
            return Nanos::NEVER;
        }
        let moved = self.last_input.max(self.last_output);
        if !self.drains() {
            return moved.after(self.idle_timeout);
        }
        let half = self.drain.after(Nanos(self.drain_timeout.0 / 2));
        // While something is unsent, nobody has looked whether there is more.
        if self.unsent() > 0 {
            return half;
        }
        half.min(moved.max(self.drain).after(Nanos::of(DRAIN_QUIET)))
    }

    /// When the connection is cut, if nothing moves until then.
    fn cut_at(&self) -> Nanos {
        let mut at = self.drain.after(self.drain_timeout).min(self.close_by);
        if self.unsent() > 0 {
            at = at.min(self.last_output.after(self.stall_timeout));
            if self.input_closed.is_some() {
                at = at.min(self.last_output.after(self.idle_timeout)); // it only flushes
            }
        }
        at
    }
}

impl Nanos {
    const NEVER: Self = Self(u64::MAX);

    #[inline]
    const fn of(time: Duration) -> Self {
        let whole = time.as_secs().saturating_mul(1_000_000_000);
        Self(whole.saturating_add(time.subsec_nanos() as u64))
    }

    const fn after(self, wait: Self) -> Self {
        Self(self.0.saturating_add(wait.0))
    }
}

#[cfg(test)]
mod tests;
