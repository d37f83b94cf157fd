//! Who has a turn, and what follows from how it ends: everything but the poll and the listeners.
//!
//! ```text
//!           ready                   not finished within its budget
//! events ──────────▶ turn ──▶ ┬──────────────────────────────────────▶ unfinished ──▶ turn
//!                      ▲      ├─ cannot write ──▶ is watched for that, too
//!           timers ────┘      └─ has ended ──▶ closed, settled
//! ```
//!
//! A simulation drives it as a worker does, on sockets of its own.

use std::{collections::VecDeque, io, mem, time::Duration};

use super::connection::{Connection, Ready, Stream, Turn};
use crate::{
    session::Session,
    slots::{Key, Slots},
    timers::Timers,
};

/// The connections of one worker.
#[derive(Debug)]
pub(crate) struct Driver<S> {
    connections: Slots<Watched<S>>,
    timers: Timers,
    /// Connections that were not finished in their last turn, each once.
    unfinished: VecDeque<Key>,
    /// What all of them are received into.
    hot: Box<[u8]>,
    /// When a shutdown was heard of.
    drain: Option<Duration>,
}

/// A connection and its socket.
#[derive(Debug)]
struct Watched<S> {
    stream: S,
    connection: Connection,
    /// It is among the unfinished.
    queued: bool,
    /// It is watched for being writable, too: from when it first could not be written to.
    watches_writable: bool,
}

/// Who tells what sockets are ready for: once, when that begins, and what they are ready for when it
/// is asked to watch them.
pub(crate) trait Watch<S> {
    /// Tells of input.
    fn input(&mut self, key: Key, stream: &S) -> io::Result<()>;

    /// Tells of input, as before, and of room to write.
    fn input_and_room(&mut self, key: Key, stream: &S) -> io::Result<()>;
}

impl<S: Stream> Driver<S> {
    /// Receives at most `hot` bytes at once.
    pub(crate) fn new(hot: usize) -> Self {
        Self {
            connections: Slots::new(),
            timers: Timers::default(),
            unfinished: VecDeque::new(),
            hot: vec![0; hot].into_boxed_slice(),
            drain: None,
        }
    }

    /// True when no connection is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// True when it was told that the service ends.
    pub(crate) fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// Whether somebody is to have another turn without an event.
    pub(crate) fn is_pressing(&self) -> bool {
        !self.unfinished.is_empty()
    }

    /// When to [`finish`](Self::finish) at the latest, even without an event.
    pub(crate) fn wake_at(&self) -> Option<Duration> {
        self.timers.next()
    }

    /// The open connections.
    #[cfg(test)]
    pub(crate) fn connections(&self) -> impl Iterator<Item = (Key, &S, &Connection)> {
        let at = |key: Key| self.connections.at(key.index);
        let open = self.connections.keys().filter_map(at);
        open.map(|(key, watched)| (key, &watched.stream, &watched.connection))
    }

    /// Serves a connection.
    ///
    /// # Errors
    /// When the system has not what it takes; the connection is closed then.
    pub(crate) fn admit(
        &mut self,
        stream: S,
        session: Session,
        now: Duration,
        watch: &mut impl Watch<S>,
    ) -> io::Result<()> {
        let mut connection = Connection::new(session);
        if let Some(begun) = self.drain {
            connection.drain(begun);
        }
        let watched = Watched { stream, connection, queued: false, watches_writable: false };
        let key = self.connections.insert(watched).map_err(|_| io::ErrorKind::OutOfMemory)?;
        self.arm(key, now);
        let Some(watched) = self.connections.get_mut(key) else { return Ok(()) };
        let watching = watch.input(key, &watched.stream);
        watching.inspect_err(|error| self.end(key, Some(error), now))
    }

    /// The service ends: every connection is told.
    pub(crate) fn drain(&mut self, now: Duration) {
        self.drain.get_or_insert(now);
        let keys: Vec<Key> = self.connections.keys().collect();
        for key in keys {
            if let Some(watched) = self.connections.get_mut(key) {
                watched.connection.drain(now);
                // What is due already stays so.
                self.timers.arm_by(key.index, watched.connection.wake_at());
            }
        }
    }

    /// Takes in what an event says of a connection, if that is still there.
    #[inline]
    pub(crate) fn ready(
        &mut self,
        key: Key,
        ready: Ready,
        now: Duration,
        watch: &mut impl Watch<S>,
    ) {
        let Some(watched) = self.connections.get_mut(key) else { return };
        watched.connection.ready(ready);
        if !watched.queued {
            self.turn(key, Connection::turn, now, watch);
        }
    }

    /// Gives those who were not finished another turn, and does what is due.
    pub(crate) fn finish(&mut self, now: Duration, watch: &mut impl Watch<S>) {
        for _ in 0..self.unfinished.len() {
            let Some(key) = self.unfinished.pop_front() else { break };
            if let Some(watched) = self.connections.get_mut(key) {
                watched.queued = false;
                self.turn(key, Connection::turn, now, watch);
            }
        }
        while let Some(index) = self.timers.ring(now) {
            if let Some((key, _)) = self.connections.at(index) {
                self.turn(key, Connection::tick, now, watch);
                self.arm(key, now);
            }
        }
    }

    /// Gives a connection its turn, and does what follows from how that ends.
    fn turn(
        &mut self,
        key: Key,
        turn: fn(&mut Connection, &mut S, &mut [u8], Duration) -> io::Result<Turn>,
        now: Duration,
        watch: &mut impl Watch<S>,
    ) {
        let Some(watched) = self.connections.get_mut(key) else { return };
        let turned = turn(&mut watched.connection, &mut watched.stream, &mut self.hot, now);
        let turned = turned.and_then(|turned| {
            if watched.connection.awaits_writable() && !watched.watches_writable {
                watched.watches_writable = true;
                watch.input_and_room(key, &watched.stream)?;
            }
            Ok(turned)
        });
        match turned {
            Ok(Turn::Waits) => {}
            Ok(Turn::Unfinished) => {
                if !mem::replace(&mut watched.queued, true) {
                    self.unfinished.push_back(key);
                }
            }
            Ok(Turn::Ended) => return self.end(key, None, now),
            Err(error) => return self.end(key, Some(&error), now),
        }
        if !watched.connection.is_steady() {
            self.timers.arm_by(key.index, watched.connection.wake_at());
        }
    }

    /// Closes the socket, which ends the watching, and gives everything back.
    fn end(&mut self, key: Key, failure: Option<&io::Error>, now: Duration) {
        self.timers.arm(key.index, None);
        if let Some(Watched { stream, connection, .. }) = self.connections.remove(key) {
            drop(stream); // before the slot: who waits for that may need the descriptor
            connection.settle(failure, now);
        }
    }

    /// Has a connection looked after when that is due, but not again in this round.
    fn arm(&mut self, key: Key, now: Duration) {
        if let Some(watched) = self.connections.get_mut(key) {
            let later = now.saturating_add(Duration::from_nanos(1));
            self.timers.arm(key.index, watched.connection.wake_at().map(|at| at.max(later)));
        }
    }
}
