//! A connection as the kernel has it: two pipes of bounded room, without bytes, for what was sent is
//! known by its offset.
//!
//! ```text
//!            read    arrived     written         `read <= arrived <= written <= read + capacity`
//! -----------+-------+-----------+------------
//!  taken     | there | in flight | room, unless choked
//! ```

use super::{client::Client, script::Script};

/// The end that the service has; in a pair, one of two.
pub(super) const SERVER: usize = 0;
/// The other end.
pub(super) const PEER: usize = 1;

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    pub(super) written: usize,
    pub(super) arrived: usize,
    pub(super) read: usize,
    pub(super) capacity: usize,
    /// The writer is done; that has arrived; and was read.
    pub(super) fin: bool,
    pub(super) fin_arrived: bool,
    pub(super) fin_read: bool,
    /// The writer is told that there is no room, whatever there is.
    pub(super) choked: bool,
    /// The writer has found no room, and is to hear when there is some.
    pub(super) wants_room: bool,
}

impl Pipe {
    pub(super) fn there(&self) -> usize {
        self.arrived - self.read
    }

    pub(super) fn room(&self) -> usize {
        if self.choked { 0 } else { self.capacity - (self.written - self.read) }
    }

    /// Whether the network has something left to do here.
    pub(super) fn lags(&self) -> bool {
        self.arrived < self.written || self.fin != self.fin_arrived || self.choked
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Link {
    /// What each end receives.
    pub(super) into: [Pipe; 2],
    pub(super) open: [bool; 2],
    /// Who has shut down its write side, other than by closing.
    pub(super) shut: [bool; 2],
    pub(super) reset: bool,
    /// After a reset, what had arrived before can still be read.
    pub(super) reset_keeps: bool,
    /// Whether an end was told of the reset, which the kernel does once.
    pub(super) reset_told: [bool; 2],
    /// Something has changed since the end's readiness was last looked at.
    pub(super) edge: [bool; 2],
    /// How much of what an end is to receive it was not sent by the other: where a message was
    /// put in to go round.
    pub(super) injected: [usize; 2],
    pub(super) script: Script,
    pub(super) client: Option<Client>,
}

impl Link {
    pub(super) fn new(script: Script, capacities: [usize; 2], client: Option<Client>) -> Self {
        let into = capacities.map(|capacity| Pipe { capacity, ..Pipe::default() });
        Self {
            into,
            open: [true; 2],
            shut: [false; 2],
            reset: false,
            reset_keeps: false,
            reset_told: [false; 2],
            edge: [false; 2],
            injected: [0; 2],
            script,
            client,
        }
    }

    /// How much `side` has sent.
    pub(super) fn given(&self, side: usize) -> usize {
        self.into[1 - side].written - self.injected[1 - side]
    }

    /// Whether a read at `side` would bring something: bytes, the end, or an error.
    pub(super) fn is_readable(&self, side: usize) -> bool {
        self.into[side].there() > 0 || self.into[side].fin_arrived || self.reset
    }

    /// Whether a write at `side` would bring something: room or an error.
    pub(super) fn is_writable(&self, side: usize) -> bool {
        self.into[1 - side].room() > 0 || self.reset
    }

    /// Whether who waits at `side` to write is woken: the kernel does that only when a good part is
    /// free.
    pub(super) fn wakes_writer(&self, side: usize) -> bool {
        self.is_writable(side) && (self.reset || !self.into[1 - side].wants_room)
    }

    /// What `side` has sent and the other has not read.
    pub(super) fn untaken(&self, side: usize) -> usize {
        let pipe = &self.into[1 - side];
        pipe.written - pipe.read
    }

    pub(super) fn lags(&self) -> bool {
        !self.reset && self.into.iter().any(Pipe::lags)
    }

    /// Whether neither end has it any more.
    pub(super) fn is_gone(&self) -> bool {
        self.open == [false; 2]
    }

    /// RST: what is in flight is lost.
    pub(super) fn reset(&mut self, keeps: bool) {
        if !self.reset {
            self.reset = true;
            self.reset_keeps = keeps;
            self.edge = [true; 2];
        }
    }

    pub(super) fn shut_down(&mut self, side: usize, at_once: bool) {
        let pipe = &mut self.into[1 - side];
        pipe.fin = true;
        if at_once && pipe.arrived == pipe.written {
            pipe.fin_arrived = true;
            self.edge[1 - side] = true;
        }
    }

    /// Closes an end. What it has not read is answered with RST, and the other end may lose what is
    /// in flight to it.
    pub(super) fn close(&mut self, side: usize) {
        assert!(self.open[side], "closed twice");
        self.open[side] = false;
        if self.into[side].read < self.into[side].written {
            self.reset(false);
        } else if !self.into[1 - side].fin {
            self.shut_down(side, true);
        }
    }

    /// Takes note that `side` has read `n` bytes: the writer may have room again.
    pub(super) fn was_read(&mut self, side: usize, n: usize) {
        let pipe = &mut self.into[side];
        pipe.read += n;
        // As in `wakes_writer`.
        if pipe.wants_room && pipe.room() * 3 >= pipe.capacity {
            pipe.wants_room = false;
            self.edge[1 - side] = true;
        }
    }
}
