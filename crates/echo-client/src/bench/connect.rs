//! Opening the connections of a load, many at once but not too many.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::{Context, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{Failure, Settings, stream::Stream, tally::count_reason};

/// Connections that are being opened at the same time: a service that is slow to accept is not
/// flooded, and one that is far away does not take its distance for each of them.
const AT_ONCE: usize = 64;

/// After so many failures no more are tried.
const MAX_FAILURES: u32 = 64;

/// What a socket may hold of datagrams that we have not read yet.
const RECEIVE_BUFFER: usize = 4 << 20;

/// File descriptors for everything that is not a connection of the load.
const SPARE_FILES: u64 = 64;

/// The connections that could be opened, with their numbers in the whole load, and why others could
/// not.
pub(super) struct Connected {
    pub(super) streams: Vec<(u32, Stream)>,
    pub(super) failed: Vec<Failure>,
}

/// Opens the connections with these numbers.
///
/// # Errors
/// [`ConnectError`](crate::ConnectError) when not one of them can be opened; else a local error.
pub(super) fn connect(
    settings: &Settings,
    numbers: &[u32],
    stop: &AtomicBool,
) -> anyhow::Result<Connected> {
    // Each thread waits for its sockets with one more.
    allow_files(numbers.len() as u64 + u64::from(settings.threads) + SPARE_FILES)?;
    let next = AtomicUsize::new(0);
    let shared = Mutex::new((Vec::with_capacity(numbers.len()), Vec::new(), None));
    let connect_some = || {
        while let Some(number) = numbers.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = settings.connector.connect(&settings.target);
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let (opened, failed, first) = &mut *shared;
            match result {
                Ok(stream) => opened.push((*number, stream)),
                Err(error) => {
                    count_reason(failed, &format!("cannot connect: {}", error.cause()), 1);
                    *first = first.take().or(Some(error));
                }
            }
            let failures: u32 = failed.iter().map(|failure: &Failure| failure.count).sum();
            let hopeless = opened.is_empty() && failures > 0 || failures >= MAX_FAILURES;
            if hopeless || stop.load(Ordering::Relaxed) {
                next.store(numbers.len(), Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| -> anyhow::Result<()> {
        for _ in 1..AT_ONCE.min(numbers.len()) {
            let connecting = thread::Builder::new().name("connecting".into());
            connecting.spawn_scoped(scope, connect_some).context("cannot start a thread")?;
        }
        connect_some();
        Ok(())
    })?;
    let (mut opened, mut failed, first) =
        shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let (true, Some(error)) = (opened.is_empty(), first) {
        return Err(error.into());
    }
    let tried = opened.len() + failed.iter().map(|failure| failure.count as usize).sum::<usize>();
    if tried < numbers.len() && !stop.load(Ordering::Relaxed) {
        let left = u32::try_from(numbers.len() - tried).unwrap_or(u32::MAX);
        count_reason(&mut failed, "not tried after too many failures", left);
    }
    if settings.is_datagrams() {
        // Of what the system grants, as much as it does: what does not fit in there is lost.
        for (_, socket) in &opened {
            let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        }
    }
    opened.sort_unstable_by_key(|(number, _)| *number);
    let streams = opened.into_iter().map(|(number, stream)| Ok((number, stream.try_into()?)));
    let streams = streams.collect::<std::io::Result<_>>().context("cannot prepare a socket")?;
    Ok(Connected { streams, failed })
}

/// Raises the limit of open files as far as needed.
fn allow_files(needed: u64) -> anyhow::Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if let Some(maximum) = maximum.filter(|maximum| *maximum < needed) {
        bail!(
            "so many connections need {needed} open files, and {maximum} are allowed: raise the \
             limit (ulimit -Hn {needed}, as root), or ask for fewer connections"
        );
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum })
        .context("cannot raise the limit of open files")
}
