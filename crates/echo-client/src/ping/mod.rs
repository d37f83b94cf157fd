//! `ping`: one probe at a time, and how long each is on its way.
//!
//! ```text
//! slot 0          slot 1          slot 2            start + k * interval, whatever comes back
//!   |               |               |
//!   send ──▶ back   send ─────────────▶ back, late
//!   |<-rtt-->|      |<--- wait --->|
//!                                  lost, unless it comes later
//! ```
//!
//! A round trip is timed from before the system call that sends to after the one that receives the
//! last byte; everything else, verification too, is done outside. With `-i 0s` nothing but these two
//! calls is on the way from one probe to the next.

mod args;
mod datagram;
#[cfg_attr(not(target_os = "linux"), path = "kernel_elsewhere.rs")]
mod kernel;
mod output;
mod path;
mod stream;
mod tally;

use std::{
    collections::VecDeque,
    io,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use echo_cli::Endpoint;
use socket2::Socket;

use crate::{
    ConnectError, Ending,
    args::Globals,
    figures, interrupt, message,
    pattern::{Damage, DamageKind, Pattern},
};
pub(crate) use args::PingArgs;
use datagram::DatagramPath;
use kernel::KernelView;
use output::Output;
pub(crate) use path::{Arrival, Path};
use path::{TICK, Wire};
use stream::StreamPath;
use tally::{Millis, Tally};

/// Probes that are remembered, to know them when they come late or again.
const MAX_REMEMBERED: usize = 1024;

/// The least time from one failure of a connection to the next attempt.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Sends probes until it is enough, and tells what became of them.
///
/// # Errors
/// Usage and local errors, and [`ConnectError`] when there is no connection to begin with.
pub(crate) fn run(args: &PingArgs, globals: &Globals) -> anyhow::Result<Ending> {
    message::check_size(&args.target, args.size)?;
    let interrupted = interrupt::flag()?;
    let mut session = Session::new(args, globals)?;
    session.run(&interrupted)?;
    session.tell()
}

/// A run.
struct Session<'a> {
    args: &'a PingArgs,
    globals: &'a Globals,
    output: Output,
    tally: Tally,
    seed: u64,
    connection: Option<Connection>,
    /// Connections that were tried.
    connections: u32,
    /// The youngest probes, in order, without a gap.
    probes: VecDeque<Probe>,
    /// How many of them are waited for, and how many before the first of those are not.
    awaited: usize,
    settled: usize,
    /// Probes that were begun: the last is `seq=begun`.
    begun: u64,
    /// The last one that was found damaged.
    damaged: u64,
    start: Instant,
    /// When the next probe is due.
    slot: Instant,
}

struct Connection {
    path: Box<dyn Path>,
    kernel: Option<KernelView>,
    /// How long it took.
    took: Duration,
    /// The probe that was its first.
    first: u64,
}

struct Probe {
    seq: u64,
    sent: Instant,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Awaited,
    Back,
    /// Not back in time.
    Overdue,
    /// It cannot come back any more, or not as a whole.
    Lost,
}

