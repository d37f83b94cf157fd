//! One relayed connection: bytes go both ways, and on the way back a spoiler decides.
//!
//! ```text
//! peer ──▶ up ──────────────────────────▶ service
//! peer ◀── Schedule ◀── Spoiler ◀──────── service
//! ```
//!
//! A spoiler that does nothing leaves a faithful relay: every byte, FIN and RST in both directions,
//! and no more in memory than what a schedule has room for.

use std::{
    io::{self, Read, Write},
    net::Shutdown as Half,
    ops::ControlFlow,
    path::Path,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags};
use socket2::{Domain, SockAddr, Socket, TcpKeepalive, Type};
use tracing::debug;

use crate::{
    fault::{
        schedule::{Schedule, Step},
        spoiler::{Gate, Spoiler},
    },
    service::Service,
    wait::wait_all,
};

/// Bytes in one read.
const READ_SIZE: usize = 64 << 10;

/// How often a gate is tried that is shut.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// How long a peer is silent until the system asks whether it is still there, and how often then. One
/// that is gone after its FIN does not show in any other way while nothing is sent.
const ASK_AFTER: Duration = Duration::from_secs(10);

/// How a connection ends: `Break` when it is over.
type Flow = ControlFlow<()>;

const GO_ON: Flow = ControlFlow::Continue(());
const OVER: Flow = ControlFlow::Break(());

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Over,
    /// By a shutdown whose time was up.
    Cut,
}

struct Connection<'a> {
    service: &'a Service,
    peer: Socket,
    /// The service behind.
    behind: Socket,
    spoiler: &'a mut dyn Spoiler,
    out: Schedule,
    /// From the peer, and not passed on yet; at most one read.
    up: Vec<u8>,
    buffer: Vec<u8>,
    state: State,
    /// The peer has sent FIN; then it was passed on.
    peer_done: bool,
    fin_passed: bool,
    /// The service has sent FIN; whenever the spoiler says so, the peer is sent one.
    ended: bool,
    fin_sent: bool,
    /// There are bytes that the peer does not take.
    is_stuck: bool,
    /// When bytes have moved last.
    moved: Instant,
    is_idle: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Relaying,
    Frozen,
    Vanished,
}

/// Relays until the connection is over or a shutdown's time is up.
pub(super) fn relay(
    peer: Socket,
    service: &Service,
    behind: &Path,
    spoiler: &mut dyn Spoiler,
) -> Ending {
    // Not on Unix sockets, whose end always shows.
    let _ =
        peer.set_tcp_keepalive(&TcpKeepalive::new().with_time(ASK_AFTER).with_interval(ASK_AFTER));
    spoiler.prepare(&peer);
    match admission(&peer, service, spoiler).and_then(|gate| Ok((gate, connect(behind)?))) {
        Ok((Gate::Open, behind)) => Connection::new(service, peer, behind, spoiler).run(),
        refused => {
            if let Err(error) = refused {
                debug!(%error, "cannot relay");
            }
            reset(&peer);
            Ending::Over
        }
    }
}

/// Waits until the gate is open. It counts as refused when the peer is gone or the service ends.
fn admission(peer: &Socket, service: &Service, spoiler: &mut dyn Spoiler) -> io::Result<Gate> {
    loop {
        let now = Instant::now();
        match spoiler.gate(now) {
            Gate::Shut if service.shutdown.has_begun() => return Ok(Gate::Refused),
            Gate::Shut => {}
            gate => return Ok(gate),
        }
        let mut fds =
            [PollFd::new(peer, PollFlags::empty()), PollFd::new(&*service.shutdown, PollFlags::IN)];
        wait_all(&mut fds, now.checked_add(LOOK_AGAIN))?;
        if !fds[0].revents().is_empty() {
            return Ok(Gate::Refused);
        }
    }
}

/// Never waits: a service whose backlog is full is as good as none.
fn connect(path: &Path) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket)
}

/// The close that comes next sends RST.
fn reset(socket: &Socket) {
    // When it fails, there is nobody who could be told.
    let _ = socket.set_linger(Some(Duration::ZERO));
}

