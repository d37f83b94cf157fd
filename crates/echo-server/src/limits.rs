//! How many connections the system's descriptors are enough for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{debug, warn};

/// Descriptors for what a server has whatever it serves: the standard streams, signals, the pipe
/// that tells of the shutdown, a look at a host name or an address, and some to spare.
const HELD: u64 = 32;

/// Descriptors for what a worker has: its poll set or ring, its bell, its timer.
const HELD_BY_WORKER: u64 = 8;

/// Raises the limit of this process to the most that it may have.
pub(crate) fn raise_descriptors() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let raised = Rlimit { current: maximum, maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            debug!(%error, "the limit of descriptors stays as it is");
        }
    }
}

/// As many connections as were asked for, or as there are descriptors for when one takes `each` of
/// them: at least one. Says so when that is fewer.
pub(crate) fn connections(asked: usize, each: usize, workers: usize, sockets: usize) -> usize {
    let Some(descriptors) = getrlimit(Resource::Nofile).current else { return asked };
    let connections = enough_for(descriptors, each, workers, sockets).min(asked);
    if connections < asked {
        let fix = "raise `ulimit -n`, or ask for fewer";
        warn!(asked, connections, descriptors, fix, "too few descriptors for --max-connections");
    }
    connections
}

fn enough_for(descriptors: u64, each: usize, workers: usize, sockets: usize) -> usize {
    let of = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let held =
        HELD.saturating_add(HELD_BY_WORKER.saturating_mul(of(workers))).saturating_add(of(sockets));
    let left = descriptors.saturating_sub(held);
    usize::try_from(left / of(each).max(1)).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_descriptors_are_kept_for_what_serves_the_connections() {
        assert_eq!(enough_for(1024, 1, 2, 4), 1024 - 32 - 16 - 4);
        assert_eq!(enough_for(64, 1, 1, 1), 23);
        assert_eq!(enough_for(64, 3, 1, 1), 7);
        assert_eq!(enough_for(3, 1, 64, 64), 1, "as good as it gets");
        assert_eq!(enough_for(u64::MAX, 1, usize::MAX, usize::MAX), 1);
    }
}
