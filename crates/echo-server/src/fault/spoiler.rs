//! What a fault is told of one connection, and what it makes of it. No I/O, no clock: the relay has
//! those.

use std::time::{Duration, Instant};

use socket2::Socket;

use super::schedule::Schedule;

/// What may wait in a schedule before no more is taken from the service.
const QUEUE: usize = 256 << 10;

/// One connection's misbehaviour. A spoiler that implements nothing of this relays faithfully.
pub(super) trait Spoiler: Send {
    /// Before anything moves.
    fn prepare(&mut self, _peer: &Socket) {}

    /// Whether anything may move now; asked before the service is connected, and in every turn.
    fn gate(&mut self, _now: Instant) -> Gate {
        Gate::Open
    }

    /// The service is connected, and nothing was sent yet.
    fn connected(&mut self, _out: &mut Schedule) {}

    /// The service returns these bytes.
    fn returned(&mut self, bytes: &[u8], out: &mut Schedule) {
        out.send(bytes);
    }

    /// The peer has sent FIN.
    fn peer_done(&mut self, _out: &mut Schedule) {}

    /// The peer has sent RST.
    fn peer_reset(&mut self) {}

    /// The service has sent FIN.
    fn ended(&mut self, out: &mut Schedule) {
        out.fin();
    }

    /// How long nothing has to move until it is told so.
    fn idle_limit(&self) -> Option<Duration> {
        None
    }

    /// Nothing has moved for that long; told once.
    fn idle(&mut self, _out: &mut Schedule) {}

    /// Whether there are bytes that the peer does not take.
    fn stuck(&mut self, _is_stuck: bool) {}

    /// What may wait in the schedule, in bytes.
    fn room(&self) -> usize {
        QUEUE
    }
}

/// Whether a connection is looked after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    /// Not now; ask again.
    Shut,
    /// Never; it is reset.
    Refused,
}

/// Makes the spoiler of each connection that comes to one relay.
pub(super) type Spoilers = Box<dyn Fn() -> Box<dyn Spoiler> + Send + Sync>;

/// For faults that know nothing of other connections: each has its own copy.
pub(super) fn each<S: Spoiler + Clone + Sync + 'static>(spoiler: S) -> Spoilers {
    Box::new(move || Box::new(spoiler.clone()))
}
