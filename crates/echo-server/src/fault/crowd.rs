//! What one connection does to others.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    catalog::{
        Entry,
        Kind::{Stream, Tcp},
        Value::{Count, Plain},
    },
    schedule::Schedule,
    spoiler::{Gate, Spoiler, Spoilers},
};

pub(super) const FAULTS: &[Entry] = &[
    Entry {
        name: "crosstalk",
        kind: Stream(Plain(|| together(Crosstalk::new))),
        does: "a chunk has bytes of another open connection, as where two share one buffer",
    },
    Entry {
        name: "one-at-a-time",
        kind: Stream(Plain(|| together(OneAtATime::new))),
        does: "one client is served, others wait, though connected, as by a server without threads",
    },
    Entry {
        name: "stall-together",
        kind: Stream(Plain(|| together(StallTogether::new))),
        does: "while one peer does not read, all stand still, as behind one blocking write",
    },
    Entry {
        name: "unfair",
        kind: Stream(Plain(|| together(Unfair::new))),
        does: "who sends without a pause is served, all others wait, as in a loop until EAGAIN",
    },
    Entry {
        name: "die-after-reset",
        kind: Tcp(Plain(|| together(DieAfterReset::new))),
        does: "once a peer has reset, nobody is answered any more; still listening, as with accept()?",
    },
    Entry {
        name: "leak",
        kind: Stream(Count("16", |most| {
            together(move |crowd| Leak { crowd, most, is_admitted: false })
        })),
        does: "ended connections are never given up: after N, no newcomer is answered",
    },
    Entry {
        name: "refuse-over",
        kind: Tcp(Count("64", |most| {
            together(move |crowd| RefuseOver { crowd, most, is_admitted: false })
        })),
        does: "with N connections open, the next is reset at once, as over the limit of a proxy",
    },
];

/// What the connections of a relay know of each other.
type Crowd<T> = Arc<Mutex<T>>;

