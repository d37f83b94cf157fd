//! Datagrams of the load: each message is one, and tells itself which one it is.
//!
//! ```text
//! load        | message 0 |..| message 1 |..| message 2 |..|     each begins a word of the pattern
//!
//!             sent ──▶ in flight ──▶ back, right or corrupt
//!                          │ after the plan's wait
//!                          └──────▶ missed ──▶ late, when it comes after all; else lost
//! ```
//!
//! What comes back and belongs to no message in flight or missed was back before: it is duplicated. A
//! message that is missed gives its place to the next one, so that no loss stops the load. Messages
//! shorter than a word are told apart by the bytes that they have; chance may take one for another.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
};

use super::{
    super::{plan::Plan, stall::Progress},
    Flow, Left, Pacer, SEED, Sent, Turn,
};
use crate::{
    message::MAX_DATAGRAM,
    pattern::{Checker, Damage, DamageKind, Pattern, WORD},
};

/// Datagrams that one connection sends, or receives, before it is the turn of others.
const TURN: usize = 16;

/// Missed messages that are remembered, in case that they come after all: of more, the oldest count as
/// duplicated when they come.
const MAX_MISSED: usize = 4096;

/// Messages that one too short for a whole word may be.
const MAX_GUESSED: usize = 1024;

/// One flow of datagrams.
pub(in super::super) struct DatagramFlow<S> {
    socket: S,
    pattern: Pattern,
    verify: bool,
    /// Bytes of a message.
    size: usize,
    /// From one message to the next in the load: the size, rounded up to whole words.
    stride: u64,
    pacer: Pacer,
    /// Messages sent.
    sent: u64,
    /// Messages that wait for their answer, oldest first, with their numbers; at most the plan's depth.
    in_flight: VecDeque<(u64, Sent)>,
    /// The numbers of messages that did not come in time, oldest first.
    missed: VecDeque<u64>,
    /// The first message that is measured; all after it are, too.
    measured_from: Option<u64>,
    /// After the latest message that came back.
    newest: u64,
    /// When something last came back, and since when more is due.
    came: u64,
    waits_since: u64,
}

/// What a datagram that came is.
enum Origin {
    /// This message in flight, by its place.
    InFlight(usize),
    /// This message, which did not come in time.
    Missed(usize),
    /// Some message that was back before.
    Back(u64),
    /// None that was sent here.
    Foreign,
}

impl<S: Read + Write> Flow for DatagramFlow<S> {
    type Socket = S;

    fn new(socket: S, number: u32, plan: &Plan) -> Self {
        let size = usize::try_from(plan.size).unwrap_or(MAX_DATAGRAM);
        Self {
            socket,
            pattern: Pattern::new(SEED, number),
            verify: plan.verify,
            size,
            stride: plan.size.next_multiple_of(WORD as u64),
            pacer: Pacer::new(plan, number),
            sent: 0,
            in_flight: VecDeque::new(),
            missed: VecDeque::new(),
            measured_from: None,
            newest: 0,
            came: 0,
            waits_since: 0,
        }
    }

    fn next_due(&self, plan: &Plan) -> Option<u64> {
        self.pacer.next_due().filter(|_| self.in_flight.len() < plan.depth)
    }

    fn unblock(&mut self, now: u64) {
        self.pacer.unblock(now);
    }

