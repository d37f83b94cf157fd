//! A stream of the load: messages follow each other without a mark.
//!
//! ```text
//! stream of bytes   | message 0 | message 1 | message 2 | message 3 | ...
//!                               ^done                ^written
//!                               |<---- in flight ------>|
//! ```
//!
//! What is sent is written from its offset alone and what comes back is checked as it comes, so a
//! message may be larger than every buffer on its way. A message's time begins when its first byte is
//! written, and ends when all bytes up to its last are back.

use std::{
    io::{self, Read, Write},
    ops::Range,
};

use super::{
    super::{plan::Plan, stall::Progress},
    Flow, Left, Pacer, SEED, Turn,
    in_flight::InFlight,
};
use crate::pattern::{Checker, Damage, Pattern};

/// Writes, or reads, that one connection gets before it is the turn of others.
const TURN: usize = 4;

/// How long a stream stands before bytes that are missing in the middle count as lost, in nanoseconds.
const SETTLE: u64 = 500_000_000;

/// One stream of the load.
pub(in super::super) struct StreamFlow<S> {
    stream: S,
    pattern: Pattern,
    checker: Option<Checker>,
    pacer: Pacer,
    /// Messages begun and not back yet; at most the plan's depth.
    in_flight: InFlight,
    /// Messages back.
    done: u64,
    /// Where the oldest message in flight ends.
    boundary: u64,
    /// Bytes.
    written: u64,
    received: u64,
    /// When something last came back, and since when more is due.
    came: u64,
    waits_since: u64,
    /// The messages that are measured.
    measured: Range<u64>,
    /// Messages in flight that have been damaged; those up to `counted` have been counted.
    damaged: Range<u64>,
    counted: u64,
}

impl<S: Read + Write> Flow for StreamFlow<S> {
    type Socket = S;

    fn new(stream: S, number: u32, plan: &Plan) -> Self {
        let pattern = Pattern::new(SEED, number);
        Self {
            stream,
            pattern,
            checker: plan.verify.then(|| Checker::new(pattern)),
            pacer: Pacer::new(plan, number),
            in_flight: InFlight::default(),
            done: 0,
            boundary: plan.size,
            written: 0,
            received: 0,
            came: 0,
            waits_since: 0,
            measured: 0..0,
            damaged: 0..0,
            counted: 0,
        }
    }

    fn next_due(&self, plan: &Plan) -> Option<u64> {
        self.pacer.next_due().filter(|_| self.in_flight.len() < plan.depth as u64)
    }

    fn unblock(&mut self, now: u64) {
        self.pacer.unblock(now);
    }

    fn send(&mut self, turn: &mut Turn<'_>, now: u64) -> io::Result<Left> {
        let size = turn.plan.size;
        for round in 0..TURN {
            if self.pacer.blocked {
                return Ok(Left::Nothing);
            }
            let room = turn.output.len();
            let unfinished = (self.started() * size).saturating_sub(self.written);
            // As many as begin within the buffer.
            let most = (room as u64).saturating_sub(unfinished).div_ceil(size);
            let most = most.min(turn.plan.depth as u64 - self.in_flight.len());
            if most == 0 && unfinished == 0 {
                return Ok(Left::Nothing);
            }
            let at = if round == 0 { now } else { turn.clock.now() };
            let ready = self.pacer.ready(turn.until, at, most);
            let wanted = unfinished.saturating_add(ready.saturating_mul(size));
            let len = usize::try_from(wanted).map_or(room, |wanted| wanted.min(room));
            if len == 0 {
                return Ok(Left::Nothing);
            }
            self.pattern.fill(self.written, &mut turn.output[..len]);
            let written = match self.stream.write(&turn.output[..len]) {
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.written += written as u64;
            self.begin(turn, at);
            // A socket that takes less than it is given is full.
            self.pacer.blocked = written < len;
        }
        Ok(Left::More)
    }

    fn receive(&mut self, turn: &mut Turn<'_>) -> io::Result<(Left, Option<u64>)> {
        let mut came = None;
        for _ in 0..TURN {
            let len = match self.stream.read(turn.input) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok((Left::Nothing, came));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let at = turn.clock.now();
            came = Some(at);
            self.take_in(turn, len, at);
            if len < turn.input.len() {
                return Ok((Left::Nothing, came));
            }
        }
        Ok((Left::More, came))
    }

    fn progress(&self) -> Progress {
        let waits = (!self.in_flight.is_empty()).then_some(self.waits_since);
        Progress { came: self.came, waits }
    }

    fn is_unfinished(&self, plan: &Plan) -> bool {
        self.written < self.started() * plan.size
    }

    fn is_overdue(&self, _: &Plan, now: u64) -> bool {
        !self.in_flight.is_empty() && now.saturating_sub(self.waits_since) >= SETTLE
    }

    /// What is missing in the middle is lost, and the messages around it are back.
    fn settle(&mut self, turn: &mut Turn<'_>, at: u64) -> bool {
        let Some(checker) = &mut self.checker else { return false };
        let damages = checker.settle().to_vec();
        let back = checker.complete_to();
        self.note(turn, &damages);
        self.complete(turn, back, at);
        !damages.is_empty()
    }

    fn give_up(&mut self, turn: &mut Turn<'_>, at: u64) {
        self.settle(turn, at);
        while let Some((sent, count)) = self.in_flight.take(u64::MAX) {
            turn.never_came(sent, count, at);
        }
        self.pacer.give_up(turn, at);
    }
}

impl<S> StreamFlow<S> {
    /// Messages begun.
    fn started(&self) -> u64 {
        self.done + self.in_flight.len()
    }