/// Makes spoilers that share what they know.
fn together<T, S>(join: impl Fn(Crowd<T>) -> S + Send + Sync + 'static) -> Spoilers
where
    T: Default + Send + 'static,
    S: Spoiler + 'static,
{
    let crowd = Crowd::<T>::default();
    Box::new(move || Box::new(join(Arc::clone(&crowd))))
}

fn lock<T>(crowd: &Crowd<T>) -> MutexGuard<'_, T> {
    crowd.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells the connections of a process apart.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Id(u64);

impl Id {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

fn open_if(is_open: bool) -> Gate {
    if is_open { Gate::Open } else { Gate::Shut }
}

struct Crosstalk {
    /// The last chunk, as it should have been returned, and whose it is.
    crowd: Crowd<Option<(Id, Vec<u8>)>>,
    id: Id,
}

impl Crosstalk {
    fn new(crowd: Crowd<Option<(Id, Vec<u8>)>>) -> Self {
        Self { crowd, id: Id::next() }
    }
}

impl Spoiler for Crosstalk {
    fn returned(&mut self, bytes: &[u8], out: &mut Schedule) {
        let mut last = lock(&self.crowd);
        let mut mixed = bytes.to_vec();
        if let Some((_, theirs)) = last.as_ref().filter(|(id, _)| *id != self.id) {
            mixed.iter_mut().zip(theirs).for_each(|(ours, theirs)| *ours = *theirs);
        }
        out.send(&mixed);
        *last = Some((self.id, bytes.to_vec()));
    }
}

impl Drop for Crosstalk {
    fn drop(&mut self) {
        lock(&self.crowd).take_if(|(id, _)| *id == self.id);
    }
}

struct OneAtATime {
    /// Who is served.
    crowd: Crowd<Option<Id>>,
    id: Id,
}

impl OneAtATime {
    fn new(crowd: Crowd<Option<Id>>) -> Self {
        Self { crowd, id: Id::next() }
    }
}

impl Spoiler for OneAtATime {
    fn gate(&mut self, _now: Instant) -> Gate {
        open_if(*lock(&self.crowd).get_or_insert(self.id) == self.id)
    }
}

impl Drop for OneAtATime {
    fn drop(&mut self) {
        lock(&self.crowd).take_if(|id| *id == self.id);
    }
}

struct StallTogether {
    /// How many have bytes that their peer does not take.
    crowd: Crowd<usize>,
    is_stuck: bool,
}

impl StallTogether {
    fn new(crowd: Crowd<usize>) -> Self {
        Self { crowd, is_stuck: false }
    }
}

impl Spoiler for StallTogether {
    fn gate(&mut self, _now: Instant) -> Gate {
        open_if(self.is_stuck || *lock(&self.crowd) == 0)
    }

    fn stuck(&mut self, is_stuck: bool) {
        let mut stuck = lock(&self.crowd);
        *stuck = *stuck + usize::from(is_stuck) - usize::from(self.is_stuck);
        self.is_stuck = is_stuck;
    }
}

impl Drop for StallTogether {
    fn drop(&mut self) {
        self.stuck(false);
    }
}

struct Unfair {
    /// Who is being served for as long as it goes on, and when it was last.
    crowd: Crowd<Option<(Id, Instant)>>,
    id: Id,
}

impl Unfair {
    /// A chunk like this comes from somebody who sends without a pause.
    const CHUNK: usize = 16 << 10;

    /// So long without one is a pause.
    const PAUSE: Duration = Duration::from_millis(100);

    fn new(crowd: Crowd<Option<(Id, Instant)>>) -> Self {
        Self { crowd, id: Id::next() }
    }
}

impl Spoiler for Unfair {
    fn gate(&mut self, now: Instant) -> Gate {
        let served = *lock(&self.crowd);
        open_if(served.is_none_or(|(id, last)| {
            id == self.id || now.saturating_duration_since(last) > Self::PAUSE
        }))
    }

    fn returned(&mut self, bytes: &[u8], out: &mut Schedule) {
        if bytes.len() >= Self::CHUNK {
            *lock(&self.crowd) = Some((self.id, out.now()));
        }
        out.send(bytes);
    }
}

impl Drop for Unfair {
    fn drop(&mut self) {
        lock(&self.crowd).take_if(|(id, _)| *id == self.id);
    }
}

struct DieAfterReset {
    is_dead: Crowd<bool>,
}

impl DieAfterReset {
    fn new(is_dead: Crowd<bool>) -> Self {
        Self { is_dead }
    }
}

impl Spoiler for DieAfterReset {
    fn gate(&mut self, _now: Instant) -> Gate {
        open_if(!*lock(&self.is_dead))
    }

    fn peer_reset(&mut self) {
        *lock(&self.is_dead) = true;
    }
}

struct Leak {
    /// Connections that have ended.
    crowd: Crowd<u64>,
    most: u64,
    is_admitted: bool,
}

impl Spoiler for Leak {
    fn gate(&mut self, _now: Instant) -> Gate {
        self.is_admitted = self.is_admitted || *lock(&self.crowd) < self.most;
        open_if(self.is_admitted)
    }
}

impl Drop for Leak {
    fn drop(&mut self) {
        *lock(&self.crowd) += u64::from(self.is_admitted);
    }
}

struct RefuseOver {
    /// Connections that are open.
    crowd: Crowd<u64>,
    most: u64,
    is_admitted: bool,
}

impl Spoiler for RefuseOver {
    fn gate(&mut self, _now: Instant) -> Gate {
        let mut open = lock(&self.crowd);
        if !self.is_admitted {
            if *open >= self.most {
                return Gate::Refused;
            }
            self.is_admitted = true;
            *open += 1;
        }
        Gate::Open
    }
}

impl Drop for RefuseOver {
    fn drop(&mut self) {
        *lock(&self.crowd) -= u64::from(self.is_admitted);
    }
}