impl<'a> Session<'a> {
    fn new(args: &'a PingArgs, globals: &'a Globals) -> anyhow::Result<Self> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Instant::now();
        let mut session = Self {
            args,
            globals,
            output: Output::new(globals),
            tally: Tally::new(),
            seed: since.as_secs() << 32 | u64::from(since.subsec_nanos()),
            connection: None,
            connections: 0,
            probes: VecDeque::new(),
            awaited: 0,
            settled: 0,
            begun: 0,
            damaged: 0,
            start: now,
            slot: now,
        };
        session.connect(1)?;
        session.start = Instant::now();
        session.slot = session.start;
        Ok(session)
    }

    fn run(&mut self, interrupted: &AtomicBool) -> anyhow::Result<()> {
        let target = &self.args.target;
        self.output.line(format_args!("PING {target}: {} bytes", self.args.size))?;
        let end = self.args.deadline.map(|deadline| self.start + deadline);
        let mut arrivals = Vec::new();
        while !interrupted.load(Ordering::Relaxed) && !self.output.is_closed() {
            let now = Instant::now();
            self.give_up_overdue(now)?;
            if end.is_some_and(|end| now >= end) {
                if self.args.count.is_some() {
                    self.lose_all("no reply by the end of the run")?;
                }
                break; // without a number of them, one may always be on its way
            }
            let is_last = self.args.count.is_some_and(|count| self.begun >= count);
            if is_last && self.awaited == 0 {
                break;
            }
            if !is_last && now >= self.slot && self.may_send() {
                self.send(now)?;
                continue;
            }
            let until = self.next_event(now, is_last, end);
            let Some(Connection { path, .. }) = &mut self.connection else {
                thread::sleep(until.saturating_duration_since(now).min(TICK));
                continue;
            };
            let received = path.receive(until, &mut arrivals);
            self.take(&mut arrivals)?;
            if let Err(error) = received {
                self.disconnect(&error)?;
            }
        }
        Ok(())
    }

    /// Prints the summary.
    fn tell(mut self) -> anyhow::Result<Ending> {
        let (target, elapsed) = (&self.args.target, self.start.elapsed());
        if self.globals.json {
            self.output.result(&format!("{}\n", self.tally.to_json(target, elapsed)))?;
        } else {
            self.output.result(&self.tally.in_words(target, elapsed))?;
        }
        // Whoever stops reading has seen enough.
        let is_good = match self.output.is_closed() {
            true => self.tally.is_unharmed(),
            false => self.tally.is_good(),
        };
        Ok(Ending { is_good, last_words: None })
    }

    fn wait(&self) -> Duration {
        self.args.wait.unwrap_or(self.globals.timeout)
    }

    /// Whether there is room for a probe; without an interval, only after the last is done with.
    fn may_send(&self) -> bool {
        let is_one_by_one = self.args.interval.is_zero() || self.args.reconnect;
        let is_sending = self.connection.as_ref().is_some_and(|c| c.path.is_sending());
        !is_sending && self.awaited < if is_one_by_one { 1 } else { MAX_REMEMBERED }
    }

    /// Until when nothing is to be done but to wait for what comes.
    fn next_event(&self, now: Instant, is_last: bool, end: Option<Instant>) -> Instant {
        let overdue = self.oldest_awaited().map(|probe| probe.sent + self.wait());
        let slot = (!is_last && now < self.slot).then_some(self.slot);
        [overdue, slot, end].into_iter().flatten().min().unwrap_or(now + TICK)
    }

    fn oldest_awaited(&self) -> Option<&Probe> {
        self.probes.get(self.settled)
    }

    /// Sends the probe that is due.
    fn send(&mut self, now: Instant) -> anyhow::Result<()> {
        self.begun += 1;
        self.tally.sent += 1;
        self.slot += self.args.interval;
        if let Some(missed) = now.checked_duration_since(self.slot) {
            // On with the first slot that is still to come.
            let missed = missed.as_nanos().checked_div(self.args.interval.as_nanos());
            let missed = missed.map_or(0, |missed| u32::try_from(missed + 1).unwrap_or(u32::MAX));
            self.slot += self.args.interval.saturating_mul(missed);
        }
        let is_used = self.connection.as_ref().is_none_or(|c| c.first < self.begun);
        if self.connection.is_none() || self.args.reconnect && is_used {
            if let Err(error) = self.connect(self.begun) {
                if error.is_local() {
                    return Err(error.into());
                }
                self.slot = self.slot.max(now + RETRY_PAUSE);
                self.remember(now);
                return self.lose_all(&format!("cannot connect: {}", error.cause()));
            }
        }
        let Some(Connection { path, .. }) = &mut self.connection else { return Ok(()) };
        match path.send() {
            Ok(at) => {
                self.remember(at);
                Ok(())
            }
            Err(error) => {
                self.remember(now);
                self.disconnect(&error)
            }
        }
    }

    fn remember(&mut self, sent: Instant) {
        if self.probes.len() >= MAX_REMEMBERED && self.settled > 0 {
            self.probes.pop_front();
            self.settled -= 1;
        }
        self.probes.push_back(Probe { seq: self.begun, sent, state: State::Awaited });
        self.awaited += 1;
    }

    /// Notes what has come.
    fn take(&mut self, arrivals: &mut Vec<Arrival>) -> anyhow::Result<()> {
        let first = self.connection.as_ref().map_or(1, |connection| connection.first);
        for arrival in arrivals.drain(..) {
            match arrival {
                Arrival::Back { probe, at } => self.back(first + probe, at)?,
                Arrival::Damaged { probe, damage } => self.note_damage(first + probe, &damage)?,
            }
        }
        self.skip_settled();
        Ok(())
    }

    fn back(&mut self, seq: u64, at: Instant) -> anyhow::Result<()> {
        let Some(probe) = find(&mut self.probes, seq) else { return Ok(()) };
        let took = at.saturating_duration_since(probe.sent);
        let (before, millis) = (probe.state, Millis(took));
        match before {
            State::Lost => return Ok(()),
            _ => probe.state = State::Back,
        }
        match before {
            State::Awaited => {
                self.awaited -= 1;
                self.tally.received += 1;
                self.tally.rtt.record(took);
                let connect = self.connection.as_ref().filter(|_| self.args.reconnect);
                if let Some(connection) = connect {
                    self.tally.connect.record(connection.took);
                }
                if self.output.has_lines() {
                    self.tell_of(seq, took)?;
                }
                Ok(())
            }
            State::Overdue => {
                self.tally.lost -= 1;
                self.tally.late += 1;
                self.output.alarm(format_args!("seq={seq} late: it took {millis} ms"))
            }
            _ => {
                self.tally.duplicated += 1;
                self.output.alarm(format_args!("seq={seq} duplicated: again after {millis} ms"))
            }
        }
    }

    /// The line of a probe that is as it should be.
    fn tell_of(&mut self, seq: u64, took: Duration) -> anyhow::Result<()> {
        let PingArgs { size, target, .. } = self.args;
        let mut line = format!("{size} bytes from {target}: seq={seq} time={} ms", Millis(took));
        if let Some(connection) = &self.connection {
            if let Some(rtt) = connection.kernel.as_ref().and_then(KernelView::rtt) {
                line += &format!(" kernel_rtt={} ms", Millis(rtt));
            }
            if self.args.reconnect {
                line += &format!(" connect={} ms", Millis(connection.took));
            }
        }
        self.output.line(format_args!("{line}"))
    }

    fn note_damage(&mut self, seq: u64, damage: &Damage) -> anyhow::Result<()> {
        if self.damaged != seq {
            self.damaged = seq;
            self.tally.corrupt += 1;
        }
        let first = &mut self.tally.first_damage;
        first.get_or_insert_with(|| format!("seq={seq} {damage}"));
        // What is given up and was not all there does not come late.
        let probe = find(&mut self.probes, seq).filter(|probe| probe.state == State::Overdue);
        if let (Some(probe), DamageKind::Lost) = (probe, damage.kind) {
            probe.state = State::Lost;
        }
        self.output.alarm(format_args!("seq={seq} damaged: {damage}"))
    }

    /// Gives up what is awaited for too long.
    fn give_up_overdue(&mut self, now: Instant) -> anyhow::Result<()> {
        let wait = self.wait();
        let told = figures::duration(wait);
        while let Some(probe) = self.probes.get_mut(self.settled) {
            if now < probe.sent + wait {
                break;
            }
            probe.state = State::Overdue;
            let seq = probe.seq;
            self.awaited -= 1;
            self.tally.lost += 1;
            self.output.alarm(format_args!("seq={seq} lost: no reply within {told}"))?;
            let mut arrivals = Vec::new();
            if let Some(Connection { path, first, .. }) = &mut self.connection {
                if let Some(probe) = seq.checked_sub(*first) {
                    path.give_up(probe, &mut arrivals);
                }
            }
            self.take(&mut arrivals)?;
        }
        Ok(())
    }

    /// What is awaited does not come any more.
    fn lose_all(&mut self, why: &str) -> anyhow::Result<()> {
        while let Some(probe) = self.probes.get_mut(self.settled) {
            probe.state = State::Lost;
            let seq = probe.seq;
            self.awaited -= 1;
            self.tally.lost += 1;
            self.skip_settled();
            self.output.alarm(format_args!("seq={seq} lost: {why}"))?;
        }
        Ok(())
    }

    /// The connection has failed, or the peer has closed it.
    fn disconnect(&mut self, error: &io::Error) -> anyhow::Result<()> {
        self.connection = None;
        if self.awaited > 0 {
            self.slot = self.slot.max(Instant::now() + RETRY_PAUSE);
        } else if !self.args.reconnect {
            self.output.alarm(format_args!("{}: {error}", self.args.target))?;
        }
        self.lose_all(&error.to_string())
    }

    fn skip_settled(&mut self) {
        while self.probes.get(self.settled).is_some_and(|probe| probe.state != State::Awaited) {
            self.settled += 1;
        }
    }

    /// Opens a connection; `first` is the first probe on it.
    fn connect(&mut self, first: u64) -> Result<(), ConnectError> {
        let number = self.connections;
        self.connections = self.connections.wrapping_add(1);
        self.connection = None;
        let before = Instant::now();
        let socket = self.globals.connector.connect(&self.args.target)?;
        let took = before.elapsed();
        let kernel = KernelView::of(&socket);
        let pattern = Pattern::new(self.seed, number);
        let path = open(&self.args.target, socket, pattern, self.args.size)
            .map_err(|error| ConnectError::new(&self.args.target, error))?;
        self.connection = Some(Connection { path, kernel, took, first });
        Ok(())
    }
}

/// The way for probes of so many bytes over a socket that is connected to `target`.
pub(crate) fn open(
    target: &Endpoint,
    socket: Socket,
    pattern: Pattern,
    size: usize,
) -> io::Result<Box<dyn Path>> {
    let wire = Wire::new(socket)?;
    Ok(match target {
        Endpoint::Udp { .. } => Box::new(DatagramPath::new(wire, pattern, size)),
        _ => Box::new(StreamPath::new(wire, pattern, size)),
    })
}

/// A probe that is remembered.
fn find(probes: &mut VecDeque<Probe>, seq: u64) -> Option<&mut Probe> {
    let index = seq.checked_sub(probes.front()?.seq)?;
    probes.get_mut(usize::try_from(index).ok()?)
}