    /// Notes the messages whose first byte was written at `at`.
    fn begin(&mut self, turn: &mut Turn<'_>, at: u64) {
        if self.in_flight.is_empty() {
            self.waits_since = at;
        }
        let begun = self.written.div_ceil(turn.plan.size);
        let mut number = self.started();
        while number < begun {
            let (sent, count) = self.pacer.take(at, begun - number);
            self.in_flight.push(sent, count);
            if turn.began(sent, count, self.pacer.able_since) {
                if self.measured.is_empty() {
                    self.measured.start = number;
                }
                self.measured.end = number + count;
            }
            number += count;
        }
    }

    /// Checks what was read at `at`, and completes the messages that are back.
    fn take_in(&mut self, turn: &mut Turn<'_>, len: usize, at: u64) {
        self.received += len as u64;
        self.came = at;
        self.waits_since = at;
        turn.received(len, at);
        let back = match &mut self.checker {
            None => self.received,
            Some(checker) => {
                let damages = checker.check(&turn.input[..len]);
                if !damages.is_empty() {
                    let damages = damages.to_vec();
                    self.note(turn, &damages);
                }
                self.checker.as_ref().map_or(self.received, Checker::complete_to)
            }
        };
        self.complete(turn, back, at);
    }

    /// Takes the messages of which every byte is back, up to offset `back`, out of flight.
    fn complete(&mut self, turn: &mut Turn<'_>, back: u64, at: u64) {
        let was_full = self.in_flight.len() == turn.plan.depth as u64;
        let (before, size) = (self.done, turn.plan.size);
        while self.boundary <= back {
            let whole = 1 + (back - self.boundary) / size;
            let Some((sent, count)) = self.in_flight.take(whole) else { break };
            let after = self.done + count;
            let measured = turn.came_back(sent, count, at);
            let damaged = self.damaged.start.max(self.done)..self.damaged.end.min(after);
            if measured && !damaged.is_empty() {
                turn.tally.corrupt += damaged.end - damaged.start;
                self.counted = damaged.end;
            }
            self.done = after;
            self.boundary += count * size;
        }
        if was_full && self.done > before {
            self.pacer.able_since = at;
        }
    }

    /// Notes which messages have been damaged; those back already become corrupt ones.
    #[cold]
    fn note(&mut self, turn: &mut Turn<'_>, damages: &[Damage]) {
        let plan = turn.plan;
        for damage in damages {
            let first = damage.offset / plan.size;
            let end = damage.offset.saturating_add(damage.extent).div_ceil(plan.size);
            let back = first.max(self.counted).max(self.measured.start)
                ..end.min(self.done).min(self.measured.end);
            if !back.is_empty() {
                turn.tally.corrupt += back.end - back.start;
                self.counted = back.end;
            }
            let pending = first.max(self.done)..end.min(self.started());
            if !pending.is_empty() {
                self.damaged = if self.damaged.end <= self.done {
                    pending
                } else {
                    self.damaged.start.min(pending.start)..self.damaged.end.max(pending.end)
                };
            }
        }
        turn.damaged(&self.pattern, damages);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::VecDeque,
        time::{Duration, Instant},
    };

    use fastrand::Rng;

    use super::*;
    use crate::bench::{Arrival, Mode, Settings, clock::Clock, tally::Tally};

    const MS: u64 = 1_000_000;

