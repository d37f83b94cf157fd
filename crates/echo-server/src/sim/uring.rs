//! The driver of the uring engine, on a ring whose kernel does what a real one may do: answers in
//! any order, late, short, all at once, or with an end that nobody asked for.
//!
//! ```text
//! driver ── push ──▶ pushed ── submit ──▶ under way ── progress ──▶ completed ── reap ──▶ driver
//!                                             │  ▲
//!                             receives take buffers, which come back with the next submission
//! ```

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use echo_core::EchoLimits;
use rustix::io::Errno;

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
    engine::uring::driver::{
        Completion, Driver, Group, LARGE, Lease, Received, Request, Ring, SMALL,
    },
    service::Service,
    slots::Key,
};

/// Completions that one receive leads to before it is the others' turn.
const RETRIES: usize = 32;

pub(super) struct Uring {
    world: Shared,
    service: Arc<Service>,
    limits: EchoLimits,
    held: usize,
    driver: Driver<Kernel>,
    ring: Kernel,
    /// Whether everything pushed was submitted.
    submitted: bool,
    batch: Vec<(Key, Completion)>,
}

/// The other side of the ring.
struct Kernel {
    world: Shared,
    pushed: VecDeque<(Key, Op)>,
    receives: Vec<(Key, usize, Group)>,
    sends: Vec<(Key, usize, Vec<u8>, usize)>,
    completed: Vec<(Key, Completion)>,
    /// By number.
    buffers: Vec<Buffer>,
    /// How much the kernel puts into one buffer at most.
    size: usize,
    /// The last submission was not taken in full.
    refused: bool,
    /// Every connection there was, and its socket.
    known: Vec<(Key, usize)>,
}

enum Op {
    Receive(usize, Group),
    SendNow { id: usize, buffer: u16, start: usize, end: usize },
    Send(usize, Vec<u8>, usize),
    CancelReceive,
    CancelSend,
}

#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    owner: Owner,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Owner {
    #[default]
    Kernel,
    Driver,
    /// Given back, but the kernel has not heard of it.
    OnItsWay,
}

impl Uring {
    pub(super) fn new(world: &Shared, frames: &Frames, limits: EchoLimits, slots: usize) -> Self {
        let buffers = SMALL.count + LARGE.count;
        let ring = Kernel {
            world: Shared::clone(world),
            pushed: VecDeque::new(),
            receives: Vec::new(),
            sends: Vec::new(),
            completed: Vec::new(),
            buffers: (0..buffers).map(Buffer::at_first).collect(),
            size: world.borrow_mut().rng.pick(&[1, 10, 64]),
            refused: false,
            known: Vec::new(),
        };
        Self {
            world: Shared::clone(world),
            service: service::new(frames, limits, slots),
            limits,
            held: service::held(&frames.codec),
            driver: Driver::new(),
            ring,
            submitted: true,
            batch: Vec::new(),
        }
    }
}

impl Buffer {
    /// As it is at first: the driver has those that the ring is not to have yet.
    fn at_first(number: u16) -> Self {
        let is_kept = number >= Group::Large.first() + LARGE.at_first;
        let owner = if is_kept { Owner::Driver } else { Owner::Kernel };
        Self { owner, ..Self::default() }
    }
}

impl Engine for Uring {
    fn bounds(&self) -> Bounds {
        let lent = self.ring.buffers.len() * self.ring.size;
        let unsent = self.limits.high_water + self.held + 4 * lent;
        let goes_on = self.driver.is_pressing() || !self.submitted;
        Bounds { lags: true, goes_on, ..service::bounds(self.limits, unsent) }
    }

    fn has_room(&self) -> bool {
        self.service.admission.room() > 0
    }

    fn admit(&mut self, end: End) {
        let now = self.world.borrow().now;
        let session = service::session(&self.service, end.id, now);
        self.driver.admit(end, session, now, &mut self.ring);
        self.submitted &= self.ring.submit();
    }

    fn drain(&mut self) {
        let now = self.world.borrow().now;
        self.driver.drain(now, &mut self.ring);
        self.submitted &= self.ring.submit();
    }

    fn is_ready(&self, world: &World) -> bool {
        self.driver.is_pressing() || !self.submitted || self.ring.can_progress(world)
    }

