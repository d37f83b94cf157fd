//! Misbehaviour on purpose (`--fault`): for people who test clients, and for our own.
//!
//! ```text
//!               ┌─ Relay: a bad proxy, one per fault ─┐
//! peer ◀──────▶ │ Schedule ◀── Spoiler ◀── bytes      │ ◀──▶ private Unix socket ◀──▶ engine
//!               └─────────────────────────────────────┘
//! client ◀────▶ udp::Endpoint: receives, spoils, sends
//! ```
//!
//! A front takes over the endpoints that a fault is shown on. What is behind serves as it always
//! does: no engine knows of faults, every engine shows every fault, and without `--fault` there is no
//! front. A spoiler decides for one connection and does no I/O; a fault is one of them and a row in
//! the table of its family.

mod buffering;
mod catalog;
mod content;
mod crowd;
mod datagrams;
mod door;
mod ending;
mod relay;
mod schedule;
mod spec;
mod spoiler;
mod timing;
mod udp;

use std::{
    io, mem,
    sync::Arc,
    thread::{self, JoinHandle},
};

use echo_cli::Endpoint;
use tracing::warn;

pub use spec::{Fault, Needs, ParseFaultError};
pub(crate) use spec::{FaultArg, list};

use crate::{
    listener::{BindError, Listener},
    service::Service,
    shutdown::Shutdown,
};
use door::Door;
use relay::Relay;
use spoiler::Spoilers;

/// What a relay has open: a listener, its bell, and the way to what is behind.
const DESCRIPTORS_OF_A_RELAY: usize = 3;

/// What stands in front of the engine and spoils what it does; nothing, unless asked for.
#[derive(Debug, Default)]
pub(crate) struct Front {
    of_streams: Vec<Fault>,
    /// At most one.
    of_datagrams: Vec<Fault>,
    /// What the first relay listens on.
    public: Vec<Listener>,
    datagrams: Vec<udp::Endpoint>,
    /// The way to the engine, if there is something before it.
    door: Option<Door>,
}

/// A front at work.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    threads: Vec<JoinHandle<io::Result<()>>>,
    /// What each relay counts.
    relays: Vec<Arc<Service>>,
}

impl Front {
    pub(crate) fn new(faults: &[Fault]) -> Self {
        let (of_datagrams, of_streams) = faults.iter().cloned().partition(Fault::is_of_datagrams);
        Self { of_streams, of_datagrams, ..Self::default() }
    }

    /// Binds the endpoint, if a fault is to be shown there; returns what to announce.
    pub(crate) fn bind(&mut self, endpoint: &Endpoint) -> Result<Option<String>, BindError> {
        if let Endpoint::Udp { host, port } = endpoint {
            if self.of_datagrams.is_empty() {
                return Ok(None);
            }
            let socket = crate::udp::bind(endpoint, host, *port)?;
            let bound = udp::Endpoint::new(socket.into());
            let bound = bound.map_err(|source| BindError::new(endpoint, source))?;
            let announced = format!("udp://{}", bound.address());
            self.datagrams.push(bound);
            return Ok(Some(announced));
        }
        if self.of_streams.is_empty() {
            return Ok(None);
        }
        let listeners = Listener::bind(endpoint, 1)?;
        let announced = listeners.first().map(ToString::to_string);
        self.public.extend(listeners);
        Ok(announced)
    }

    /// Listeners for the workers behind, if the front has taken what they would have had.
    pub(crate) fn private(&mut self, workers: usize) -> Result<Vec<Listener>, BindError> {
        if self.public.is_empty() {
            return Ok(Vec::new());
        }
        let (door, listeners) = Door::new(workers)?;
        self.door = Some(door);
        Ok(listeners)
    }

    /// Descriptors that it has, whoever connects.
    pub(crate) fn descriptors(&self) -> usize {
        // Each relay but the public one listens at a door of its own, as the engine does.
        self.public.len() + self.datagrams.len() + DESCRIPTORS_OF_A_RELAY * self.relays()
    }

    /// Descriptors that a connection takes: its own, and the two ends behind each relay.
    pub(crate) fn descriptors_of_each(&self) -> usize {
        1 + 2 * self.relays()
    }

    /// How many a connection goes through.
    fn relays(&self) -> usize {
        if self.public.is_empty() { 0 } else { self.of_streams.len() }
    }

    /// Spoils, on threads of its own, until a shutdown has begun.
    pub(crate) fn stand(mut self, service: &Arc<Service>) -> io::Result<Standing> {
        for fault in self.of_streams.iter().chain(&self.of_datagrams) {
            warn!(%fault, does = fault.explanation(), "misbehaving on purpose");
        }
        let mut standing = Standing::default();
        if let Some(door) = self.door.take() {
            self.stand_before(door, service, &mut standing)?;
        }
        let ours: Vec<_> = self.datagrams.iter().map(udp::Endpoint::address).collect();
        for endpoint in self.datagrams {
            if let Some(mut spoiler) = self.of_datagrams.first().and_then(Fault::datagram_spoiler) {
                let (service, ours) = (Arc::clone(service), ours.clone());
                let shutdown = Arc::clone(&service.shutdown);
                standing.start(shutdown, move || endpoint.run(&service, ours, &mut *spoiler))?;
            }
        }
        Ok(standing)
    }

    /// A relay for each fault, from the engine to the public.
    fn stand_before(
        &mut self,
        mut behind: Door,
        service: &Service,
        standing: &mut Standing,
    ) -> io::Result<()> {
        let mut spoilers = self.of_streams.iter().filter_map(Fault::spoilers);
        let Some(first) = spoilers.next() else { return Ok(()) };
        for spoilers in spoilers.collect::<Vec<_>>().into_iter().rev() {
            let (door, listeners) = Door::new(1).map_err(io::Error::other)?;
            standing.relay(service, listeners, spoilers, mem::replace(&mut behind, door))?;
        }
        standing.relay(service, mem::take(&mut self.public), first, behind)
    }
}

impl Standing {
    fn relay(
        &mut self,
        service: &Service,
        listeners: Vec<Listener>,
        spoilers: Spoilers,
        behind: Door,
    ) -> io::Result<()> {
        let shutdown = Arc::clone(&service.shutdown);
        let own = Service::new(service.config.clone(), Arc::clone(&shutdown));
        let relay = Relay::new(Arc::clone(&own), listeners, spoilers, behind)?;
        self.relays.push(own);
        self.start(shutdown, move || relay.run())
    }

    /// When this work ends, for whatever reason, the rest does, too.
    fn start(
        &mut self,
        shutdown: Arc<Shutdown>,
        work: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let thread = thread::Builder::new().name("fault".into());
        self.threads.push(thread.spawn(move || {
            let ended = work();
            shutdown.begin();
            ended
        })?);
        Ok(())
    }

    /// Waits until all have ended, which they do once a shutdown has begun; returns how many
    /// connections it had to cut.
    pub(crate) fn join(self) -> io::Result<usize> {
        let ended: Vec<_> = self.threads.into_iter().map(JoinHandle::join).collect();
        for ended in ended {
            ended.map_err(|_| io::Error::other("a thread that misbehaves has panicked"))??;
        }
        // A connection that all relays cut is one.
        Ok(self.relays.iter().map(|relay| relay.summary().cut).max().unwrap_or(0))
    }
}
