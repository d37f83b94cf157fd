//! One check after the other, and a look after each whether the service is still well.

use std::{
    ops::ControlFlow,
    os::fd::AsFd,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use echo_cli::Endpoint;
use rustix::event::PollFlags;
use socket2::Socket;

use super::{
    case::{Broken, Check, Done, Outcome},
    conn::Received,
    report::Report,
    selection::Selection,
    trial::Trial,
};
use crate::{ConnectError, args::Globals};

/// Messages that the round trip is the least of.
const RTT_PROBES: usize = 5;

/// How long a dead service is given to come back: xinetd stops one that is connected to too often for
/// 10 s, and what restarts a service takes about as long.
const REVIVAL: Duration = Duration::from_secs(12);

/// How often it is given that; then the checks that are left are skipped.
const MAX_REVIVALS: usize = 3;

/// From one look whether it is back to the next.
const REVIVAL_PAUSE: Duration = Duration::from_millis(100);

/// Who checks a service waits for it: after this time no check of the whole battery is begun. A path
/// that keeps its promises needs a third of it.
const BUDGET: Duration = Duration::from_secs(15);

/// Round trips that the battery may take on a far path.
const BUDGET_TRIPS: u32 = 300;

/// Bytes of a message that asks whether the service is well.
const PROBE_SIZE: usize = 64;

/// A round trip is taken to be this long when nothing comes back to measure it by.
const UNKNOWN_RTT: Duration = Duration::from_millis(1);

/// Runs a selection.
pub(super) struct Runner<'a> {
    selection: &'a Selection,
    globals: &'a Globals,
    interrupted: &'a AtomicBool,
    rtt: Duration,
    revival: Duration,
    /// No check is begun after so long.
    budget: Option<Duration>,
}

