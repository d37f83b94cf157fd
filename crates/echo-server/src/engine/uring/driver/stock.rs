//! The provided buffers that are not with the ring.
//!
//! ```text
//!        lent with bytes                     sent, or copied
//! ring ──────────────────▶ chunks, in order ─────────────────┬──▶ ring
//!   ▲                      of their connection               │ more are with it than are wanted
//!   └──────────────── reserve ◀──────────────────────────────┘
//! ```

use super::{Connection, Group, LARGE, Lease, NONE, Ring, SMALL};

/// Where they are, and what is in them.
pub(super) struct Stock {
    /// By buffer: what of it is to be sent, and which one follows.
    chunks: Vec<Option<Chunk>>,
    /// Buffers in `chunks`, by group.
    lent: [u16; 2],
    /// Large ones that nobody needs now.
    reserve: Vec<Lease>,
    /// Connections that large ones suit.
    users: usize,
}

/// What is to be sent of a buffer.
pub(super) struct Chunk {
    pub(super) lease: Lease,
    pub(super) start: u32,
    pub(super) end: u32, // start < end <= the buffer's size
    pub(super) next: u16,
}

impl Stock {
    pub(super) fn new() -> Self {
        let chunks = usize::from(SMALL.count) + usize::from(LARGE.count);
        let (first, end) = (Group::Large.first(), Group::Large.first() + LARGE.count);
        Self {
            chunks: std::iter::repeat_with(|| None).take(chunks).collect(),
            lent: [0; 2],
            reserve: (first + LARGE.at_first..end).map(Lease).collect(),
            users: 0,
        }
    }

    /// A connection's first chunk, or any that follows one.
    pub(super) fn at(&self, place: u16) -> Option<&Chunk> {
        self.chunks.get(usize::from(place))?.as_ref()
    }

    pub(super) fn at_mut(&mut self, place: u16) -> Option<&mut Chunk> {
        self.chunks.get_mut(usize::from(place))?.as_mut()
    }

    /// The first `released` bytes of a buffer are to be sent, after all that is.
    pub(super) fn append<S>(
        &mut self,
        connection: &mut Connection<S>,
        lease: Lease,
        released: u32,
    ) {
        let place = lease.0;
        self.lent[lease.group() as usize] += 1;
        match self.chunks.get_mut(usize::from(connection.last)) {
            Some(Some(last)) if connection.first != NONE => last.next = place,
            _ => connection.first = place,
        }
        connection.last = place;
        let chunk = Chunk { lease, start: 0, end: released, next: NONE };
        self.chunks[usize::from(place)] = Some(chunk);
    }

    /// Takes a connection's first chunk out; its buffer is to be given back.
    pub(super) fn take<S>(&mut self, connection: &mut Connection<S>) -> Option<Chunk> {
        let chunk = self.chunks.get_mut(usize::from(connection.first))?.take()?;
        connection.first = chunk.next;
        self.lent[chunk.lease.group() as usize] -= 1;
        Some(chunk)
    }

    /// Gives a buffer back of which nothing is left to be sent.
    pub(super) fn give_back(&mut self, lease: Lease, ring: &mut impl Ring) {
        if lease.group() == Group::Large && self.provided(Group::Large) > self.wanted() {
            self.reserve.push(lease);
        } else {
            ring.give_back(lease);
        }
    }

    /// A connection has come to want other buffers, or has ended, for which `to` is small.
    pub(super) fn suits(&mut self, from: Group, to: Group, ring: &mut impl Ring) {
        if from == to {
            return;
        }
        self.users -= usize::from(from == Group::Large);
        self.users += usize::from(to == Group::Large);
        while self.provided(Group::Large) < self.wanted() {
            let Some(lease) = self.reserve.pop() else { break };
            ring.give_back(lease);
        }
    }

    /// Buffers that the ring has.
    pub(super) fn left(&self, group: Group) -> u16 {
        self.provided(group).saturating_sub(self.lent[group as usize])
    }

    /// Whether most of those of a group are lent.
    pub(super) fn is_low(&self) -> bool {
        [Group::Small, Group::Large]
            .iter()
            .any(|&group| self.left(group) < self.lent[group as usize])
    }

    /// Buffers that are nobody's now.
    #[cfg(test)]
    pub(super) fn reserved(&self) -> usize {
        self.reserve.len()
    }

    /// Buffers that the ring has or has lent.
    fn provided(&self, group: Group) -> u16 {
        match group {
            Group::Small => SMALL.count,
            Group::Large => LARGE.count - u16::try_from(self.reserve.len()).unwrap_or(0),
        }
    }

    /// One for each connection that fills it.
    fn wanted(&self) -> u16 {
        u16::try_from(self.users).unwrap_or(u16::MAX).clamp(LARGE.at_first, LARGE.count)
    }
}