    fn wake_at(&self) -> Option<Duration> {
        self.driver.wake_at()
    }

    fn turn(&mut self, ended: &mut Vec<(usize, Status)>) {
        let now = self.world.borrow().now;
        self.ring.progress();
        self.ring.reap(&mut self.batch);
        self.driver.turn(&mut self.batch, self.submitted, now, &mut self.ring);
        assert!(self.batch.is_empty(), "completions are left");
        self.ring.check_sockets();
        self.submitted = self.ring.submit();
        service::ended(&self.service, ended);
    }

    fn statuses(&self, statuses: &mut Vec<(usize, Status)>) {
        service::statuses(self.driver.sessions(), statuses);
    }

    fn check_at_rest(&self) {
        let ring = &self.ring;
        assert!(self.driver.is_empty(), "connections are left");
        assert_eq!(self.service.admission.open(), 0, "slots are still taken");
        assert_eq!(self.driver.wake_at(), None, "a timer is left");
        assert!(ring.receives.is_empty() && ring.sends.is_empty(), "requests are under way");
        let lent = ring.buffers.iter().filter(|buffer| buffer.owner == Owner::Driver).count();
        assert_eq!(lent, self.driver.reserved(), "buffers did not come back");
    }
}

impl Ring for Kernel {
    type Socket = End;

    fn push(&mut self, key: Key, request: Request<'_, End>) {
        let op = match request {
            Request::Receive { socket, group } => Op::Receive(socket.id, group),
            Request::SendNow { socket, lease, start, end } => {
                let (start, end) = (start as usize, end as usize);
                Op::SendNow { id: socket.id, buffer: lease.0, start, end }
            }
            Request::Send { socket, bytes, start } => Op::Send(socket.id, bytes, start),
            Request::CancelReceive => Op::CancelReceive,
            Request::CancelSend => Op::CancelSend,
        };
        match op {
            Op::Receive(id, _) if self.known.iter().all(|(_, of)| *of != id) => {
                self.known.push((key, id));
            }
            _ => {}
        }
        self.pushed.push_back((key, op));
    }

    fn bytes(&self, lease: &Lease) -> &[u8] {
        let buffer = &self.buffers[usize::from(lease.0)];
        assert_eq!(buffer.owner, Owner::Driver, "a look at a buffer of the kernel's");
        &buffer.bytes
    }

    fn give_back(&mut self, lease: Lease) {
        let buffer = &mut self.buffers[usize::from(lease.0)];
        assert_eq!(buffer.owner, Owner::Driver, "a buffer came back twice");
        buffer.owner = Owner::OnItsWay;
    }

    fn has_input(&self, socket: &End) -> bool {
        self.world.borrow().links[socket.id].is_readable(SERVER)
    }

    fn untaken(&self, socket: &End) -> usize {
        self.world.borrow().links[socket.id].untaken(SERVER)
    }

    fn send_fin(&mut self, socket: &End) -> io::Result<()> {
        socket.shut_down()
    }
}

impl Kernel {
    /// Takes what was pushed, and the buffers that came back; false when some of it has to wait.
    fn submit(&mut self) -> bool {
        let mut left = self.pushed.len();
        if left > 0 {
            let world = &mut *self.world.borrow_mut();
            self.refused = !self.refused && world.strikes(Fault::PartialSubmit);
            if self.refused {
                world.effects += 1;
                left = world.rng.below(left + 1);
            }
        }
        for _ in 0..left {
            let Some((key, op)) = self.pushed.pop_front() else { break };
            self.world.borrow_mut().note(key.index as usize, What::Submitted, 0);
            self.start(key, op);
        }
        if self.pushed.is_empty() {
            // Until then, one that was given back early may still be named in a request.
            let back = self.buffers.iter_mut().filter(|buffer| buffer.owner == Owner::OnItsWay);
            for buffer in back {
                buffer.bytes.fill(0xee);
                buffer.owner = Owner::Kernel;
            }
        }
        self.pushed.is_empty()
    }

