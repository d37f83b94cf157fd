//! A peer: writes its script, reads what comes back, and behaves as well or as badly as its seed says.

use std::time::Duration;

use super::{
    faults::Fault,
    link::{Link, PEER},
    rng::Rng,
    world::{What, World},
};

/// How one peer behaves, and how far it is.
#[derive(Debug)]
pub(super) struct Client {
    /// How many bytes it sends.
    total: usize,
    write_chunk: usize,
    read_chunk: usize,
    /// How long it rests between what it does, at most.
    pace: Duration,
    reads: bool,
    then: Then,
    /// Resets the connection once so many bytes have gone in or out.
    resets_at: usize,
    next: Duration,
}

/// What a peer does once it has sent everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    ShutDown,
    /// Nothing, for ever.
    Linger,
    /// Closes, whatever is still to come.
    Close,
}

impl Client {
    pub(super) fn choose(world: &mut World, script_len: usize) -> Self {
        let now = world.now;
        let mut strikes = |fault| world.faults.strikes(fault, &mut world.rng);
        let early = strikes(Fault::EarlyFin);
        let firehose = strikes(Fault::Firehose);
        let drips = strikes(Fault::DrippingWriter);
        let slow = strikes(Fault::SlowReader);
        let resets = strikes(Fault::Reset);
        let then = if strikes(Fault::SilentPeer) {
            Then::Linger
        } else if strikes(Fault::AbruptClose) {
            Then::Close
        } else {
            Then::ShutDown
        };
        let reads = !strikes(Fault::NonReader);
        let rng = &mut world.rng;
        let total = match (early, firehose) {
            (true, _) => rng.below(script_len),
            (_, true) => usize::MAX,
            _ => script_len * rng.pick(&[0, 1, 1, 2, 4]),
        };
        let paces = [0, 0, 1, 20, 300];
        let pace = if drips || slow { rng.pick(&paces[2..]) } else { rng.pick(&paces) };
        Self {
            total,
            write_chunk: if drips { 1 } else { rng.pick(&[7, 40, 200]) },
            read_chunk: if slow { rng.between(1, 8) } else { 400 },
            pace: Duration::from_millis(pace),
            reads,
            then,
            resets_at: if resets { rng.below(4 * script_len) } else { usize::MAX },
            next: now,
        }
    }

    /// When it acts next, if there is anything that it would do.
    pub(super) fn acts_at(&self, link: &Link) -> Option<Duration> {
        (link.open[PEER] && self.has_work(link)).then_some(self.next)
    }

    /// From here on it is the best of peers, and about to end.
    pub(super) fn calm_down(&mut self, wrote: usize, rng: &mut Rng) {
        self.total = self.total.min(wrote + rng.below(64));
        (self.write_chunk, self.read_chunk) = (400, 400);
        (self.pace, self.reads, self.then) = (Duration::ZERO, true, Then::ShutDown);
        self.resets_at = usize::MAX;
        self.next = Duration::ZERO;
    }

    fn has_work(&self, link: &Link) -> bool {
        let (inbound, outbound) = (&link.into[PEER], &link.into[1 - PEER]);
        let unread = inbound.there() > 0 || inbound.fin_arrived && !inbound.fin_read;
        let unwritten = outbound.written < self.total && outbound.room() > 0;
        let ends = outbound.written >= self.total && self.then != Then::Linger;
        link.reset
            || outbound.written + inbound.read >= self.resets_at
            || self.reads && unread
            || !outbound.fin && (unwritten || ends || inbound.fin_read)
            || outbound.fin && inbound.fin_read
    }
}

impl World {
    /// Lets the client of the connection `id` do something.
    pub(super) fn client_acts(&mut self, id: usize) {
        let link = &mut self.links[id];
        let Some(client) = &mut link.client else { return };
        let read_room = if client.reads { client.read_chunk } else { 0 };
        let write_room = client.write_chunk;
        let (total, then) = (client.total, client.then);
        client.next = self.now + self.rng.time(client.pace + Duration::from_micros(1));
        let wrote = link.into[1 - PEER].written;
        if link.reset || wrote + link.into[PEER].read >= client.resets_at {
            let keeps = self.rng.percent(50);
            link.reset(keeps);
            link.open[PEER] = false;
            self.note(id, What::PeerReset, 0);
            return;
        }
        let inbound = &mut link.into[PEER];
        let n = inbound.there().min(read_room);
        let done = read_room > 0 && n == inbound.there() && inbound.fin_arrived;
        inbound.fin_read |= done;
        link.was_read(PEER, n);
        let outbound = &link.into[1 - PEER];
        let mut ends = done && !outbound.fin;
        if !outbound.fin && !ends {
            let n = outbound.room().min(write_room).min(total - wrote.min(total));
            if n > 0 {
                self.push(id, PEER, n);
                self.note(id, What::PeerWrote, n);
            }
            ends = wrote + n >= total && then != Then::Linger;
        }
        self.note(id, What::PeerRead, n);
        let link = &mut self.links[id];
        if link.reset {
            return;
        }
        if ends && then == Then::Close {
            link.close(PEER);
            self.note(id, What::PeerClosed, 0);
        } else if ends {
            let at_once = !self.faults.strikes(Fault::SlowNetwork, &mut self.rng);
            link.shut_down(PEER, at_once);
            self.note(id, What::PeerShutDown, 0);
        } else if done && link.into[1 - PEER].fin {
            link.close(PEER);
            self.note(id, What::PeerClosed, 1);
        }
    }

    /// Faults stop, and every peer behaves.
    pub(super) fn calm_down(&mut self) {
        self.calm = true;
        self.faults.stop();
        self.note(0, What::Calm, 0);
        for link in &mut self.links {
            let wrote = link.into[1 - PEER].written;
            link.into.iter_mut().for_each(|pipe| pipe.capacity = pipe.capacity.max(1000));
            if let Some(client) = &mut link.client {
                client.calm_down(wrote, &mut self.rng);
            }
        }
    }
}
