//! Everything outside of an engine: connections, clock, chance, and what is noted of it all.

use std::{cell::RefCell, io, rc::Rc, time::Duration};

use super::{
    faults::{Fault, Faults},
    link::Link,
    rng::{Rng, mix},
};

/// The world, as an engine's sockets hold it.
pub(super) type Shared = Rc<RefCell<World>>;

#[derive(Debug)]
pub(super) struct World {
    pub(super) now: Duration,
    pub(super) rng: Rng,
    pub(super) faults: Faults,
    pub(super) links: Vec<Link>,
    pub(super) trace: Trace,
    /// System calls, and those of them that had an effect or failed by chance.
    pub(super) calls: usize,
    pub(super) effects: usize,
    /// Faults have stopped.
    pub(super) calm: bool,
}

/// What happened, as a hash, and printed when someone is to read it.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) hash: u64,
    pub(super) prints: bool,
}

/// One thing that happened.
#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    Admitted,
    Arrived,
    Read,
    Wrote,
    ReadNothing,
    WroteNothing,
    ShutDown,
    Closed,
    Reset,
    PeerRead,
    PeerWrote,
    PeerShutDown,
    PeerClosed,
    PeerReset,
    Turn,
    Drain,
    Calm,
    Waited,
    Event,
    Submitted,
    Completed,
}

impl World {
    /// Reads at `side` of the connection `id`, as a non-blocking system call does.
    pub(super) fn read(&mut self, id: usize, side: usize, buf: &mut [u8]) -> io::Result<usize> {
        assert!(!buf.is_empty(), "a read of nothing");
        self.calls += 1;
        if self.strikes(Fault::Interrupted) {
            return self.interrupted(id, What::ReadNothing);
        }
        if self.links[id].into[side].there() > 0 && self.strikes(Fault::WouldBlockStorm) {
            self.recall(id, side, 0);
        }
        let link = &mut self.links[id];
        assert!(link.open[side], "a read after close");
        if link.reset && (link.into[side].there() == 0 || !link.reset_keeps) {
            self.effects += 1;
            return self.after_reset(id, side, Ok(0));
        }
        let there = link.into[side].there();
        if there == 0 {
            if !link.into[side].fin_arrived {
                self.note(id, What::ReadNothing, 0);
                return Err(io::ErrorKind::WouldBlock.into());
            }
            link.into[side].fin_read = true;
            self.effects += 1;
            self.note(id, What::Read, 0);
            return Ok(0);
        }
        let mut n = there.min(buf.len());
        if n > 1 && self.strikes(Fault::PartialReceive) {
            n = self.rng.between(1, n - 1);
            self.recall(id, side, n);
        }
        let link = &mut self.links[id];
        link.script.fill(link.into[side].read, &mut buf[..n]);
        link.was_read(side, n);
        self.effects += 1;
        self.note(id, What::Read, n);
        Ok(n)
    }