    fn start(&mut self, key: Key, op: Op) {
        match op {
            Op::Receive(id, group) => {
                let twice = self.receives.iter().any(|(other, ..)| *other == key);
                assert!(!twice, "two receives at once");
                self.receives.push((key, id, group));
            }
            Op::SendNow { id, buffer, start, end } => {
                let buffer = &self.buffers[usize::from(buffer)];
                assert_eq!(buffer.owner, Owner::Driver, "a send from a buffer that is not ours");
                let bytes = &buffer.bytes[start..end];
                let result = send(&mut self.world.borrow_mut(), id, bytes);
                if result != Some(result_of(bytes.len())) {
                    let result = result.unwrap_or(-Errno::AGAIN.raw_os_error());
                    self.completed.push((key, Completion::NotSent { result }));
                }
            }
            Op::Send(id, bytes, start) => {
                let twice = self.sends.iter().any(|(other, ..)| *other == key);
                assert!(!twice, "two sends at once");
                self.sends.push((key, id, bytes, start));
                self.progress_send(key);
            }
            Op::CancelReceive => {
                if self.strikes(Fault::CancelRace) {
                    self.progress_receive(key);
                }
                if let Some(at) = self.receives.iter().position(|(other, ..)| *other == key) {
                    self.receives.swap_remove(at);
                    self.ended(key, -Errno::CANCELED.raw_os_error());
                }
            }
            Op::CancelSend => {
                if self.strikes(Fault::CancelRace) {
                    self.progress_send(key);
                }
                if let Some(at) = self.sends.iter().position(|(other, ..)| *other == key) {
                    let (_, _, bytes, _) = self.sends.swap_remove(at);
                    let result = -Errno::CANCELED.raw_os_error();
                    self.completed.push((key, Completion::Sent { result, bytes }));
                }
            }
        }
    }

    /// Whether there is a completion, or would be one.
    fn can_progress(&self, world: &World) -> bool {
        let readable = |id: usize| world.links[id].is_readable(SERVER);
        let woken = |id: usize| world.links[id].wakes_writer(SERVER);
        !self.completed.is_empty()
            || self.receives.iter().any(|(_, id, _)| readable(*id))
            || self.sends.iter().any(|(_, id, ..)| woken(*id))
    }

    /// Carries out what can be by now.
    fn progress(&mut self) {
        if self.strikes(Fault::Burst) {
            self.world.borrow_mut().effects += 1;
            return; // it all comes later, and at once
        }
        let receives = self.receives.iter().map(|(key, ..)| (*key, true));
        let sends = self.sends.iter().map(|(key, ..)| (*key, false));
        let mut keys: Vec<(Key, bool)> = receives.chain(sends).collect();
        if keys.len() > 1 && self.strikes(Fault::OutOfOrder) {
            let by = self.world.borrow_mut().rng.below(keys.len());
            keys.rotate_left(by);
            keys.reverse();
        }
        for (key, receives) in keys {
            if receives {
                self.progress_receive(key);
            } else if self.wakes_sender(key) {
                self.progress_send(key);
            }
        }
    }

    fn progress_receive(&mut self, key: Key) {
        let Some(at) = self.receives.iter().position(|(other, ..)| *other == key) else { return };
        let (_, id, group) = self.receives[at];
        for _ in 0..RETRIES {
            if !self.world.borrow().links[id].is_readable(SERVER) {
                return;
            }
            let ends = self.strikes(Fault::MultishotEnds);
            let first = usize::from(group.first());
            let numbers = first..first + usize::from(group.buffers().count);
            let mut free = numbers.filter(|n| self.buffers[*n].owner == Owner::Kernel);
            let Some(number) = free.next().filter(|_| !self.strikes(Fault::BufferExhaustion))
            else {
                self.receives.swap_remove(at);
                return self.ended(key, -Errno::NOBUFS.raw_os_error());
            };
            let buffer = &mut self.buffers[number];
            buffer.bytes.resize(self.size, 0);
            let result = self.world.borrow_mut().read(id, SERVER, &mut buffer.bytes);
            let result = match result {
                Ok(n) if n > 0 => {
                    buffer.owner = Owner::Driver;
                    let lease = u16::try_from(number).ok().map(Lease);
                    let left_some = self.world.borrow().links[id].into[SERVER].there() > 0;
                    let result = result_of(n);
                    let filled = n == self.size;
                    let received = Received { result, lease, goes_on: !ends, filled, left_some };
                    self.completed.push((key, Completion::Received(received)));
                    if ends {
                        self.receives.swap_remove(at);
                        return;
                    }
                    continue;
                }
                Ok(_) => 0,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => -errno(&error),
            };
            self.receives.swap_remove(at);
            return self.ended(key, result);
        }
    }

