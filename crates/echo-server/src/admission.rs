//! Who may come in: at most so many connections at once, and so many of one peer.
//!
//! A slot is reserved before a connection is accepted, so that who finds no room stays in the
//! kernel's backlog. It is given back when it is dropped, and that wakes whoever waits for one.

use std::{
    collections::{HashMap, hash_map::Entry},
    mem,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{peer::Peer, service::Service, wait::Bell};

/// The slots of a service.
#[derive(Debug)]
pub(crate) struct Admission {
    max_connections: usize,
    max_per_peer: Option<u32>,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    slots: usize, // <= max_connections
    /// Connections that have ended, since ever.
    ended: u64,
    /// Only networks with a connection, and only when they are limited.
    by_network: HashMap<IpAddr, u32>,
    /// To be rung, once, when a slot comes free; each bell at most once.
    waiting: Vec<Arc<Bell>>,
}

/// Leave to serve one connection, until dropped.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Service>);

/// A slot and who has it.
#[derive(Debug)]
pub(crate) struct Seat {
    peer: Peer,
    slot: Slot, // given back last
}

impl Admission {
    pub(crate) fn new(max_connections: usize, max_per_peer: Option<u32>) -> Self {
        Self { max_connections, max_per_peer, taken: Mutex::default() }
    }

    /// Connections being served, and about to be.
    pub(crate) fn open(&self) -> usize {
        self.taken().slots
    }

    /// How many more connections there is room for.
    pub(crate) fn room(&self) -> usize {
        self.max_connections.saturating_sub(self.open())
    }

    /// Connections that have ended, since ever: what they held is free.
    pub(crate) fn ended(&self) -> u64 {
        self.taken().ended
    }

    /// Rings `bell` when the next slot comes free.
    pub(crate) fn ring_when_freed(&self, bell: &Arc<Bell>) {
        let waiting = &mut self.taken().waiting;
        if !waiting.iter().any(|other| Arc::ptr_eq(other, bell)) {
            waiting.push(Arc::clone(bell));
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// A slot, if one is free.
    pub(crate) fn reserve(service: &Arc<Service>) -> Option<Self> {
        let admission = &service.admission;
        let mut taken = admission.taken();
        (taken.slots < admission.max_connections).then(|| {
            taken.slots += 1;
            Self(Arc::clone(service))
        })
    }

    /// A seat for `peer`, unless that has too many already.
    pub(crate) fn claim(self, peer: Peer) -> Option<Seat> {
        let admission = &self.0.admission;
        if let (Some(max), Some(network)) = (admission.max_per_peer, peer.network()) {
            let mut taken = admission.taken();
            let of_network = taken.by_network.entry(network).or_default();
            if *of_network >= max {
                return None;
            }
            *of_network += 1;
        }
        Some(Seat { peer, slot: self })
    }
}

impl Seat {
    pub(crate) fn peer(&self) -> Peer {
        self.peer
    }

    pub(crate) fn service(&self) -> &Arc<Service> {
        &self.slot.0
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let admission = &self.service().admission;
        let mut taken = admission.taken();
        taken.ended += 1;
        let network = self.peer.network().filter(|_| admission.max_per_peer.is_some());
        if let Some(Entry::Occupied(mut entry)) = network.map(|of| taken.by_network.entry(of)) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.0.admission.taken();
        taken.slots -= 1;
        let waiting = mem::take(&mut taken.waiting);
        drop(taken);
        waiting.iter().for_each(|bell| bell.ring());
    }
}