    /// Writes at `side` of the connection `id`, and looks whether that is what has to come.
    pub(super) fn write(&mut self, id: usize, side: usize, bytes: &[u8]) -> io::Result<usize> {
        assert!(!bytes.is_empty(), "a write of nothing");
        self.calls += 1;
        if self.strikes(Fault::Interrupted) {
            return self.interrupted(id, What::WroteNothing);
        }
        if self.links[id].reset {
            self.effects += 1;
            return self.after_reset(id, side, Err(io::ErrorKind::BrokenPipe.into()));
        }
        let zero = self.strikes(Fault::ZeroWrite);
        let storm = self.strikes(Fault::WouldBlockStorm);
        let link = &mut self.links[id];
        assert!(link.open[side], "a write after close");
        let pipe = &mut link.into[1 - side];
        assert!(!pipe.fin, "a write after the write side was shut down");
        pipe.choked |= zero || storm;
        pipe.wants_room |= zero || pipe.room() == 0;
        if zero {
            self.effects += 1;
            self.note(id, What::Wrote, 0);
            return Ok(0);
        }
        if pipe.room() == 0 {
            self.effects += usize::from(storm);
            self.note(id, What::WroteNothing, 0);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut n = pipe.room().min(bytes.len());
        if n > 1 && self.strikes(Fault::PartialSend) {
            n = self.rng.between(1, n - 1);
            self.links[id].into[1 - side].choked = true;
        }
        self.links[id].into[1 - side].wants_room |= n < bytes.len();
        self.give(id, side, &bytes[..n]);
        self.effects += 1;
        Ok(n)
    }

    /// Shuts down the write side at `side` of the connection `id`.
    pub(super) fn shut_down(&mut self, id: usize, side: usize) -> io::Result<()> {
        self.calls += 1;
        self.effects += 1;
        self.note(id, What::ShutDown, 0);
        if self.links[id].reset {
            return Err(io::ErrorKind::NotConnected.into());
        }
        assert!(!self.links[id].into[1 - side].fin, "the write side was shut down twice");
        let at_once = !self.strikes(Fault::SlowNetwork);
        self.links[id].shut[side] = true;
        self.links[id].shut_down(side, at_once);
        Ok(())
    }

    /// Closes `side` of the connection `id`.
    pub(super) fn close(&mut self, id: usize, side: usize) {
        self.note(id, What::Closed, side);
        self.effects += 1;
        self.links[id].close(side);
    }

    /// Brings on its way what lags behind on the connection `id`: some of it, or all once it is calm.
    pub(super) fn deliver(&mut self, id: usize) {
        for side in [0, 1] {
            let pipe = &mut self.links[id].into[side];
            let lag = pipe.written - pipe.arrived;
            let was_choked = std::mem::take(&mut pipe.choked);
            let n = if self.calm || lag == 0 { lag } else { self.rng.between(1, lag) };
            pipe.arrived += n;
            let fin = pipe.fin && !pipe.fin_arrived && pipe.arrived == pipe.written;
            // FIN comes with the last bytes, or by itself.
            let fin = fin && (n == 0 || self.calm || self.rng.percent(50));
            pipe.fin_arrived |= fin;
            let room = was_choked && pipe.wants_room && pipe.room() > 0;
            pipe.wants_room &= !room;
            let arrived = n > 0 || fin;
            let link = &mut self.links[id];
            if arrived && !link.open[side] {
                link.reset(false);
                continue;
            }
            if arrived && link.edge[side] || room && link.edge[1 - side] {
                self.faults.happened(Fault::MergedEdges);
            }
            link.edge[side] |= arrived;
            link.edge[1 - side] |= room;
            self.note(id, What::Arrived, n);
        }
    }

    pub(super) fn strikes(&mut self, fault: Fault) -> bool {
        self.faults.strikes(fault, &mut self.rng)
    }

    pub(super) fn note(&mut self, id: usize, what: What, n: usize) {
        self.trace.note(self.now, id, what, n);
    }

    /// Takes bytes into the pipe from `side`.
    fn give(&mut self, id: usize, side: usize, bytes: &[u8]) {
        let (now, n) = (self.now, bytes.len());
        let link = &mut self.links[id];
        let (sent, received) = (link.given(side), link.into[side].read);
        let whole = link.script.whole(received);
        assert!(
            sent + n <= whole,
            "#{id} at {now:?}: {n} bytes sent behind {sent}, but of {received} received only \
             {whole} are whole frames"
        );
        let right = link.script.is(link.into[1 - side].written, bytes);
        assert!(right, "#{id} at {now:?}: {n} bytes sent behind {sent} are not those received");
        self.note(id, What::Wrote, n);
        self.push(id, side, n);
    }

    /// Takes `n` bytes that come next into the pipe from `side`.
    pub(super) fn push(&mut self, id: usize, side: usize, n: usize) {
        let lags = self.strikes(Fault::SlowNetwork);
        let link = &mut self.links[id];
        let pipe = &mut link.into[1 - side];
        let lags = lags || pipe.arrived < pipe.written;
        pipe.written += n;
        if lags {
            return;
        }
        pipe.arrived = pipe.written;
        if link.open[1 - side] {
            if link.edge[1 - side] {
                self.faults.happened(Fault::MergedEdges);
            }
            link.edge[1 - side] = true;
        } else {
            link.reset(false); // nobody is there to take it
        }
    }

    /// Of what is there to be read at `side`, all but `n` bytes are still on their way.
    fn recall(&mut self, id: usize, side: usize, n: usize) {
        self.effects += 1;
        let pipe = &mut self.links[id].into[side];
        pipe.arrived = pipe.read + n;
        pipe.fin_arrived = false;
    }

    fn interrupted(&mut self, id: usize, what: What) -> io::Result<usize> {
        self.effects += 1;
        self.note(id, what, 1);
        Err(io::ErrorKind::Interrupted.into())
    }

    /// The error that a reset is told with once, and what comes after that.
    fn after_reset(
        &mut self,
        id: usize,
        side: usize,
        then: io::Result<usize>,
    ) -> io::Result<usize> {
        self.note(id, What::Reset, side);
        if std::mem::replace(&mut self.links[id].reset_told[side], true) {
            return then;
        }
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl Trace {
    fn note(&mut self, now: Duration, id: usize, what: What, n: usize) {
        let nanos = u64::from(now.subsec_nanos());
        let event = nanos << 20 ^ (id as u64) << 50 ^ (what as u64) << 56 ^ n as u64;
        self.hash = mix(self.hash ^ event);
        if self.prints {
            println!("{:>12.6}s  #{id} {what:?} {n}", now.as_secs_f64());
        }
    }
}

/// One end of a connection, as a socket that an engine owns. Dropping it closes it.
#[derive(Debug)]
pub(super) struct End {
    pub(super) world: Shared,
    pub(super) id: usize,
    pub(super) side: usize,
}

impl End {
    pub(super) fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.world.borrow_mut().read(self.id, self.side, buf)
    }

    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.world.borrow_mut().write(self.id, self.side, bytes)
    }

    pub(super) fn shut_down(&self) -> io::Result<()> {
        self.world.borrow_mut().shut_down(self.id, self.side)
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // While a failed check unwinds, the world may be in use.
        if let Ok(mut world) = self.world.try_borrow_mut() {
            if !std::thread::panicking() {
                world.close(self.id, self.side);
            }
        }
    }
}
