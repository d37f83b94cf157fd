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
    report::Report,
    selection::Selection,
    trial::Trial,
};
use crate::{ConnectError, args::Globals, pattern::Pattern};

/// Messages that the round trip is the least of.
const RTT_PROBES: usize = 5;

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
        let mut runner = Self { selection, globals, interrupted, rtt: UNKNOWN_RTT };
        if let Endpoint::Udp { .. } = selection.target() {
            runner.knock(&socket)?;
        }
        drop(socket); // a service may serve one at a time
        let probes = (0..RTT_PROBES).map_while(|_| runner.probe().ok());
        runner.rtt = probes.min().unwrap_or(UNKNOWN_RTT);
        Ok(runner)
    }

    /// A round trip on the idle path.
    pub(super) fn rtt(&self) -> Duration {
        self.rtt
    }

    /// Runs them all, until `tell` breaks off or the run is interrupted. A service that is dead after one of them is asked again before each that
    /// follows; those that it does not live to see are skipped.
    ///
    /// # Errors
    /// What `tell` says.
    pub(super) fn run(
        &mut self,
        tell: &mut dyn FnMut(Event<'_>) -> anyhow::Result<ControlFlow<()>>,
    ) -> anyhow::Result<Report> {
        let start = Instant::now();
        let mut done = Vec::new();
        // Of a service that answered nothing before the first check, no check is to blame.
        let mut was_well = self.probe().is_ok();
        let mut dead_after = None;
        for &check in self.selection.checks() {
            if self.is_interrupted() || tell(Event::Begins(check))?.is_break() {
                break;
            }
            let begun = Instant::now();
            if dead_after.is_some() && self.probe().is_ok() {
                dead_after = None;
            }
            let (outcome, seen) = match dead_after {
                Some(id) => (Outcome::Skip, format!("the service is dead after {id}")),
                None => check.judge((check.run)(&self.trial())),
            };
            let took = begun.elapsed();
            done.push(Done { check, outcome, seen, took });
            if let Some(last) = done.last() {
                if tell(Event::Ended(last))?.is_break() {
                    break;
                }
            }
            if dead_after.is_none() && !self.is_interrupted() {
                let is_well = self.probe().is_ok();
                dead_after = (was_well && !is_well).then_some(check.id);
                was_well = is_well;
            }
        }
        Ok(Report {
            target: self.selection.target().clone(),
            rtt: self.rtt,
            not_run: self.selection.checks().len() - done.len(),
            done,
            dead_after,
            took: start.elapsed(),
            interrupted: self.is_interrupted(),
        })
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

    /// One message there and back, on a connection of its own.
    fn probe(&self) -> Result<Duration, Broken> {
        let trial = self.trial();
        if let Endpoint::Udp { .. } = self.selection.target() {
            return trial.datagrams()?.ask(PROBE_SIZE);
        }
        let mut message = [0; PROBE_SIZE];
        Pattern::new(fastrand::u64(..), 0).fill(0, &mut message);
        trial.connect()?.echo(&message)
    }
}
