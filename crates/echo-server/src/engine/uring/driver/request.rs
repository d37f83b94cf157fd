//! What the driver asks of the ring, and what it is told.

use std::io;

use crate::slots::Key;

/// Who carries requests out. One [`Completion`] answers each, but for what is said of them.
pub(crate) trait Ring {
    /// A connection's socket, closed when it is dropped.
    type Socket;

    /// Takes a request in, to be submitted with all others at the end of the turn.
    fn push(&mut self, key: Key, request: Request<'_, Self::Socket>);

    /// The provided buffer that was lent with a completion.
    fn bytes(&self, lease: &Lease) -> &[u8];

    /// Hands a provided buffer back, to be received into again.
    fn give_back(&mut self, lease: Lease);

    /// Whether a receive would bring something now: bytes, the peer's FIN, or an error.
    fn has_input(&self, socket: &Self::Socket) -> bool;

    /// Bytes sent that the peer's system has not taken.
    fn untaken(&self, socket: &Self::Socket) -> usize;

    /// Shuts down the write side.
    fn send_fin(&mut self, socket: &Self::Socket) -> io::Result<()>;
}

/// What a connection asks for.
#[derive(Debug)]
pub(crate) enum Request<'a, S> {
    /// Receive into provided buffers of this group, again and again, until a completion says that
    /// it was the last.
    Receive { socket: &'a S, group: Group },
    /// Send these bytes of a provided buffer without waiting for the peer. It is done when it has
    /// been submitted, all of it or none: only a failure is answered, a short send is one.
    SendNow { socket: &'a S, lease: &'a Lease, start: u32, end: u32 },
    /// Send what follows the first `start` bytes, once the peer takes any. The memory comes back
    /// with the completion.
    Send { socket: &'a S, bytes: Vec<u8>, start: usize },
    /// End the connection's receive, whose completion is still to come. Not answered.
    CancelReceive,
    /// End its send, whose completion is still to come. Not answered.
    CancelSend,
}

/// How a request went. Results are those of the system call; below zero is an error number.
#[derive(Debug)]
pub(crate) enum Completion {
    Received(Received),
    /// Of a [`Request::SendNow`] that did not go out in full, in the batch after its submission.
    NotSent {
        result: i32,
    },
    Sent {
        result: i32,
        bytes: Vec<u8>,
    },
}

/// What a receive has brought.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) result: i32,
    /// Where the bytes are, when there are any.
    pub(crate) lease: Option<Lease>,
    /// Whether more completions of this receive will come.
    pub(crate) goes_on: bool,
    /// Whether there is no room left in its buffer.
    pub(crate) filled: bool,
    /// Whether more was there to be received.
    pub(crate) left_some: bool,
}

/// Provided buffers of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Small,
    Large,
}

/// A provided buffer that is ours until it is given back.
/// Those of a group are numbered without a gap, from [`Group::first`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lease(pub(crate) u16);

/// How many provided buffers there are, and of what size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Buffers {
    /// A power of two.
    pub(crate) count: u16,
    /// How many of them the ring has at first; the others are lent to the driver.
    pub(crate) at_first: u16,
    pub(crate) size: u32,
}

/// For small messages: all of them together take half of a common L2 cache.
pub(crate) const SMALL: Buffers = Buffers { count: 64, at_first: 64, size: 4 << 10 };

/// For connections that fill those: more of them when there are many such, and not before, as the
/// ring takes them in turns, and few stay in the cache.
pub(crate) const LARGE: Buffers = Buffers { count: 16, at_first: 8, size: 64 << 10 };

impl Group {
    pub(crate) const fn buffers(self) -> Buffers {
        match self {
            Self::Small => SMALL,
            Self::Large => LARGE,
        }
    }

    /// The number of its first buffer.
    pub(crate) const fn first(self) -> u16 {
        match self {
            Self::Small => 0,
            Self::Large => SMALL.count,
        }
    }
}

impl Lease {
    pub(crate) const fn group(&self) -> Group {
        if self.0 < Group::Large.first() { Group::Small } else { Group::Large }
    }
}
