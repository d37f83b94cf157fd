//! The echo connection under the plainest of engines: readiness as it is, no sockets, and every
//! order of calls that chance can think of. Also both ends of a connection under one each.

use std::time::Duration;

use echo_core::{Buffer, Codec, Decoder, EchoConnection, EchoLimits, Intake};

use super::{
    engine::Engine,
    oracle::{Bounds, Status},
    world::{End, Shared, World},
};

/// How many reads and writes a connection gets before it is the others' turn.
const TURN_CALLS: usize = 8;

#[derive(Debug)]
pub(super) struct Model {
    world: Shared,
    codec: Codec,
    limits: EchoLimits,
    read_size: usize,
    /// The most that may be held.
    bound: usize,
    slots: Vec<Option<Connection>>,
    drain: bool,
}

#[derive(Debug)]
struct Connection {
    end: End,
    echo: EchoConnection<Codec>,
    /// What was received and not sent: first what is released, then what is held.
    buffer: Buffer,
}

impl Model {
    pub(super) fn new(world: &Shared, codec: &Codec, limits: EchoLimits, slots: usize) -> Self {
        let read_size = world.borrow_mut().rng.pick(&[1, 16, 64, 200]);
        let bound = codec.max_buffered().unwrap();
        let slots = std::iter::repeat_with(|| None).take(slots).collect();
        let (world, codec) = (Shared::clone(world), codec.clone());
        Self { world, codec, limits, read_size, bound, slots, drain: false }
    }

    fn open(&self) -> impl Iterator<Item = &Connection> {
        self.slots.iter().flatten()
    }
}

impl Engine for Model {
    fn bounds(&self) -> Bounds {
        Bounds {
            limits: self.limits,
            tick: Duration::ZERO,
            unsent: self.limits.high_water + self.bound,
            lags: false,
            goes_on: false,
        }
    }

    fn has_room(&self) -> bool {
        self.slots.iter().any(Option::is_none)
    }

    fn admit(&mut self, end: End) {
        let now = end.world.borrow().now;
        let mut echo = EchoConnection::new(self.codec.clone(), self.limits, now);
        if self.drain {
            echo.drain(now);
        }
        let connection = Connection { end, echo, buffer: Buffer::new(self.read_size) };
        let slot = self.slots.iter_mut().find(|slot| slot.is_none()).unwrap();
        *slot = Some(connection);
    }

    fn drain(&mut self) {
        self.drain = true;
        let now = self.world.borrow().now;
        self.slots.iter_mut().flatten().for_each(|connection| connection.echo.drain(now));
    }

    fn is_ready(&self, world: &World) -> bool {
        self.open().any(|connection| connection.is_ready(world))
    }

    fn wake_at(&self) -> Option<Duration> {
        self.open().filter_map(|connection| connection.echo.wake_at()).min()
    }

    fn turn(&mut self, ended: &mut Vec<(usize, Status)>) {
        let now = self.world.borrow().now;
        let sizes = [self.limits.high_water, self.bound, self.read_size];
        for slot in &mut self.slots {
            let Some(connection) = slot else { continue };
            if self.drain {
                connection.echo.drain(now); // told more than once, as some engines do
            }
            if connection.turn(now, sizes).is_err() {
                connection.echo.failed();
            }
            if connection.echo.end().is_some() {
                ended.push((connection.end.id, Status::of(&connection.echo)));
                *slot = None;
            }
        }
    }

    fn statuses(&self, statuses: &mut Vec<(usize, Status)>) {
        statuses.extend(self.open().map(|open| (open.end.id, Status::of(&open.echo))));
    }

    fn check_at_rest(&self) {
        assert_eq!(self.open().count(), 0, "slots are still taken");
    }
}

impl Connection {
    fn is_ready(&self, world: &World) -> bool {
        let link = &world.links[self.end.id];
        let reads = matches!(self.echo.intake(), Intake::Echo(_) | Intake::Discard);
        self.echo.owes_fin()
            || reads && link.is_readable(self.end.side)
            || self.echo.unsent() > 0 && link.is_writable(self.end.side)
    }

    /// Some reads and writes in any order, at least one try of each; then what is due.
    fn turn(&mut self, now: Duration, sizes: [usize; 3]) -> std::io::Result<()> {
        let (mut tried_read, mut tried_write) = (false, false);
        for call in 0.. {
            let reads = matches!(self.echo.intake(), Intake::Echo(_) | Intake::Discard);
            let writes = self.echo.unsent() > 0;
            let enough = call >= TURN_CALLS;
            let (reads, writes) =
                (reads && !(enough && tried_read), writes && !(enough && tried_write));
            let reads_now = match (reads, writes) {
                (false, false) => break,
                (true, true) => self.end.world.borrow_mut().rng.percent(50),
                (reads, _) => reads,
            };
            let result = if reads_now { self.read(now, sizes) } else { self.write(now) };
            match result {
                Ok(()) if reads_now => tried_read = true,
                Ok(()) => tried_write = true,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    *(if reads_now { &mut tried_read } else { &mut tried_write }) = true;
                    if tried_read && tried_write || !(reads && writes) {
                        break;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        self.echo.tick(now);
        if self.echo.owes_fin() {
            self.end.shut_down()?;
            self.echo.fin_sent(now);
        }
        self.buffer.shrink();
        Ok(())
    }

    fn read(
        &mut self,
        now: Duration,
        [high_water, bound, read_size]: [usize; 3],
    ) -> std::io::Result<()> {
        let unsent = usize::try_from(self.echo.unsent()).unwrap();
        let most = match self.echo.intake() {
            Intake::Echo(n) => n,
            _ => usize::MAX,
        };
        let pending = self.buffer.pending().len();
        let space = self.buffer.space(Some(bound + unsent));
        let room = space.len().min(most);
        let memory = pending + space.len();
        assert!(memory <= high_water + 2 * bound + read_size, "{memory} bytes of memory");
        let n = self.end.read(&mut space[..room])?;
        self.buffer.filled(n).unwrap();
        let held = &self.buffer.pending()[unsent..];
        if n == 0 {
            self.echo.peer_done(held, now);
        } else {
            self.echo.received(held, n, now);
        }
        if matches!(self.echo.intake(), Intake::Discard | Intake::Done) {
            self.buffer.truncate(usize::try_from(self.echo.unsent()).unwrap());
        }
        Ok(())
    }

    fn write(&mut self, now: Duration) -> std::io::Result<()> {
        let unsent = usize::try_from(self.echo.unsent()).unwrap();
        let n = self.end.write(&self.buffer.pending()[..unsent])?;
        self.buffer.discard(n);
        self.echo.sent(n, now);
        Ok(())
    }
}