/// Of a socket that does not wait: `None` when there is nothing to be done now.
fn now(done: io::Result<usize>) -> io::Result<Option<usize>> {
    match done {
        Ok(n) => Ok(Some(n)),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
            _ => Err(error),
        },
    }
}

impl<'a> Connection<'a> {
    fn new(
        service: &'a Service,
        peer: Socket,
        behind: Socket,
        spoiler: &'a mut dyn Spoiler,
    ) -> Self {
        let moved = Instant::now();
        let mut out = Schedule::new(moved);
        spoiler.connected(&mut out);
        Self {
            service,
            peer,
            behind,
            spoiler,
            out,
            up: Vec::new(),
            buffer: vec![0; READ_SIZE],
            state: State::Relaying,
            peer_done: false,
            fin_passed: false,
            ended: false,
            fin_sent: false,
            is_stuck: false,
            moved,
            is_idle: false,
        }
    }

    fn run(mut self) -> Ending {
        loop {
            let now = Instant::now();
            if self.service.shutdown.deadline().is_some_and(|deadline| now >= deadline) {
                return Ending::Cut;
            }
            self.out.tick(now);
            let is_open = self.spoiler.gate(now) == Gate::Open;
            if is_open && self.turn().is_break() || self.wait(is_open).is_break() {
                return Ending::Over;
            }
        }
    }

    /// Does what can be done without waiting.
    fn turn(&mut self) -> Flow {
        match self.state {
            State::Frozen => return GO_ON,
            State::Vanished => return self.forget(),
            State::Relaying => {}
        }
        self.take_back()?;
        self.take_from_peer()?;
        self.pass_on()?;
        if self.idle_since().is_some_and(|since| since <= self.out.now()) {
            self.is_idle = true;
            self.spoiler.idle(&mut self.out);
        }
        self.send()?;
        if self.peer_done && self.fin_sent { OVER } else { GO_ON }
    }

    /// From the service.
    fn take_back(&mut self) -> Flow {
        if self.ended || !self.has_room() {
            return GO_ON;
        }
        match now((&self.behind).read(&mut self.buffer)) {
            Ok(None) => {}
            Ok(Some(0)) => {
                self.ended = true;
                self.spoiler.ended(&mut self.out);
            }
            Ok(Some(n)) => {
                self.moved = self.out.now();
                self.spoiler.returned(&self.buffer[..n], &mut self.out);
            }
            Err(_) => return self.cut(),
        }
        GO_ON
    }

    fn take_from_peer(&mut self) -> Flow {
        if self.peer_done || !self.up.is_empty() {
            return GO_ON;
        }
        match now((&self.peer).read(&mut self.buffer)) {
            Ok(None) => {}
            Ok(Some(0)) => {
                self.peer_done = true;
                self.spoiler.peer_done(&mut self.out);
            }
            Ok(Some(n)) => {
                self.moved = self.out.now();
                self.up.extend_from_slice(&self.buffer[..n]);
            }
            Err(_) => return self.was_reset(),
        }
        GO_ON
    }

    /// To the service.
    fn pass_on(&mut self) -> Flow {
        if !self.up.is_empty() {
            match now((&self.behind).write(&self.up)) {
                Ok(n) => drop(self.up.drain(..n.unwrap_or(0))),
                Err(_) => return self.cut(),
            }
        }
        if self.peer_done && self.up.is_empty() && !self.fin_passed {
            self.fin_passed = true;
            if self.behind.shutdown(Half::Write).is_err() {
                return self.cut();
            }
        }
        GO_ON
    }

