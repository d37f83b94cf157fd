//! Accepting: one connection at a time, with leave to serve it, and never into overload.

use std::{io, sync::Arc, time::Instant};

use socket2::Socket;
use tracing::debug;

use crate::{
    admission::{Seat, Slot},
    listener::Listener,
    overload::Overload,
    peer::Peer,
    service::Service,
    wait::Bell,
};

/// A worker's listeners, and whether to accept from them now.
#[derive(Debug)]
pub(crate) struct Acceptor {
    service: Arc<Service>,
    listeners: Vec<Listener>,
    overload: Overload,
    /// Rung when a slot comes free that this worker waits for.
    bell: Arc<Bell>,
    accepted: u64,
}

/// What an attempt to accept has led to.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// A non-blocking socket, and leave to serve this peer on it.
    Connection(Socket, Seat),
    /// One that was gone by then, or not let in: there may be more.
    GoOn,
    /// The backlog is empty.
    NoneWaiting,
    /// No room, or no resources: rest until the bell rings or [`Acceptor::pause`] is over.
    Rest,
}

impl Acceptor {
    pub(crate) fn new(service: &Arc<Service>, listeners: Vec<Listener>) -> io::Result<Self> {
        Ok(Self {
            service: Arc::clone(service),
            listeners,
            overload: Overload::default(),
            bell: Arc::new(Bell::new()?),
            accepted: 0,
        })
    }

    pub(crate) fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// Nobody is accepted any more. Take the backlogs before: who is in them is reset.
    pub(crate) fn close(&mut self) {
        self.listeners.clear();
    }

    /// Ready to read when a slot came free after a rest; then silence it.
    pub(crate) fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// True when new connections are not wanted any more; those in the backlog still are, unless
    /// only one was asked for.
    pub(crate) fn is_done(&self) -> bool {
        self.service.shutdown.has_begun() || self.service.config.once && self.accepted > 0
    }

    /// Whether the listeners are to be left alone; the bell rings when that may change, but after
    /// [`pause`](Self::pause) at the latest.
    pub(crate) fn rests(&mut self) -> bool {
        if !self.has_to_rest() {
            return false;
        }
        self.service.admission.ring_when_freed(&self.bell);
        self.has_to_rest() // a slot may have come free before the bell was hung
    }

    /// Until when a pause after an overload lasts, if there is one.
    pub(crate) fn pause(&mut self) -> Option<Instant> {
        self.overload.pause(self.service.admission.ended())
    }

    /// Accepts one connection from the listener at `which`.
    pub(crate) fn accept(&mut self, which: usize) -> Accepted {
        let Some(slot) = self.reserve() else { return Accepted::Rest };
        match self.listeners[which].accept() {
            Ok(socket) => self.admit(slot, socket),
            Err(error) => self.refused(&error),
        }
    }

    /// Leave to accept one connection, if there is room and no overload.
    pub(crate) fn reserve(&mut self) -> Option<Slot> {
        if self.service.shutdown.has_begun() {
            // So that the backlog comes to an end.
            self.listeners.iter().for_each(Listener::retire);
        }
        if self.rests() {
            return None;
        }
        Slot::reserve(&self.service).or_else(|| {
            // Another worker has taken it since. It may have given it back, too, by now.
            self.service.admission.ring_when_freed(&self.bell);
            Slot::reserve(&self.service)
        })
    }

    /// Lets a connection in that was accepted with leave to. One that was reset while it waited has
    /// no peer any more: it is as if it had never come.
    pub(crate) fn admit(&mut self, slot: Slot, socket: Socket) -> Accepted {
        let Ok(peer) = Peer::of(&socket) else { return Accepted::GoOn };
        let Some(seat) = slot.claim(peer) else {
            debug!(%peer, "refused: --max-per-peer");
            return Accepted::GoOn;
        };
        self.accepted += 1;
        Accepted::Connection(socket, seat)
    }

    /// Makes of a failed accept what is to be done next.
    pub(crate) fn refused(&mut self, error: &io::Error) -> Accepted {
        match error.kind() {
            io::ErrorKind::WouldBlock => Accepted::NoneWaiting,
            // The peer gave up while it waited, or a signal came: nobody's loss.
            io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => Accepted::GoOn,
            // No descriptor, no memory, or something unheard of: it may pass.
            _ => {
                self.overloaded(error);
                Accepted::Rest
            }
        }
    }

    /// A connection was accepted, but the system has not what it takes to serve it.
    pub(crate) fn overloaded(&mut self, error: &io::Error) {
        self.overload.begin(error, self.service.admission.ended());
    }

    fn has_to_rest(&mut self) -> bool {
        self.pause().is_some() || self.service.admission.room() == 0
    }
}