    type Fault = fn(u8) -> Vec<u8>;

    /// An echo that takes and gives as much as it likes, and does something to the bytes.
    struct Echo {
        bytes: VecDeque<u8>,
        /// The most that it holds.
        capacity: usize,
        /// It gives and takes as much as it can.
        is_whole: bool,
        taken: u64,
        random: Rng,
        /// Offsets and what becomes of the bytes there.
        faults: Vec<(u64, Fault)>,
    }

    impl Echo {
        fn new(capacity: usize) -> Self {
            let random = Rng::with_seed(7);
            Self {
                bytes: VecDeque::new(),
                capacity,
                is_whole: false,
                taken: 0,
                random,
                faults: Vec::new(),
            }
        }
    }

    impl Read for Echo {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            if self.bytes.is_empty() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let some = if self.is_whole { buf.len() } else { self.random.usize(1..=buf.len()) };
            self.bytes.read(&mut buf[..some])
        }
    }

    impl Write for Echo {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            let room = self.capacity.saturating_sub(self.bytes.len()).min(buf.len());
            if room == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let some = if self.is_whole { room } else { self.random.usize(1..=room) };
            for byte in &buf[..some] {
                match self.faults.iter().find(|(at, _)| *at == self.taken) {
                    Some((_, fault)) => self.bytes.extend(fault(*byte)),
                    None => self.bytes.push_back(*byte),
                }
                self.taken += 1;
            }
            Ok(some)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Bench {
        plan: Plan,
        until: u64,
        clock: Clock,
        output: Vec<u8>,
        input: Vec<u8>,
        tally: Tally,
    }

    impl Bench {
        fn new(size: usize, depth: u32, mode: Mode) -> Self {
            let plan = Plan::new(&Settings {
                size,
                depth,
                mode,
                connections: 1,
                warmup: Duration::ZERO,
                ..Settings::default()
            });
            Self {
                until: u64::MAX,
                clock: Clock::starting(Instant::now()),
                output: vec![0; 1000],
                input: vec![0; 1000],
                tally: Tally::new(0, plan.is_open()),
                plan,
            }
        }

        fn turn(&mut self) -> Turn<'_> {
            Turn {
                plan: &self.plan,
                until: self.until,
                clock: self.clock,
                output: &mut self.output,
                input: &mut self.input,
                tally: &mut self.tally,
            }
        }

        /// As many turns as it takes to complete so many messages, or all that can be.
        fn exchange(&mut self, flow: &mut StreamFlow<Echo>, messages: u64) {
            for _ in 0..100_000 {
                flow.unblock(self.clock.now());
                let (_, came) = flow.receive(&mut self.turn()).unwrap();
                let now = came.unwrap_or_else(|| self.clock.now());
                flow.send(&mut self.turn(), now).unwrap();
                if self.tally.came >= messages {
                    return;
                }
            }
        }
    }

    #[test]
    fn what_is_sent_comes_back_or_is_unanswered_however_the_socket_cuts_it() {
        for (size, depth, capacity) in [(1, 1, 10), (64, 1, 5), (64, 16, 700), (5000, 3, 333)] {
            let mut bench = Bench::new(size, depth, Mode::Closed);
            let mut flow = StreamFlow::new(Echo::new(capacity), 3, &bench.plan);
            bench.exchange(&mut flow, 200);
            assert!(flow.in_flight.len() <= u64::from(depth));
            let now = bench.clock.now();
            flow.give_up(&mut bench.turn(), now);
            let tally = &bench.tally;
            assert!(tally.completed >= 200, "{size} x {depth}");
            assert_eq!(tally.sent, tally.completed + tally.unanswered);
            assert_eq!((tally.corrupt, tally.damages, tally.unsent), (0, 0, 0));
            assert_eq!(tally.service.len(), tally.completed);
            assert_eq!(tally.messages, tally.completed);
        }
    }

