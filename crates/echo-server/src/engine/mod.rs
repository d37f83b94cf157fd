//! Engines move bytes between sockets and the core; none of them knows the protocol.

pub(crate) mod threads;

/// What an engine did until it ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections that a shutdown had to cut, because they were not finished at its deadline.
    pub cut: usize,
    /// Bytes taken from peers, on all connections that have ended.
    pub received: u64,
    /// Bytes sent back on them, framing included. Equal to `received` when nothing was lost.
    pub echoed: u64,
}
