//! Completions: what is to be done is handed to the kernel in batches, what is done comes back.
//!
//! ```text
//!           ┌─────────────────────── one turn ───────────────────────┐
//! enter ──▶ reap ──▶ Driver: received ▶ send, sent ▶ buffers back ──▶ accepted ──▶ enter
//! (submits, waits)                                                    (submits, ..)
//! ```
//!
//! A turn takes one system call and one look at the clock, however many connections have sent
//! something. A connection is accepted and received from by requests that stay in force; an echo
//! is one more request, answered only when it could not be sent at once.

pub(crate) mod driver;
mod probe;
mod ring;

pub(super) use probe::probe;

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::io::Errno;
use socket2::Socket;
use tracing::warn;

use self::{
    driver::{Driver, KEPT},
    ring::{Accept, Batch, Uring, Wait},
};
use super::{CUT_GRACE, Work};
use crate::{
    acceptor::{Accepted, Acceptor},
    admission::{Seat, Slot},
    listener::{BACKLOG, Listener},
    service::Service,
    session::Session,
    spin::Spin,
};

/// Connections let in before it is the others' turn: what they ask for fits into one submission.
const MAX_ADMITTED: usize = 256;

/// What is polled for.
const BELL: usize = 0;
const TOLD: usize = 1;

/// A worker that serves until a shutdown has begun and every connection has ended or was cut.
///
/// # Errors
/// When the system has not what it takes, such as a descriptor.
pub(super) fn prepare(listeners: Vec<Listener>, service: &Arc<Service>) -> io::Result<Work> {
    let spin = service.config.spin;
    let worker = Worker {
        doors: listeners.iter().map(|_| Door::Shut).collect(),
        acceptor: Acceptor::new(service, listeners)?,
        service: Arc::clone(service),
        ring: Uring::new(!spin.is_zero())?,
        driver: Driver::new(),
        early: VecDeque::new(),
        unfinished: false,
        changed: true,
        paused: false,
        told: false,
        cut: false,
        submits: false,
        spin: Spin::new(spin),
    };
    Ok(Box::new(|| worker.run()))
}

struct Worker {
    service: Arc<Service>,
    acceptor: Acceptor,
    /// By listener.
    doors: Vec<Door>,
    ring: Uring,
    driver: Driver<Uring>,
    /// Accepted before there was room: they wait as those in the backlog do.
    early: VecDeque<OwnedFd>,
    /// Whether it was the others' turn before all of them were let in for whom there is room.
    unfinished: bool,
    /// Whether something has changed that the doors depend on.
    changed: bool,
    /// Whether that may come by itself, when a pause is over.
    paused: bool,
    /// Whether the connections were told that the service ends.
    told: bool,
    /// Whether those left at the deadline were cut.
    cut: bool,
    /// Whether the last enter only submitted.
    submits: bool,
    spin: Spin,
}

/// A listener, as the ring knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Shut,
    /// An accept is in force, for one or for everyone.
    Open {
        everyone: bool,
    },
    /// It was cancelled, and its last completion is still to come.
    Closing,
    /// Its backlog was taken; nobody else is let in.
    Done,
}

impl Worker {
    fn run(mut self) -> io::Result<()> {
        self.ring.enable()?;
        self.ring.poll(BELL, self.acceptor.bell().as_fd());
        self.ring.poll(TOLD, self.service.shutdown.as_fd());
        let mut batch = Batch::default();
        let mut now = self.service.now();
        loop {
            self.end_when_told();
            self.mind_doors(now);
            if self.is_over() {
                return Ok(());
            }
            let wait = self.wait(&mut now)?;
            if matches!(wait, Wait::Forever | Wait::AtMost(_)) {
                batch.shrink();
                self.early.shrink_to(KEPT);
                self.ring.shrink();
                self.driver.shrink();
            }
            let submitted = self.ring.enter(wait)?;
            now = self.service.now();
            self.ring.reap(&mut batch);
            if !batch.is_empty() {
                self.spin.worked(now);
            }
            self.driver.turn(&mut batch.connections, submitted, now, &mut self.ring);
            for accept in batch.accepted.drain(..) {
                self.accepted(accept);
            }
            for polled in batch.polled.drain(..) {
                if polled == BELL {
                    self.acceptor.bell().silence();
                    self.ring.poll(BELL, self.acceptor.bell().as_fd());
                    self.changed = true;
                }
            }
        }
    }

    /// How long to wait for completions; looks for them here before, as long as `--spin` says.
    fn wait(&mut self, now: &mut Duration) -> io::Result<Wait> {
        if self.driver.is_pressing() || self.unfinished {
            // What was submitted before may have brought more of the same: others have a turn, too.
            self.submits = !self.submits;
            return Ok(if self.submits { Wait::Submit } else { Wait::No });
        }
        self.submits = false;
        if self.spin.goes_on(*now) {
            self.ring.enter(Wait::Submit)?;
            let rest_ends = self.rest(*now).map(|rest| now.saturating_add(rest));
            while self.spin.goes_on(*now) {
                if self.ring.has_work() || rest_ends.is_some_and(|at| at <= *now) {
                    return Ok(Wait::No);
                }
                std::hint::spin_loop();
                *now = self.service.now();
            }
        }
        Ok(self.rest(*now).map_or(Wait::Forever, Wait::AtMost))
    }

