//! The epoll engine's turns, slots and timers, on sockets that tell of readiness as Linux does:
//! once, when it begins, and several changes as one.
//!
//! ```text
//! data, FIN, RST arrive, room appears ──▶ edge ──▶ event: what the socket is ready for by now
//! ```
//!
//! The loop is the worker's, without its poll and its listeners.

use std::{collections::VecDeque, io, mem, sync::Arc, time::Duration};

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
    engine::epoll::connection::{Connection, Ready, Stream, Turn},
    service::Service,
    slots::{Key, Slots},
    timers::Timers,
};

pub(super) struct Epoll {
    world: Shared,
    service: Arc<Service>,
    limits: EchoLimits,
    held: usize,
    connections: Slots<Watched>,
    timers: Timers,
    unfinished: VecDeque<Key>,
    hot: Vec<u8>,
    /// Events told at once, at most.
    batch: usize,
    /// Of a connection that is no more.
    stale: Option<Key>,
    drain: Option<Duration>,
}

struct Watched {
    end: End,
    connection: Connection,
    queued: bool,
    watches_writable: bool,
}

impl Epoll {
    pub(super) fn new(world: &Shared, frames: &Frames, limits: EchoLimits, slots: usize) -> Self {
        let (hot, batch) = {
            let rng = &mut world.borrow_mut().rng;
            (rng.pick(&[1, 7, 64, 1000]), rng.pick(&[1, 2, 8]))
        };
        Self {
            world: Shared::clone(world),
            service: service::new(frames, limits, slots),
            limits,
            held: service::held(&frames.codec),
            connections: Slots::new(),
            timers: Timers::default(),
            unfinished: VecDeque::new(),
            hot: vec![0; hot],
            batch,
            stale: None,
            drain: None,
        }
    }

    fn watched(&self) -> impl Iterator<Item = (Key, &Watched)> {
        self.connections.keys().filter_map(|key| self.connections.at(key.index))
    }

    /// What the kernel has to tell, at most a batch of it.
    fn events(&self) -> Vec<(Key, Ready)> {
        let world = &mut *self.world.borrow_mut();
        let mut events = Vec::new();
        for (key, watched) in self.watched() {
            let id = watched.end.id;
            if events.len() < self.batch && mem::take(&mut world.links[id].edge[SERVER]) {
                events.extend(readiness(world, watched).map(|ready| (key, ready)));
                world.note(id, What::Event, 0);
            }
        }
        if let Some(key) = self.stale.filter(|_| world.strikes(Fault::StaleEvent)) {
            events.push((key, Ready::MAYBE));
        }
        events
    }

    fn turn(
        &mut self,
        key: Key,
        now: Duration,
        turn: fn(&mut Connection, &mut End, &mut [u8], Duration) -> io::Result<Turn>,
    ) {
        let Some(watched) = self.connections.get_mut(key) else { return };
        let turned = turn(&mut watched.connection, &mut watched.end, &mut self.hot, now);
        let connection = &watched.connection;
        let kept = connection.kept();
        let most = self.limits.high_water + self.held;
        assert!(kept <= most, "{kept} bytes of memory");
        let (unsent, echo) = (connection.session().unsent(), &connection.session().echo);
        let useful = echo.reason().is_none() || turned.is_err() || kept == unsent;
        assert!(useful, "{kept} bytes of memory for {unsent} that will be sent");
        if connection.awaits_writable() && !watched.watches_writable {
            watched.watches_writable = true;
            self.world.borrow_mut().links[watched.end.id].edge[SERVER] = true;
        }
        match turned {
            Ok(Turn::Waits) => {}
            Ok(Turn::Unfinished) => {
                if !mem::replace(&mut watched.queued, true) {
                    self.unfinished.push_back(key);
                }
            }
            Ok(Turn::Ended) => return self.end(key, None, now),
            Err(error) => return self.end(key, Some(&error), now),
        }
        if !watched.connection.is_steady() {
            self.timers.arm_by(key.index, watched.connection.wake_at());
        }
    }

    fn end(&mut self, key: Key, failure: Option<&io::Error>, now: Duration) {
        self.timers.arm(key.index, None);
        let Watched { end, connection, .. } = self.connections.remove(key).unwrap();
        drop(end);
        connection.settle(failure, now);
        self.stale = Some(key);
    }

    fn arm(&mut self, key: Key, now: Duration) {
        if let Some(watched) = self.connections.get_mut(key) {
            let later = now.saturating_add(Duration::from_nanos(1));
            self.timers.arm(key.index, watched.connection.wake_at().map(|at| at.max(later)));
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
        let mut connection = Connection::new(service::session(&self.service, end.id, now));
        if let Some(begun) = self.drain {
            connection.drain(begun);
        }
        self.world.borrow_mut().links[end.id].edge[SERVER] = true;
        let watched = Watched { end, connection, queued: false, watches_writable: false };
        let key = self.connections.insert(watched).map_err(drop).unwrap();
        self.arm(key, now);
    }

    fn drain(&mut self) {
        let now = self.world.borrow().now;
        self.drain = Some(now);
        for key in self.connections.keys().collect::<Vec<_>>() {
            let connection = &mut self.connections.get_mut(key).unwrap().connection;
            connection.drain(now);
            self.timers.arm_by(key.index, connection.wake_at());
        }
    }

    fn is_ready(&self, world: &World) -> bool {
        let is_told = |watched: &Watched| {
            world.links[watched.end.id].edge[SERVER] && readiness(world, watched).is_some()
        };
        !self.unfinished.is_empty() || self.watched().any(|(_, watched)| is_told(watched))
    }

    fn wake_at(&self) -> Option<Duration> {
        self.timers.next()
    }

    fn turn(&mut self, ended: &mut Vec<(usize, Status)>) {
        let now = self.world.borrow().now;
        for (key, ready) in self.events() {
            let Some(watched) = self.connections.get_mut(key) else { continue };
            watched.connection.ready(ready);
            if !watched.queued {
                self.turn(key, now, Connection::turn);
            }
        }
        for _ in 0..self.unfinished.len() {
            let Some(key) = self.unfinished.pop_front() else { break };
            if let Some(watched) = self.connections.get_mut(key) {
                watched.queued = false;
                self.turn(key, now, Connection::turn);
            }
        }
        while let Some(index) = self.timers.ring(now) {
            if let Some((key, _)) = self.connections.at(index) {
                self.turn(key, now, Connection::tick);
                self.arm(key, now);
            }
        }
        service::ended(&self.service, ended);
    }

    fn statuses(&self, statuses: &mut Vec<(usize, Status)>) {
        service::statuses(self.watched().map(|(_, open)| open.connection.session()), statuses);
    }

    fn check_at_rest(&self) {
        assert!(self.connections.is_empty(), "connections are left");
        assert_eq!(self.service.admission.open(), 0, "slots are still taken");
        assert_eq!(self.timers.next(), None, "a timer is left");
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

/// What a socket is ready for, as an event would tell it now; none when there would be no event.
fn readiness(world: &World, watched: &Watched) -> Option<Ready> {
    let link = &world.links[watched.end.id];
    let ready = Ready {
        readable: link.is_readable(SERVER),
        writable: link.reset || watched.watches_writable && link.is_writable(SERVER),
        behind: link.reset || link.into[SERVER].fin_arrived,
    };
    (ready != Ready::default()).then_some(ready)
}
