//! The epoll engine's turns, slots and timers, on sockets that tell of readiness as Linux does:
//! once, when it begins, and several changes as one.
//!
//! ```text
//! data, FIN, RST arrive, room appears ──▶ edge ──▶ event: what the socket is ready for by now
//! ```
//!
//! What drives the turns is the worker's own; its poll and its listeners are not here.

use std::{io, sync::Arc, time::Duration};

use echo_core::EchoLimits;

use super::{
    engine::Engine,
    faults::Fault,
    link::SERVER,
    oracle::{Bounds, Status},
    script::Frames,
    service,
    world::{End, Shared, What, World},
};
use crate::{
    engine::epoll::{
        connection::{Ready, Stream},
        driver::{Driver, Watch},
    },
    service::Service,
    slots::Key,
};

pub(super) struct Epoll {
    world: Shared,
    service: Arc<Service>,
    limits: EchoLimits,
    held: usize,
    driver: Driver<End>,
    kernel: Kernel,
    /// Events told at once, at most.
    batch: usize,
}

/// What tells of readiness.
struct Kernel {
    world: Shared,
    /// Every connection there was, and its socket.
    known: Vec<(Key, usize)>,
    /// Sockets that are watched for being writable, too.
    writers: Vec<usize>,
}

impl Epoll {
    pub(super) fn new(world: &Shared, frames: &Frames, limits: EchoLimits, slots: usize) -> Self {
        let (hot, batch) = {
            let rng = &mut world.borrow_mut().rng;
            (rng.pick(&[1, 7, 64, 1000]), rng.pick(&[1, 2, 8]))
        };
        let kernel = Kernel { world: Shared::clone(world), known: Vec::new(), writers: Vec::new() };
        Self {
            world: Shared::clone(world),
            service: service::new(frames, limits, slots),
            limits,
            held: service::held(&frames.codec),
            driver: Driver::new(hot),
            kernel,
            batch,
        }
    }

    /// What the kernel has to tell, at most a batch of it.
    fn events(&self) -> Vec<(Key, Ready)> {
        let mut events = Vec::new();
        for (key, end, _) in self.driver.connections() {
            if events.len() < self.batch {
                events.extend(self.kernel.tells(end.id).map(|ready| (key, ready)));
            }
        }
        events.extend(self.kernel.stale().map(|key| (key, Ready::MAYBE)));
        events
    }

    /// No connection has more memory than it may, nor what is of no use.
    fn check_memory(&self) {
        let most = self.limits.high_water + self.held;
        for (_, _, connection) in self.driver.connections() {
            let (kept, session) = (connection.kept(), connection.session());
            assert!(kept <= most, "{kept} bytes of memory");
            let unsent = session.unsent();
            let useful = session.echo.reason().is_none() || kept == unsent;
            assert!(useful, "{kept} bytes of memory for {unsent} that will be sent");
        }
    }
}

impl Engine for Epoll {
    fn bounds(&self) -> Bounds {
        service::bounds(self.limits, self.limits.high_water + self.held)
    }

    fn has_room(&self) -> bool {
        self.service.admission.room() > 0
    }

    fn admit(&mut self, end: End) {
        let now = self.world.borrow().now;
        let session = service::session(&self.service, end.id, now);
        self.driver.admit(end, session, now, &mut self.kernel).unwrap();
    }

    fn drain(&mut self) {
        let now = self.world.borrow().now;
        self.driver.drain(now);
    }

    fn is_ready(&self, world: &World) -> bool {
        let is_told =
            |id: usize| world.links[id].edge[SERVER] && self.kernel.readiness(world, id).is_some();
        self.driver.is_pressing() || self.driver.connections().any(|(_, end, _)| is_told(end.id))
    }

    fn wake_at(&self) -> Option<Duration> {
        self.driver.wake_at()
    }

    fn turn(&mut self, ended: &mut Vec<(usize, Status)>) {
        let now = self.world.borrow().now;
        for (key, ready) in self.events() {
            self.driver.ready(key, ready, now, &mut self.kernel);
            self.check_memory();
        }
        self.driver.finish(now, &mut self.kernel);
        self.check_memory();
        service::ended(&self.service, ended);
    }

    fn statuses(&self, statuses: &mut Vec<(usize, Status)>) {
        service::statuses(self.driver.connections().map(|(_, _, open)| open.session()), statuses);
    }

    fn check_at_rest(&self) {
        assert!(self.driver.is_empty(), "connections are left");
        assert_eq!(self.service.admission.open(), 0, "slots are still taken");
        assert_eq!(self.driver.wake_at(), None, "a timer is left");
    }
}

impl Watch<End> for Kernel {
    fn input(&mut self, key: Key, end: &End) -> io::Result<()> {
        self.known.push((key, end.id));
        self.world.borrow_mut().links[end.id].edge[SERVER] = true;
        Ok(())
    }

    fn input_and_room(&mut self, _key: Key, end: &End) -> io::Result<()> {
        self.writers.push(end.id);
        self.world.borrow_mut().links[end.id].edge[SERVER] = true;
        Ok(())
    }
}

impl Kernel {
    /// What has changed on a socket since that was last told.
    fn tells(&self, id: usize) -> Option<Ready> {
        let world = &mut *self.world.borrow_mut();
        if !std::mem::take(&mut world.links[id].edge[SERVER]) {
            return None;
        }
        world.note(id, What::Event, 0);
        self.readiness(world, id)
    }

    /// At times, the last connection that is no more: an event of it was on its way.
    fn stale(&self) -> Option<Key> {
        let world = &mut *self.world.borrow_mut();
        let ended = self.known.iter().rev().find(|(_, id)| !world.links[*id].open[SERVER]);
        let (key, _) = *ended.filter(|_| world.strikes(Fault::StaleEvent))?;
        Some(key)
    }

    /// What a socket is ready for, as an event would tell it now; none when there would be no event.
    fn readiness(&self, world: &World, id: usize) -> Option<Ready> {
        let link = &world.links[id];
        let watches_writable = self.writers.contains(&id);
        let ready = Ready {
            readable: link.is_readable(SERVER),
            writable: link.reset || watches_writable && link.is_writable(SERVER),
            behind: link.reset || link.into[SERVER].fin_arrived,
        };
        (ready != Ready::default()).then_some(ready)
    }
}

impl Stream for End {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        End::read(self, into)
    }

    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        End::write(self, from)
    }

    fn shut_down_write(&mut self) -> io::Result<()> {
        self.shut_down()
    }
}