    /// Takes the steps whose time has come.
    fn send(&mut self) -> Flow {
        let mut is_stuck = false;
        while let Some(step) = self.out.first() {
            match step {
                // Nothing comes after a FIN.
                Step::Send(_) | Step::Fin if self.fin_sent => self.out.done(usize::MAX),
                Step::Send(bytes) => match now((&self.peer).write(bytes)) {
                    Ok(None) => {
                        is_stuck = true;
                        break;
                    }
                    Ok(Some(n)) => {
                        self.moved = self.out.now();
                        self.out.done(n);
                    }
                    Err(_) => return self.was_reset(),
                },
                Step::Fin => {
                    self.fin_sent = true;
                    self.out.done(0);
                    if self.peer.shutdown(Half::Write).is_err() {
                        return self.was_reset();
                    }
                }
                Step::Close => return OVER,
                Step::Reset => return self.cut(),
                Step::Freeze => {
                    self.state = State::Frozen;
                    break;
                }
                Step::Vanish => {
                    self.state = State::Vanished;
                    break;
                }
            }
        }
        if is_stuck != self.is_stuck {
            self.is_stuck = is_stuck;
            self.spoiler.stuck(is_stuck);
        }
        GO_ON
    }

    /// What the peer says is of no interest any more.
    fn forget(&mut self) -> Flow {
        match now((&self.peer).read(&mut self.buffer)) {
            Ok(Some(0)) => self.peer_done = true,
            Ok(_) => {}
            Err(_) => return OVER,
        }
        GO_ON
    }

    /// The service has cut the connection, or the fault does: the peer is told by RST.
    fn cut(&self) -> Flow {
        reset(&self.peer);
        OVER
    }

    fn was_reset(&mut self) -> Flow {
        self.spoiler.peer_reset();
        OVER
    }

    fn has_room(&self) -> bool {
        self.out.weight() < self.spoiler.room()
    }

    /// Since when, or from when on, nothing moves for too long.
    fn idle_since(&self) -> Option<Instant> {
        if self.is_idle {
            return None;
        }
        self.moved.checked_add(self.spoiler.idle_limit()?)
    }

    /// Until there is something to do.
    fn wait(&mut self, is_open: bool) -> Flow {
        let relays = is_open && self.state == State::Relaying;
        let of_peer = [
            (PollFlags::IN, !self.peer_done && (relays && self.up.is_empty() || self.forgets())),
            (PollFlags::OUT, relays && self.is_stuck),
        ];
        let of_behind = [
            (PollFlags::IN, relays && !self.ended && self.has_room()),
            (PollFlags::OUT, relays && !self.up.is_empty()),
        ];
        let [of_peer, of_behind] = [of_peer, of_behind].map(wanted);
        let mut fds = vec![PollFd::new(&self.peer, of_peer)];
        // Its end is noticed when we look; until our FIN has reached it, it should not have ended.
        let looks_behind = !of_behind.is_empty() || relays && !self.fin_passed;
        if looks_behind {
            fds.push(PollFd::new(&self.behind, of_behind));
        }
        let shutdown = &self.service.shutdown;
        if !shutdown.has_begun() {
            fds.push(PollFd::new(&**shutdown, PollFlags::IN));
        }
        // What waits for its time, but not for the peer.
        let due = self.out.due().filter(|_| relays && !self.is_stuck);
        let idle = self.idle_since().filter(|_| relays);
        let again = self.out.now().checked_add(LOOK_AGAIN).filter(|_| !is_open);
        let deadlines = [due, idle, again, shutdown.deadline()];
        if let Err(error) = wait_all(&mut fds, deadlines.into_iter().flatten().min()) {
            debug!(%error, "cannot wait");
            return self.cut();
        }
        let peer = fds[0].revents();
        let behind = fds[1..].first().filter(|_| looks_behind).map(PollFd::revents);
        if peer.contains(PollFlags::ERR) {
            return self.was_reset();
        }
        // Both directions have ended.
        if peer.contains(PollFlags::HUP) && (self.peer_done || !relays) {
            return OVER;
        }
        let is_closed = behind.is_some_and(|events| events.contains(PollFlags::HUP));
        if is_closed && !self.fin_passed && (self.ended || !self.has_room()) {
            return self.cut();
        }
        GO_ON
    }

    fn forgets(&self) -> bool {
        self.state == State::Vanished
    }
}

fn wanted(events: [(PollFlags, bool); 2]) -> PollFlags {
    let wanted = events.into_iter().filter(|(_, is_wanted)| *is_wanted);
    wanted.fold(PollFlags::empty(), |all, (event, _)| all | event)
}
