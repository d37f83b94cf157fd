//! Many connections at once, in one thread: whichever can go on, goes on.

use std::{
    os::fd::AsFd,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::{
    case::Broken,
    conn::{Conn, Exchange, READ_SIZE},
    trial::Trial,
};

/// Connections that a check has at once at most: with the usual limit of 1024 there are file
/// descriptors left.
pub(super) const MAX: usize = 256;

/// How often a wait looks up, to see whether it was interrupted.
const TICK: Duration = Duration::from_millis(50);

/// Waits until some of the sockets are ready for what is wanted of them, and says which; none when it
/// is `until`.
pub(super) fn wait<S: AsFd>(
    trial: &Trial<'_>,
    wanted: impl IntoIterator<Item = (S, PollFlags)>,
    until: Instant,
) -> Result<Vec<usize>, Broken> {
    let wanted: Vec<_> = wanted.into_iter().collect();
    let mut polled: Vec<_> =
        wanted.iter().map(|(socket, events)| PollFd::new(socket, *events)).collect();
    loop {
        trial.go_on()?;
        let left = until.saturating_duration_since(Instant::now());
        // A signal between the look at the flag and this wait would not end it.
        let timeout = Timespec::try_from(left.min(TICK)).unwrap_or_default();
        match poll(&mut polled, Some(&timeout)) {
            Ok(0) if left.is_zero() => return Ok(Vec::new()),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => break,
            Err(error) => return Err(Broken::Ours(error.to_string())),
        }
    }
    let is_ready = |polled: &PollFd<'_>| !polled.revents().is_empty();
    Ok((0..polled.len()).filter(|&at| is_ready(&polled[at])).collect())
}

/// What became of the exchange on one of many.
pub(super) struct Ended {
    /// Which of them.
    pub(super) at: usize,
    pub(super) result: Result<(), Broken>,
}

/// The same exchange on all of them at once. They are told in the order in which they ended; those on
/// which nothing comes any more end last.
pub(super) fn exchange(
    trial: &Trial<'_>,
    conns: &mut [Conn<'_>],
    exchange: Exchange,
) -> Result<Vec<Ended>, Broken> {
    let mut input = vec![0; READ_SIZE];
    let mut transfers: Vec<_> = conns.iter().map(|conn| conn.begin(exchange)).collect();
    let mut going: Vec<usize> = (0..conns.len()).collect();
    let mut ended = Vec::new();
    while !going.is_empty() {
        let wanted = going.iter().map(|&at| (&conns[at], conns[at].wants(&transfers[at])));
        let until = (Instant::now() + trial.patience()).min(trial.deadline());
        let ready = wait(trial, wanted, until)?;
        if ready.is_empty() {
            let starved = |at: usize| Ended { at, result: Err(conns[at].starved(&transfers[at])) };
            ended.extend(going.into_iter().map(starved));
            break;
        }
        for at in ready.into_iter().map(|i| going[i]) {
            let advanced = conns[at].advance(&mut transfers[at], &mut input);
            ended.extend(match advanced {
                Ok(false) => None,
                Ok(true) => Some(Ended { at, result: Ok(()) }),
                Err(Broken::Interrupted) => return Err(Broken::Interrupted),
                Err(broken) => Some(Ended { at, result: Err(broken) }),
            });
        }
        let is_over = |at: &usize| ended.iter().any(|ended| ended.at == *at);
        going.retain(|at| !is_over(at));
    }
    Ok(ended)
}
