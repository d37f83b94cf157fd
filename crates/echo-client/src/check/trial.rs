//! What a check has at hand: where the service is, how long to wait for it, and new connections.

use std::{
    cell::Cell,
    error::Error,
    io, iter,
    os::fd::BorrowedFd,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use echo_cli::Endpoint;
use rustix::{event::PollFlags, io::Errno};
use socket2::Socket;

use super::{case::Broken, conn::Conn, datagrams::Datagrams, many};
use crate::{ConnectError, Connector, pattern::Pattern};

/// Whatever the path, something that is due is waited for at least so long: a loaded machine at the
/// other end is no broken promise.
const LEAST_PATIENCE: Duration = Duration::from_secs(2);

/// Round trips that something may take which is due after one: retransmissions, and queues.
const PATIENT_TRIPS: u32 = 20;

/// How long we listen for what must not come, on any path.
const LEAST_QUIET: Duration = Duration::from_millis(100);

/// Round trips that what must not come would need, to be on the safe side.
const QUIET_TRIPS: u32 = 4;

/// A check is over after so many times the patience, whatever still moves.
const LIMIT: u32 = 5;

/// One check's view of the service.
#[derive(Debug, Clone)]
pub(super) struct Trial<'a> {
    target: &'a Endpoint,
    connector: &'a Connector,
    /// Of a message on an idle path.
    rtt: Duration,
    patience: Duration,
    begun: Instant,
    /// When it is over.
    deadline: Instant,
    interrupted: &'a AtomicBool,
    /// Of the run: what another run left on the path is not taken for ours.
    seed: u64,
    /// Connections that were opened.
    opened: Cell<u32>,
}

impl<'a> Trial<'a> {
    /// Begins now. Nothing is waited for longer than `timeout`.
    pub(super) fn new(
        target: &'a Endpoint,
        connector: &'a Connector,
        rtt: Duration,
        timeout: Duration,
        interrupted: &'a AtomicBool,
    ) -> Self {
        let patience = (rtt * PATIENT_TRIPS).max(LEAST_PATIENCE).min(timeout);
        let begun = Instant::now();
        Self {
            target,
            connector,
            rtt,
            patience,
            begun,
            deadline: begun + patience * LIMIT,
            interrupted,
            seed: fastrand::u64(..),
            opened: Cell::new(0),
        }
    }

    pub(super) fn target(&self) -> &Endpoint {
        self.target
    }

    /// A round trip of a message on the idle path.
    pub(super) fn rtt(&self) -> Duration {
        self.rtt
    }

    /// How long to wait for something that is due.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// How long to listen for what must not come.
    pub(super) fn quiet(&self) -> Duration {
        (self.rtt * QUIET_TRIPS).max(LEAST_QUIET).min(self.patience)
    }

    /// The same for a check that waits on purpose, as the slow ones do: it has so much more time.
    pub(super) fn extended(&self, by: Duration) -> Self {
        Self { deadline: self.deadline + by, ..self.clone() }
    }

    /// When the check is over, whatever still moves.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether its time is over.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// How long it has been going on.
    pub(super) fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Fails when the run is to end.
    pub(super) fn go_on(&self) -> Result<(), Broken> {
        if self.interrupted.load(Ordering::Relaxed) { Err(Broken::Interrupted) } else { Ok(()) }
    }

    /// Lets so much time pass.
    pub(super) fn pause(&self, duration: Duration) -> Result<(), Broken> {
        many::wait(self, iter::empty::<(BorrowedFd<'_>, PollFlags)>(), Instant::now() + duration)
            .map(drop)
    }

    /// Waits until a socket is ready for one of `events`; false when it is not by then.
    pub(super) fn wait(
        &self,
        socket: BorrowedFd<'_>,
        events: PollFlags,
        until: Instant,
    ) -> Result<bool, Broken> {
        Ok(!many::wait(self, [(socket, events)], until)?.is_empty())
    }

    /// A new socket for datagrams, connected.
    pub(super) fn datagrams(&self) -> Result<Datagrams<'_>, Broken> {
        let (socket, pattern) = self.socket()?;
        Datagrams::new(self, socket, pattern, None)
    }

    /// A new connection, with a stream of bytes of its own.
    pub(super) fn connect(&self) -> Result<Conn<'_>, Broken> {
        let (socket, pattern) = self.socket()?;
        Conn::new(self, socket, pattern)
    }

    /// A new socket, connected, with a stream of bytes of its own.
    pub(super) fn socket(&self) -> Result<(Socket, Pattern), Broken> {
        self.go_on()?;
        let number = self.opened.replace(self.opened.get() + 1);
        let connector = Connector {
            connect_timeout: self.connector.connect_timeout.min(self.patience),
            ..*self.connector
        };
        let socket = connector.connect(self.target).map_err(|error| no_connection(&error))?;
        Ok((socket, Pattern::new(self.seed, number)))
    }
}

/// A path that does not let us connect, unless it is we who cannot.
fn no_connection(error: &ConnectError) -> Broken {
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    let errno = source.and_then(Errno::from_io_error);
    let is_ours = error.is_local()
        || matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::ADDRNOTAVAIL));
    let words = source.map_or_else(|| error.to_string(), ToString::to_string);
    match is_ours {
        true => Broken::Ours(words),
        false => Broken::Promise(format!("no connection: {words}")),
    }
}
