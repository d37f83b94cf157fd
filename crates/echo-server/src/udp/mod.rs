//! UDP echo (RFC 862): each datagram goes back to who sent it, from the address it was sent to.
//!
//! ```text
//!            ┌──────────────── a batch ────────────────┐
//! recvmmsg ──▶ Guard: may it be answered? ──▶ sendmmsg ──▶ gone, or dropped and counted
//!                └─▶ dropped and counted
//! ```
//!
//! Each endpoint has a thread of its own, whatever engine serves connections. Nothing is queued
//! here: what the system does not take at once is dropped, as datagrams may be.

#[cfg_attr(not(target_os = "linux"), path = "no_batch.rs")]
mod batch;
mod endpoint;
mod guard;
mod rate;

use std::net::SocketAddr;

pub(crate) use endpoint::{Endpoints, UdpSocket, bind};
pub(crate) use guard::Guard;
pub(crate) use rate::Rates;

/// Datagrams a second that are answered of one source, unless told otherwise: enough to measure a
/// path, and what a loop with another echo service is slowed down to.
pub(crate) const RATE: u32 = 1_000;

/// Datagrams a second that are answered of all sources, unless told otherwise: about a core's
/// worth of small ones, at most.
pub(crate) const RATE_TOTAL: u32 = 100_000;

/// What has become of the datagrams of a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Datagrams {
    /// That came in.
    pub received: u64,
    /// That were sent back.
    pub returned: u64,
    /// That were not.
    pub dropped: Dropped,
}

/// Datagrams that were not answered, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Longer than the buffer for them; no such datagram is known.
    pub truncated: u64,
    /// With the source port of a service, below 1024.
    pub service_port: u64,
    /// From or to a broadcast or multicast address.
    pub not_unicast: u64,
    /// Over the rate of their source.
    pub source_rate: u64,
    /// Over the rate of all together.
    pub total_rate: u64,
    /// That claimed to come from one of our own endpoints.
    pub ourselves: u64,
    /// Whose answer the system did not take.
    pub unsent: u64,
}

/// What there is to know of one datagram, but its bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Datagram {
    pub(crate) source: SocketAddr,
    /// False for broadcast and multicast.
    pub(crate) to_us_alone: bool,
    pub(crate) is_truncated: bool,
    pub(crate) len: usize,
}

impl Datagrams {
    /// Adds what another endpoint did.
    pub(crate) fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.returned += other.returned;
        let (ours, theirs) = (&mut self.dropped, &other.dropped);
        ours.truncated += theirs.truncated;
        ours.service_port += theirs.service_port;
        ours.not_unicast += theirs.not_unicast;
        ours.source_rate += theirs.source_rate;
        ours.total_rate += theirs.total_rate;
        ours.ourselves += theirs.ourselves;
        ours.unsent += theirs.unsent;
    }
}