/// What happens, as it happens.
pub(super) enum Event<'a> {
    Begins(&'a Check),
    Ended(&'a Done),
}

impl<'a> Runner<'a> {
    /// Measures the round trip.
    ///
    /// # Errors
    /// [`ConnectError`](crate::ConnectError), when there is nobody to check.
    pub(super) fn new(
        selection: &'a Selection,
        globals: &'a Globals,
        interrupted: &'a AtomicBool,
    ) -> anyhow::Result<Self> {
        let socket = globals.connector.connect(selection.target())?;
        let mut runner = Self {
            selection,
            globals,
            interrupted,
            rtt: UNKNOWN_RTT,
            revival: REVIVAL,
            budget: None,
        };
        if let Endpoint::Udp { .. } = selection.target() {
            runner.knock(&socket)?;
        }
        drop(socket); // a service may serve one at a time
        runner.rtt = runner.round_trip().unwrap_or(UNKNOWN_RTT);
        Ok(runner)
    }

    /// A round trip on the idle path.
    pub(super) fn rtt(&self) -> Duration {
        self.rtt
    }

    /// No check is begun after this time, or, when none is given, after what the whole battery may
    /// take.
    pub(super) fn end_after(&mut self, deadline: Option<Duration>) {
        let usual = self.selection.is_default().then(|| (self.rtt * BUDGET_TRIPS).max(BUDGET));
        self.budget = deadline.or(usual);
    }

    /// Runs them all, until `tell` breaks off, the run is interrupted or its time is up, and looks after
    /// each whether the service is still well. One that is not is given time to come back; the checks
    /// that it does not live to see are skipped.
    ///
    /// # Errors
    /// What `tell` says.
    pub(super) fn run(
        &mut self,
        tell: &mut dyn FnMut(Event<'_>) -> anyhow::Result<ControlFlow<()>>,
    ) -> anyhow::Result<Report> {
        let start = Instant::now();
        let mut time_is_up = false;
        let mut done = Vec::new();
        let mut deaths = Vec::new();
        // Of a service that answered nothing before the first check, no check is to blame.
        let mut health = if self.is_dead() { Health::Unknown } else { Health::Well };
        for &check in self.selection.checks() {
            time_is_up = self.budget.is_some_and(|budget| start.elapsed() >= budget);
            if time_is_up || self.is_interrupted() || tell(Event::Begins(check))?.is_break() {
                break;
            }
            if let Health::Dead(id) = health {
                let is_back = deaths.len() <= MAX_REVIVALS && self.is_revived(start);
                health = if is_back { Health::Well } else { Health::Gone(id) };
            }
            let begun = Instant::now();
            let (outcome, seen) = match health {
                Health::Gone(id) => (Outcome::Skip, format!("the service is dead after {id}")),
                _ => check.judge((check.run)(&self.trial())),
            };
            let took = begun.elapsed();
            done.push(Done { check, outcome, seen, took });
            if let Some(last) = done.last() {
                if tell(Event::Ended(last))?.is_break() {
                    break;
                }
            }
            health = match health {
                Health::Gone(id) => Health::Gone(id),
                _ if !self.is_dead() => Health::Well,
                Health::Unknown => Health::Unknown,
                Health::Well | Health::Dead(_) => {
                    deaths.push(check.id);
                    Health::Dead(check.id)
                }
            };
        }
        Ok(Report {
            target: self.selection.target().clone(),
            rtt: self.rtt,
            not_run: self.selection.checks().len() - done.len(),
            done,
            deaths,
            is_dead: matches!(health, Health::Dead(_) | Health::Gone(_)),
            took: start.elapsed(),
            interrupted: self.is_interrupted(),
            time_is_up,
        })
    }

    /// Whether a service that is dead comes back in time.
    fn is_revived(&self, start: Instant) -> bool {
        let revived_by = Instant::now() + self.revival;
        let until = self.budget.map_or(revived_by, |budget| revived_by.min(start + budget));
        while self.is_dead() {
            if Instant::now() >= until || self.trial().pause(REVIVAL_PAUSE).is_err() {
                return false;
            }
        }
        !self.is_interrupted()
    }

    /// Whether it has nothing to say to a message; what we cannot do says nothing about it.
    fn is_dead(&self) -> bool {
        matches!(self.answers(), Err(Broken::Promise(_) | Broken::Slow(_)))
    }

    fn trial(&self) -> Trial<'a> {
        Trial::new(
            self.selection.target(),
            &self.globals.connector,
            self.rtt,
            self.globals.timeout,
            self.interrupted,
        )
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// What a message takes at best, without what a new connection takes.
    fn round_trip(&self) -> Option<Duration> {
        let trial = self.trial();
        if let Endpoint::Udp { .. } = self.selection.target() {
            let ask = |_| trial.datagrams().and_then(|mut socket| socket.ask(PROBE_SIZE)).ok();
            return (0..RTT_PROBES).map_while(ask).min();
        }
        let mut conn = trial.connect().ok()?;
        // Of a single byte, no end is held back by Nagle's algorithm.
        (0..RTT_PROBES).map_while(|_| conn.echo(&message()[..1]).ok()).min()
    }

    /// Connecting a socket for datagrams sends none. Sends one, to hear whether it is refused.
    fn knock(&self, socket: &Socket) -> Result<(), ConnectError> {
        let trial = self.trial();
        let until = Instant::now() + trial.quiet();
        let heard = socket.send(&[0; PROBE_SIZE]).and_then(|_| {
            // Whatever comes of it; an error wakes, too.
            let _ = trial.wait(socket.as_fd(), PollFlags::IN, until);
            socket.take_error()
        });
        match heard {
            Ok(None) => Ok(()),
            Ok(Some(error)) | Err(error) => Err(ConnectError::new(self.selection.target(), error)),
        }
    }

    /// Asks for a message, on a connection of its own, and takes whatever comes for an answer: who
    /// returns other bytes is wrong, not dead.
    fn answers(&self) -> Result<(), Broken> {
        let trial = self.trial();
        if let Endpoint::Udp { .. } = self.selection.target() {
            return trial.datagrams()?.rouse(PROBE_SIZE);
        }
        let mut conn = trial.connect()?;
        conn.send(&message())?;
        match conn.receive(&mut [0; PROBE_SIZE], trial.patience())? {
            Received::Bytes(_) => Ok(()),
            over => Err(Broken::Promise(over.words(trial.patience()))),
        }
    }
}

/// Like no other, and of letters and digits: who changes line ends or NUL has a round trip, too.
fn message() -> [u8; PROBE_SIZE] {
    std::array::from_fn(|_| u8::try_from(fastrand::alphanumeric()).unwrap_or(b'x'))
}

/// What is known of the service between two checks.
#[derive(Debug, Clone, Copy)]
enum Health {
    /// It has never answered yet: what it does then, checks tell.
    Unknown,
    Well,
    /// Until this check it was well.
    Dead(&'static str),
    /// It did not come back from that.
    Gone(&'static str),
}

#[cfg(test)]
mod tests;