    /// For how long there is nothing to do but for what the ring brings.
    fn rest(&mut self, now: Duration) -> Option<Duration> {
        let pause = if self.paused { self.acceptor.pause() } else { None };
        let deadline =
            self.service.shutdown.deadline().map(|at| if self.cut { at + CUT_GRACE } else { at });
        let until = |at: Instant| at.saturating_duration_since(Instant::now());
        let turn = self.driver.wake_at().map(|at| at.saturating_sub(now));
        [turn, pause.map(until), deadline.map(until)].into_iter().flatten().min()
    }

    /// Passes a shutdown on: to everyone once, to those who are left when its time is over.
    ///
    /// The time is asked for anew: who is cut is late by it, not only by the deadline.
    fn end_when_told(&mut self) {
        let was_told = self.told;
        if !self.told && self.service.shutdown.has_begun() {
            self.told = true;
            self.changed = true;
            self.driver.drain(self.service.now(), &mut self.ring);
        }
        let deadline = self.service.shutdown.deadline().filter(|_| self.told && !self.cut);
        if deadline.is_some_and(|at| at <= Instant::now()) {
            self.cut = true;
            self.changed = true;
            self.driver.cut(self.service.now(), &mut self.ring);
            // A door that is shut, and not done, after a look at who is behind it, had to rest.
            if !self.early.is_empty() || was_told && self.doors.contains(&Door::Shut) {
                warn!("connections in the backlog were not served in time");
            }
        }
    }

    /// Opens and closes the doors, and lets in who can be.
    fn mind_doors(&mut self, now: Duration) {
        if !self.changed && !self.paused && !self.unfinished {
            return;
        }
        self.changed = false;
        // Before the doors: a pause that is over by then opens them.
        self.paused = self.acceptor.pause().is_some();
        self.unfinished = self.early.len() > MAX_ADMITTED;
        for _ in 0..MAX_ADMITTED {
            let Some(socket) = self.early.pop_front() else { break };
            if self.service.config.once && self.acceptor.is_done() {
                self.early.clear();
                break;
            }
            let Some(slot) = self.acceptor.reserve() else {
                self.early.push_front(socket);
                self.unfinished = false; // there is no room
                break;
            };
            self.admit(slot, socket, now);
        }
        let is_done = self.acceptor.is_done();
        let rests = !self.early.is_empty() || self.acceptor.rests();
        // An accept that goes on takes a whole backlog in, whether there is room for it or not.
        let fits = self.service.admission.room() >= usize::from(BACKLOG);
        let everyone = fits && !self.service.config.once;
        for which in 0..self.doors.len() {
            match self.doors[which] {
                Door::Open { everyone: open } if is_done || rests || open && !everyone => {
                    self.ring.cancel_accept(which);
                    self.doors[which] = Door::Closing;
                }
                Door::Shut if is_done => self.take_backlog(which, now),
                Door::Shut if !rests => {
                    let listener = self.acceptor.listeners()[which].as_fd();
                    self.ring.accept(which, listener, everyone);
                    self.doors[which] = Door::Open { everyone };
                }
                _ => {}
            }
        }
    }

    /// Nobody else is to come, but who is in the backlog was told by the kernel that we are here.
    fn take_backlog(&mut self, which: usize, now: Duration) {
        let is_wanted = !self.service.config.once && !self.cut;
        // More than the system keeps waiting were not there when the service ended.
        let most = if is_wanted { BACKLOG } else { 0 };
        for _ in 0..most {
            match self.acceptor.accept(which) {
                Accepted::Connection(socket, seat) => self.serve(socket, seat, now),
                Accepted::GoOn => {}
                Accepted::NoneWaiting => break,
                Accepted::Rest => {
                    self.paused = self.acceptor.pause().is_some();
                    return;
                }
            }
        }
        self.doors[which] = Door::Done;
        if self.doors.iter().all(|door| *door == Door::Done) {
            self.acceptor.close();
        }
    }

    fn accepted(&mut self, accept: Accept) {
        self.changed = true;
        if !accept.goes_on {
            self.doors[accept.listener] = Door::Shut;
        }
        match accept.result {
            Ok(socket) => self.early.push_back(socket),
            Err(error) if error.raw_os_error() == Some(Errno::CANCELED.raw_os_error()) => {}
            Err(error) => drop(self.acceptor.refused(&error)),
        }
    }

    fn admit(&mut self, slot: Slot, socket: OwnedFd, now: Duration) {
        let admitted = self.acceptor.admit(slot, Socket::from(socket));
        if let Accepted::Connection(socket, seat) = admitted {
            self.serve(socket, seat, now);
        }
    }

    fn serve(&mut self, socket: Socket, seat: Seat, now: Duration) {
        self.driver.admit(socket.into(), Session::new(seat, now), now, &mut self.ring);
    }

    /// True when nobody is left, or the kernel does not let go of who was cut.
    fn is_over(&self) -> bool {
        let shut = self.early.is_empty() && self.doors.iter().all(|door| *door == Door::Done);
        if self.driver.is_empty() && (shut || self.cut) {
            return true;
        }
        let deadline = self.service.shutdown.deadline().filter(|_| self.cut);
        if deadline.is_none_or(|at| Instant::now() < at + CUT_GRACE) {
            return false;
        }
        self.service.abandon(self.driver.open());
        true
    }
}