    #[test]
    fn damage_is_counted_once_with_its_message() {
        let faults: [(Fault, &str); 2] = [(|byte| vec![byte ^ 1], "corrupt"), (|_| vec![], "lost")];
        for (fault, name) in faults {
            // In the middle of message 50, and on its last byte.
            for at in [50 * 64 + 30, 51 * 64 - 1] {
                let mut bench = Bench::new(64, 4, Mode::Closed);
                let mut flow = StreamFlow::new(Echo::new(1000), 3, &bench.plan);
                flow.stream.faults.push((at, fault));
                bench.exchange(&mut flow, 50);
                for _ in 0..3 {
                    // As a connection that stands because of what is missing.
                    bench.exchange(&mut flow, 45);
                    let now = bench.clock.now();
                    flow.settle(&mut bench.turn(), now);
                }
                bench.exchange(&mut flow, 100);
                let now = bench.clock.now();
                flow.give_up(&mut bench.turn(), now);
                let tally = &bench.tally;
                assert_eq!((tally.corrupt, tally.damages), (1, 1), "{name} at {at}: {tally:?}");
                assert!(tally.first_damages[0].contains(name), "{:?}", tally.first_damages);
                assert!(tally.first_damages[0].starts_with("connection 3: "));
                assert!(tally.completed >= 100, "it goes on");
                assert_eq!(tally.sent, tally.completed + tally.unanswered);
            }
        }
    }

    #[test]
    fn a_message_damaged_twice_is_one_corrupt_message() {
        let mut bench = Bench::new(64, 4, Mode::Closed);
        let mut flow = StreamFlow::new(Echo::new(1000), 3, &bench.plan);
        bench.input.truncate(16); // much is told in one look, else
        let flip: Fault = |byte| vec![byte ^ 1];
        // The second is told only by what follows, when the message is back already.
        flow.stream.faults = vec![(50 * 64 + 2, flip), (51 * 64 - 1, flip)];
        bench.exchange(&mut flow, 100);
        assert_eq!((bench.tally.corrupt, bench.tally.damages), (1, 2), "{:?}", bench.tally);
        // Told long after both were back.
        for (offset, corrupt) in [(60 * 64, 2), (60 * 64 + 9, 2), (61 * 64 - 1, 2), (61 * 64, 3)] {
            let kind = crate::pattern::DamageKind::Duplicated;
            flow.note(&mut bench.turn(), &[Damage { kind, offset, extent: 1 }]);
            assert_eq!(bench.tally.corrupt, corrupt, "{offset}");
        }
    }

    #[test]
    fn messages_that_are_due_wait_for_their_connection_and_keep_their_time() {
        let open = Mode::Open { rate: 1000.0, arrival: Arrival::Even };
        let mut bench = Bench::new(64, 2, open);
        let mut flow = StreamFlow::new(Echo::new(1000), 0, &bench.plan);
        flow.stream.is_whole = true;
        bench.clock = Clock::starting(Instant::now() - Duration::from_secs(1));
        bench.until = 100 * MS; // 100 messages, the first at 0
        flow.send(&mut bench.turn(), 50 * MS).unwrap();
        assert_eq!(bench.tally.sent, 2, "as deep as allowed");
        assert_eq!(flow.next_due(&bench.plan), None, "the third could not be sent");
        flow.receive(&mut bench.turn()).unwrap();
        assert_eq!(bench.tally.completed, 2);
        let response = bench.tally.open.as_ref().unwrap().response.max();
        assert!(response >= bench.tally.service.max() + 49 * MS, "from when it was due");
        bench.tally = Tally::new(0, true);
        flow.send(&mut bench.turn(), 99 * MS).unwrap();
        assert_eq!((bench.tally.sent, bench.tally.held), (2, 2));
        let lag = bench.tally.open.as_ref().unwrap().lag.max();
        assert_eq!(lag, 0, "the connection's lateness is not ours");
        flow.give_up(&mut bench.turn(), 2000 * MS);
        assert_eq!((bench.tally.unsent, bench.tally.unanswered), (96, 2));
        assert_eq!(bench.tally.oldest, (2000 - 99) * MS);
    }

    #[test]
    fn what_was_sent_before_measuring_began_is_not_counted() {
        let mut bench = Bench::new(64, 4, Mode::Closed);
        bench.plan.from = u64::MAX;
        let mut flow = StreamFlow::new(Echo::new(1000), 0, &bench.plan);
        bench.exchange(&mut flow, 1000);
        let now = bench.clock.now();
        flow.give_up(&mut bench.turn(), now);
        let tally = &bench.tally;
        assert!(tally.came >= 1000);
        assert_eq!((tally.sent, tally.completed, tally.unanswered, tally.messages), (0, 0, 0, 0));
    }

    #[test]
    fn a_closed_connection_is_an_error() {
        struct Closed;
        impl Read for Closed {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Ok(0)
            }
        }
        impl Write for Closed {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                Ok(buf.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut bench = Bench::new(64, 1, Mode::Closed);
        let mut flow = StreamFlow::new(Closed, 0, &bench.plan);
        assert!(flow.receive(&mut bench.turn()).is_err());
    }
}