    /// Whether a waiting send is tried again.
    fn wakes_sender(&self, key: Key) -> bool {
        let mut sends = self.sends.iter();
        let links = &self.world.borrow().links;
        sends.any(|(other, id, ..)| *other == key && links[*id].wakes_writer(SERVER))
    }

    fn progress_send(&mut self, key: Key) {
        let Some(at) = self.sends.iter().position(|(other, ..)| *other == key) else { return };
        let (_, id, bytes, start) = &self.sends[at];
        if !self.world.borrow().links[*id].is_writable(SERVER) {
            return;
        }
        let Some(result) = send(&mut self.world.borrow_mut(), *id, &bytes[*start..]) else {
            return;
        };
        let (_, _, bytes, _) = self.sends.swap_remove(at);
        self.completed.push((key, Completion::Sent { result, bytes }));
    }

    /// A receive has ended without bytes.
    fn ended(&mut self, key: Key, result: i32) {
        self.completed.push((key, Completion::Received(last(result))));
    }

    /// Hands over what is completed, and at times something of a connection that is no more.
    fn reap(&mut self, batch: &mut Vec<(Key, Completion)>) {
        let world = &mut *self.world.borrow_mut();
        world.effects += usize::from(!self.completed.is_empty());
        batch.append(&mut self.completed);
        for (key, _) in &*batch {
            world.note(key.index as usize, What::Completed, 0);
        }
        let ended = self.known.iter().rev().find(|(_, id)| !world.links[*id].open[SERVER]);
        let Some((stale, _)) = ended.filter(|_| world.strikes(Fault::StaleToken)) else { return };
        let completion = match world.rng.below(4) {
            0 => Completion::Sent { result: 5, bytes: vec![0; 5] },
            1 => Completion::NotSent { result: 1 },
            2 => Completion::Received(last(0)),
            _ => Completion::Received(last(-Errno::CONNRESET.raw_os_error())),
        };
        let at = world.rng.below(batch.len() + 1);
        batch.insert(at, (*stale, completion));
    }

    /// A socket may be closed only when nothing that names it is left.
    fn check_sockets(&self) {
        let world = self.world.borrow();
        let pushed = self.pushed.iter().filter_map(|(_, op)| match op {
            Op::Receive(id, _) | Op::SendNow { id, .. } | Op::Send(id, ..) => Some(*id),
            Op::CancelReceive | Op::CancelSend => None,
        });
        let receives = self.receives.iter().map(|(_, id, _)| *id);
        let sends = self.sends.iter().map(|(_, id, ..)| *id);
        for id in pushed.chain(receives).chain(sends) {
            assert!(world.links[id].open[SERVER], "#{id}: closed while a request is under way");
        }
    }

    fn strikes(&self, fault: Fault) -> bool {
        self.world.borrow_mut().strikes(fault)
    }
}

/// Sends what there is room for; `None` when there is none now.
fn send(world: &mut World, id: usize, bytes: &[u8]) -> Option<i32> {
    let short = bytes.len() > 1 && world.strikes(Fault::ShortCompletion);
    let n = if short { world.rng.between(1, bytes.len() - 1) } else { bytes.len() };
    match world.write(id, SERVER, &bytes[..n]) {
        Ok(0) => None,
        Ok(n) => Some(result_of(n)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        Err(error) => Some(-errno(&error)),
    }
}

fn last(result: i32) -> Received {
    Received { result, lease: None, goes_on: false, filled: false, left_some: false }
}

fn result_of(n: usize) -> i32 {
    i32::try_from(n).unwrap()
}

fn errno(error: &io::Error) -> i32 {
    let errno = match error.kind() {
        io::ErrorKind::Interrupted => Errno::INTR,
        io::ErrorKind::BrokenPipe => Errno::PIPE,
        _ => Errno::CONNRESET,
    };
    errno.raw_os_error()
}