    fn send(&mut self, turn: &mut Turn<'_>, now: u64) -> io::Result<Left> {
        let mut at = now;
        for _ in 0..TURN {
            let is_full = self.in_flight.len() >= turn.plan.depth;
            if self.pacer.blocked || is_full || self.pacer.ready(turn.until, at, 1) == 0 {
                return Ok(Left::Nothing);
            }
            let message = &mut turn.output[..self.size];
            self.pattern.fill(self.sent * self.stride, message);
            match self.socket.write(message) {
                Ok(_) => self.begin(turn, at),
                Err(error) if is_no_room(&error) => self.pacer.blocked = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            at = turn.clock.now();
        }
        Ok(Left::More)
    }

    fn receive(&mut self, turn: &mut Turn<'_>) -> io::Result<(Left, Option<u64>)> {
        let mut came = None;
        for _ in 0..TURN {
            let len = match self.socket.read(turn.input) {
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
            // What else there may be, nobody waits for: it is seen with what comes next.
            if self.in_flight.is_empty() && self.pacer.arrivals.is_none() {
                return Ok((Left::Nothing, came));
            }
        }
        Ok((Left::More, came))
    }

    fn progress(&self) -> Progress {
        let waits = (!self.in_flight.is_empty()).then_some(self.waits_since);
        Progress { came: self.came, waits }
    }

    fn is_unfinished(&self, _: &Plan) -> bool {
        false
    }

    fn is_overdue(&self, plan: &Plan, now: u64) -> bool {
        // Where the system had no room for a datagram, no event tells when it has.
        self.pacer.blocked
            || self.in_flight.front().is_some_and(|(_, sent)| plan.is_late(sent.at, now))
    }

    /// What is overdue has missed its time. A socket without room is tried again.
    fn settle(&mut self, turn: &mut Turn<'_>, at: u64) -> bool {
        let was_blocked = self.pacer.blocked;
        self.pacer.unblock(at);
        self.expire(turn, at) || was_blocked
    }

    fn give_up(&mut self, turn: &mut Turn<'_>, at: u64) {
        self.expire(turn, at);
        for (_, sent) in self.in_flight.drain(..) {
            turn.never_came(sent, 1, at);
        }
        self.pacer.give_up(turn, at);
    }
}

impl<S> DatagramFlow<S> {
    /// Notes the message that was sent at `at`.
    fn begin(&mut self, turn: &mut Turn<'_>, at: u64) {
        if self.in_flight.is_empty() {
            self.waits_since = at;
        }
        let (sent, _) = self.pacer.take(at, 1);
        if turn.began(sent, 1, self.pacer.able_since) {
            self.measured_from.get_or_insert(self.sent);
        }
        self.in_flight.push_back((self.sent, sent));
        self.sent += 1;
    }

    /// Messages that are not back by now have missed their time. True when there are some.
    fn expire(&mut self, turn: &mut Turn<'_>, at: u64) -> bool {
        let mut expired = false;
        while let Some((number, sent)) = self.in_flight.front().copied() {
            if !turn.plan.is_late(sent.at, at) {
                break;
            }
            expired = true;
            self.leave(turn, 0, at);
            turn.tally.missed += u64::from(turn.plan.measures(sent.due));
            if self.missed.len() == MAX_MISSED {
                self.missed.pop_front();
            }
            self.missed.push_back(number);
        }
        expired
    }

    /// Takes a message out of flight.
    fn leave(&mut self, turn: &Turn<'_>, place: usize, at: u64) -> Option<(u64, Sent)> {
        if self.in_flight.len() == turn.plan.depth {
            self.pacer.able_since = at;
        }
        self.in_flight.remove(place)
    }

    /// Counts the datagram that came at `at`.
    fn take_in(&mut self, turn: &mut Turn<'_>, len: usize, at: u64) {
        turn.received(len, at);
        (self.came, self.waits_since) = (at, at);
        // What has missed its time has, even if nobody has looked since.
        self.expire(turn, at);
        let datagram = &turn.input[..len];
        if let Some((number, sent)) = self.in_flight.front().copied() {
            if self.is(number, datagram) {
                self.leave(turn, 0, at);
                turn.came_back(sent, 1, at);
                self.note_order(turn, number);
                return;
            }
        }
        self.take_in_other(turn, len, at);
    }

    /// Counts a datagram that is not just what is due next.
    #[cold]
    fn take_in_other(&mut self, turn: &mut Turn<'_>, len: usize, at: u64) {
        let datagram = &turn.input[..len];
        let mut origin = self.origin(datagram);
        let number = match origin {
            Origin::InFlight(place) => self.in_flight.get(place).map(|(number, _)| *number),
            Origin::Missed(place) => self.missed.get(place).copied(),
            Origin::Back(number) => Some(number),
            Origin::Foreign => self.in_flight.front().map(|(number, _)| *number),
        };
        let mut damages = Vec::new();
        if self.verify {
            let start = number.unwrap_or(self.sent) * self.stride;
            let mut checker = Checker::starting_at(self.pattern, start);
            damages.extend_from_slice(checker.check(datagram));
            damages.extend_from_slice(checker.finish(start + self.size as u64));
        }
        let crossed = |damage: &Damage| matches!(damage.kind, DamageKind::Crossed { .. });
        let is_lone = self.in_flight.len() == 1 && !damages.iter().any(crossed);
        if matches!(origin, Origin::Foreign) && self.verify && is_lone {
            // It tells nothing, but there is only one that it can be.
            origin = Origin::InFlight(0);
        }
        let measured = number.zip(self.measured_from).is_some_and(|(n, from)| n >= from);
        match origin {
            Origin::InFlight(place) => {
                let Some((number, sent)) = self.leave(turn, place, at) else { return };
                let measured = turn.came_back(sent, 1, at);
                turn.tally.corrupt += u64::from(measured && !damages.is_empty());
                self.note_order(turn, number);
            }
            Origin::Missed(place) => {
                self.missed.remove(place);
                turn.tally.late += u64::from(measured);
            }
            Origin::Back(_) => turn.tally.duplicated += u64::from(measured),
            Origin::Foreign => {}
        }
        turn.damaged(&self.pattern, &damages);
    }

    /// Notes that a message is back: one that was sent before another that is back is reordered.
    fn note_order(&mut self, turn: &mut Turn<'_>, number: u64) {
        if number < self.newest {
            let measured = self.measured_from.is_some_and(|from| number >= from);
            turn.tally.reordered += u64::from(measured);
        } else {
            self.newest = number + 1;
        }
    }

    /// Whether a datagram is this message, and right; without verification, whether it begins so.
    fn is(&self, number: u64, datagram: &[u8]) -> bool {
        let looked_at = if self.verify { datagram.len() } else { datagram.len().min(WORD) };
        datagram.len() == self.size
            && self.pattern.matching(number * self.stride, &datagram[..looked_at]) == looked_at
    }

    /// Which message a datagram is.
    fn origin(&self, datagram: &[u8]) -> Origin {
        if self.size < WORD {
            return self.guess(datagram);
        }
        let number = self.pattern.message_of(datagram, self.stride, self.sent);
        let Some(number) = number else { return Origin::Foreign };
        if let Ok(place) = self.in_flight.binary_search_by_key(&number, |(number, _)| *number) {
            return Origin::InFlight(place);
        }
        self.missed.binary_search(&number).map_or(Origin::Back(number), Origin::Missed)
    }

    /// The same for one that has no whole word.
    fn guess(&self, datagram: &[u8]) -> Origin {
        let is = |number: u64| self.is(number, datagram);
        let in_flight = self.in_flight.iter().take(MAX_GUESSED);
        if let Some(place) = in_flight.into_iter().position(|(number, _)| is(*number)) {
            return Origin::InFlight(place);
        }
        let missed = self.missed.iter().rev().take(MAX_GUESSED).position(|number| is(*number));
        if let Some(place) = missed {
            return Origin::Missed(self.missed.len() - 1 - place);
        }
        let recent = self.sent.saturating_sub(MAX_GUESSED as u64)..self.sent;
        recent.rev().find(|number| is(*number)).map_or(Origin::Foreign, Origin::Back)
    }
}

/// Whether a datagram has to wait for room: in the socket, or in what lies below it.
fn is_no_room(error: &io::Error) -> bool {
    let below = rustix::io::Errno::NOBUFS.raw_os_error();
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(below)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::bench::{Mode, Settings, clock::Clock, tally::Tally};

    const SECOND: u64 = 1_000_000_000;

    /// A path of which the test has both ends.
    #[derive(Default)]
    struct Wire {
        sent: VecDeque<Vec<u8>>,
        back: VecDeque<Vec<u8>>,
        /// What is said to the next datagram instead of taking it.
        refuses: Option<io::Error>,
    }

    impl Read for Wire {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let Some(datagram) = self.back.pop_front() else {
                return Err(io::ErrorKind::WouldBlock.into());
            };
            buf[..datagram.len()].copy_from_slice(&datagram);
            Ok(datagram.len())
        }
    }

    impl Write for Wire {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            if let Some(error) = self.refuses.take() {
                return Err(error);
            }
            self.sent.push_back(buf.to_vec());
            Ok(buf.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Bench {
        plan: Plan,
        clock: Clock,
        output: Vec<u8>,
        input: Vec<u8>,
        tally: Tally,
        flow: DatagramFlow<Wire>,
    }

    impl Bench {
        /// A closed loop with so many datagrams in flight, of which the first ones are.
        fn new(size: usize, depth: u32) -> Self {
            let plan = Plan::new(&Settings {
                target: "udp://127.0.0.1:7".parse().unwrap(),
                size,
                depth,
                mode: Mode::Closed,
                warmup: Duration::ZERO,
                ..Settings::default()
            });
            let mut bench = Self {
                clock: Clock::starting(Instant::now()),
                output: vec![0; 1 << 16],
                input: vec![0; 1 << 16],
                tally: Tally::new(0, false),
                flow: DatagramFlow::new(Wire::default(), 3, &plan),
                plan,
            };
            bench.send(0).unwrap();
            assert_eq!(bench.flow.socket.sent.len(), depth as usize);
            bench
        }

        fn parts(&mut self) -> (&mut DatagramFlow<Wire>, Turn<'_>) {
            let Self { plan, clock, output, input, tally, flow } = self;
            (flow, Turn { plan, until: u64::MAX, clock: *clock, output, input, tally })
        }

        fn send(&mut self, at: u64) -> io::Result<Left> {
            let (flow, mut turn) = self.parts();
            flow.send(&mut turn, at)
        }

        fn settle(&mut self, at: u64) -> bool {
            let (flow, mut turn) = self.parts();
            flow.settle(&mut turn, at)
        }

        fn give_up(&mut self, at: u64) {
            let (flow, mut turn) = self.parts();
            flow.give_up(&mut turn, at);
        }

        /// Lets these datagrams come.
        fn come(&mut self, datagrams: &[&[u8]]) {
            for datagram in datagrams {
                self.flow.socket.back.push_back(datagram.to_vec());
                let (flow, mut turn) = self.parts();
                flow.receive(&mut turn).unwrap();
            }
        }

        fn sent(&self) -> Vec<Vec<u8>> {
            self.flow.socket.sent.iter().cloned().collect()
        }
    }

    #[test]
    fn each_fate_of_a_datagram_is_told_from_the_others_at_every_size() {
        for size in [3, 8, 12, 64, 1000] {
            let mut bench = Bench::new(size, 6);
            let sent = bench.sent();
            // Reordered, and duplicated.
            bench.come(&[&sent[1], &sent[0], &sent[1]]);
            let tally = &bench.tally;
            assert_eq!((tally.completed, tally.reordered, tally.duplicated), (2, 1, 1), "{size}");
            // The rest misses its time; one comes after all, and then again.
            assert!(!bench.settle(SECOND / 2));
            assert!(bench.settle(2 * SECOND));
            bench.come(&[&sent[4], &sent[4]]);
            let tally = &bench.tally;
            assert_eq!((tally.missed, tally.late, tally.duplicated), (4, 1, 2), "{size}");
            assert_eq!((tally.corrupt, tally.damages), (0, 0), "{size}");
            bench.send(2 * SECOND).unwrap();
            assert_eq!(bench.flow.in_flight.len(), 6, "what is missed holds nobody up");
            bench.give_up(2 * SECOND + 1);
            let tally = &bench.tally;
            assert_eq!(tally.sent, tally.completed + tally.missed + tally.unanswered, "{size}");
            assert_eq!(tally.unanswered, 6);
        }
    }

    #[test]
    fn a_damaged_datagram_is_the_one_that_it_was() {
        let mut bench = Bench::new(64, 3);
        let mut sent = bench.sent();
        sent[1][5] ^= 1; // its other words tell
        sent[2].truncate(20);
        bench.come(&[&sent[1], &sent[2]]);
        assert_eq!((bench.tally.corrupt, bench.tally.completed), (2, 2), "{:?}", bench.tally);
        assert_eq!(bench.flow.in_flight.len(), 1);
        sent[0].fill(7); // only one is left that it can be
        bench.come(&[&sent[0]]);
        assert_eq!((bench.tally.corrupt, bench.tally.completed), (3, 3));
        bench.come(&[&[], &[9; 65_000]]);
        assert_eq!(bench.tally.completed, 3, "nobody sent these");
        assert!(bench.tally.damages > 3);
    }

    #[test]
    fn what_another_connection_has_sent_is_crossed_and_answers_nothing() {
        let mut bench = Bench::new(64, 1);
        let mut other = vec![0; 64];
        Pattern::new(SEED, 9).fill(640, &mut other);
        bench.come(&[&other]);
        assert!(bench.tally.first_damages[0].contains("connection 9"), "{:?}", bench.tally);
        assert_eq!((bench.tally.completed, bench.tally.corrupt), (0, 0));
        let sent = bench.sent();
        bench.come(&[&sent[0]]);
        assert_eq!((bench.tally.completed, bench.tally.duplicated), (1, 0));
    }

    #[test]
    fn without_room_sending_waits_and_without_a_listener_it_fails() {
        let no_room = rustix::io::Errno::NOBUFS.into();
        for error in [io::Error::from(io::ErrorKind::WouldBlock), no_room] {
            let mut bench = Bench::new(64, 1);
            let sent = bench.sent();
            bench.come(&[&sent[0]]);
            bench.flow.socket.refuses = Some(error);
            bench.send(0).unwrap();
            assert_eq!(bench.tally.sent, 1);
            assert!(bench.flow.is_overdue(&bench.plan, 0) && bench.settle(1), "no event tells");
            bench.send(1).unwrap();
            assert_eq!(bench.tally.sent, 2);
        }
        let mut bench = Bench::new(64, 1);
        assert!(bench.settle(2 * SECOND));
        bench.flow.socket.refuses = Some(io::ErrorKind::ConnectionRefused.into());
        assert!(bench.send(2 * SECOND).is_err());
    }
}
