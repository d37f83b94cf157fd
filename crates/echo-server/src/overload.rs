//! When the system cannot give us another connection: pause, say so, go on.

use std::{
    io, mem,
    time::{Duration, Instant},
};

use tracing::warn;

/// The longest pause after the system could not give us a connection, a descriptor or a thread. It
/// ends early when a connection does.
const OVERLOAD_PAUSE: Duration = Duration::from_millis(100);

/// The shortest time between two log lines about that.
const OVERLOAD_LOG_EVERY: Duration = Duration::from_secs(5);

/// When to leave the listeners alone, and when to say so.
#[derive(Debug, Default)]
pub(crate) struct Overload {
    until: Option<Instant>,
    /// How many connections had ended when it began.
    ended: u64,
    logged: Option<Instant>,
    unlogged: u64,
}

impl Overload {
    /// The system had no connection, descriptor, memory or thread for us: begins a pause. `ended`
    /// counts the connections that have ended until now.
    pub(crate) fn begin(&mut self, error: &io::Error, ended: u64) {
        let now = Instant::now();
        self.until = now.checked_add(OVERLOAD_PAUSE);
        self.ended = ended;
        if self.logged.is_some_and(|logged| now - logged < OVERLOAD_LOG_EVERY) {
            self.unlogged += 1;
            return;
        }
        let since_last_line = mem::take(&mut self.unlogged);
        self.logged = Some(now);
        warn!(%error, since_last_line, "cannot accept; pausing, connections go on");
    }

    /// Until when to pause, if at all. When a connection has ended since, what it held may be what
    /// was missing.
    pub(crate) fn pause(&mut self, ended: u64) -> Option<Instant> {
        self.until = self.until.filter(|until| ended == self.ended && Instant::now() < *until);
        self.until
    }
}
