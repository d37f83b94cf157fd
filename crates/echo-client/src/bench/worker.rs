//! One thread of the load: its connections, and nothing shared while messages flow.
//!
//! ```text
//!          +--------------------- events -----------------------+
//!          v                                                    |
//!   receive, check, count ──▶ send the next one (closed) ──▶ wait, until something is due
//!                                                               ^
//!   what is due by the clock ──▶ send it (open) ────────────────+
//! ```

use std::{io, sync::mpsc::Sender, time::Duration};

use mio::{Events, Interest, Token, event::Source};

use super::{
    clock::{Clock, nanos},
    flow::{Flow, Left, Turn},
    pace::Schedule,
    plan::Plan,
    stall::StallWatch,
    tally::{Tally, count_reason},
    wait::Waiter,
};

/// The most that is read or written at once: more gains nothing, and less costs large messages.
const BUFFER: usize = 64 << 10;

/// How often a thread looks up from its messages: for the end, for SIGINT, for connections that stand.
pub(super) const TICK: u64 = 50_000_000;

/// How often it looks whether everything is back at the end.
const DRAIN_TICK: u64 = 2_000_000;

/// Connections that may send because the clock says so before others are read from again.
const SENDS: usize = 32;

/// What a thread tells.
pub(super) enum Report {
    /// What it counted during an interval.
    Interval(Box<Tally>),
    /// It has ended.
    Finished(Finished),
}

/// How a thread has ended.
pub(super) struct Finished {
    pub(super) worker: usize,
    /// When it sent its last message or lost its last connection.
    pub(super) sending_ended: u64,
    /// When it had everything back or gave up.
    pub(super) ended: u64,
    /// The share of the measured time that it was not idle.
    pub(super) busy: f64,
    /// Why it ended before the load, if it did.
    pub(super) error: Option<io::Error>,
}

impl Finished {
    /// A thread that could not begin.
    pub(super) fn never_begun(worker: usize, error: io::Error) -> Self {
        Self { worker, sending_ended: 0, ended: 0, busy: 0.0, error: Some(error) }
    }
}

/// One thread of the load.
pub(super) struct Worker<'a, F> {
    load: Load<'a, F>,
    waiter: Waiter,
    events: Events,
    /// Connections that have more to read or write than their turn took, each once.
    again: Vec<usize>,
    /// Those of them that have it now.
    having: Vec<usize>,
    reports: Sender<Report>,
    stalls: StallWatch,
    /// When to look up next.
    next_tick: u64,
    /// CPU time when measuring began, and when it ended.
    cpu: (Option<CpuTime>, Option<CpuTime>),
    /// What a message usually takes, in nanoseconds; unknown before the first one is back.
    usual: Option<u64>,
}

/// The connections, and what a turn of one needs.
struct Load<'a, F> {
    plan: &'a Plan,
    clock: Clock,
    until: u64,
    flows: Vec<Option<Carried<F>>>,
    alive: usize,
    schedule: Schedule,
    /// The load has ended: nothing is due any more.
    is_over: bool,
    output: Box<[u8]>,
    input: Box<[u8]>,
    tally: Box<Tally>,
}

/// A connection, and where its thread has it.
struct Carried<F> {
    flow: F,
    /// Its next message has a place in the schedule.
    scheduled: bool,
    /// It is among those that get another turn.
    queued: bool,
}

impl<F> Carried<F> {
    /// Puts it, the connection with this index, among those that get another turn.
    fn queue(&mut self, left: Left, index: usize, again: &mut Vec<usize>) {
        if left == Left::More && !self.queued {
            self.queued = true;
            again.push(index);
        }
    }
}

impl<'a, F: Flow<Socket: Source>> Worker<'a, F> {
    /// A worker with these connections, which have their numbers in the whole load.
    pub(super) fn new(
        plan: &'a Plan,
        clock: Clock,
        sockets: Vec<(u32, F::Socket)>,
        reports: Sender<Report>,
    ) -> io::Result<Self> {
        let (waiter, events) = Waiter::new()?;
        let mut flows = Vec::with_capacity(sockets.len());
        for (number, mut socket) in sockets {
            // Told once each time that the socket has something or takes something again.
            let interest = Interest::READABLE | Interest::WRITABLE;
            waiter.registry().register(&mut socket, Token(flows.len()), interest)?;
            let flow = F::new(socket, number, plan);
            flows.push(Some(Carried { flow, scheduled: false, queued: false }));
        }
        let load = Load {
            plan,
            clock,
            until: plan.until(),
            alive: flows.len(),
            flows,
            schedule: Schedule::default(),
            is_over: false,
            output: vec![0; BUFFER].into(),
            input: vec![0; BUFFER].into(),
            tally: Box::new(Tally::new(0, plan.is_open())),
        };
        Ok(Self {
            load,
            waiter,
            events,
            again: Vec::new(),
            having: Vec::new(),
            reports,
            stalls: StallWatch::default(),
            next_tick: 0,
            cpu: (None, None),
            usual: None,
        })
    }

    /// Carries its part of the load to the end.
    pub(super) fn run(mut self, worker: usize) {
        self.load.clock.wait_for_start();
        let result = self.carry();
        let now = self.load.clock.now();
        let sending_ended = now.min(self.load.until);
        self.load.give_up_all(now);
        let busy = self.busy_share(sending_ended);
        let Self { load, reports, .. } = self;
        // When nobody listens any more, nothing is to be told.
        let _ = reports.send(Report::Interval(load.tally));
        let finished = Finished { worker, sending_ended, ended: now, busy, error: result.err() };
        let _ = reports.send(Report::Finished(finished));
    }

    fn carry(&mut self) -> io::Result<()> {
        self.load.start(&mut self.again);
        loop {
            let now = self.load.clock.now();
            if now >= self.next_tick && !self.tick(now) {
                return Ok(());
            }
            self.wait()?;
            for event in &self.events {
                let Token(index) = event.token();
                self.load.event(index, event.is_writable(), &mut self.again);
                if event.is_read_closed() {
                    self.load.look_again(index, &mut self.again);
                }
            }
            std::mem::swap(&mut self.again, &mut self.having);
            for index in self.having.drain(..) {
                self.load.event(index, true, &mut self.again);
            }
            self.load.send_due(&mut self.again);
        }
    }

    /// Waits for sockets, for the next message that is due, or for the next tick.
    fn wait(&mut self) -> io::Result<()> {
        let (waiter, events, clock) = (&mut self.waiter, &mut self.events, self.load.clock);
        let due = self.load.schedule.next().filter(|due| *due < self.next_tick);
        if !self.again.is_empty() {
            waiter.look(events)
        } else if let Some(due) = due {
            waiter.wait_exactly(events, clock, due)
        } else {
            waiter.wait(events, clock, self.next_tick)
        }
    }

    /// Looks up from the messages; false when everything is done.
    fn tick(&mut self, now: u64) -> bool {
        let load = &mut self.load;
        load.until = load.plan.until();
        let (from, until) = (load.plan.from, load.until);
        if now >= from {
            self.cpu.0.get_or_insert_with(|| CpuTime::now(&self.waiter));
        }
        if now >= until {
            load.is_over = true;
            load.schedule = Schedule::default();
            self.cpu.1.get_or_insert_with(|| CpuTime::now(&self.waiter));
        }
        self.usual = load.tally.took.checked_div(load.tally.came).or(self.usual);
        let mut interval = load.plan.interval_of(now.min(until.saturating_sub(1)));
        interval += u64::from(now >= until); // what comes after the end is kept apart
        if interval != load.tally.interval {
            let next = Box::new(Tally::new(interval, load.plan.is_open()));
            let full = std::mem::replace(&mut load.tally, next);
            let _ = self.reports.send(Report::Interval(full));
        }
        let stood = match self.usual {
            Some(usual) if now >= from && now < until => {
                let flows = load.flows.iter().flatten();
                self.stalls.look(now, usual, flows.map(|carried| carried.flow.progress()))
            }
            _ => self.stalls.end(until),
        };
        load.tally.stood.extend(stood);
        load.settle_standing(now, &mut self.again);

        let give_up = load.plan.patience_ends();
        let boundary = from.saturating_add((interval + 1).saturating_mul(load.plan.interval));
        let soon = now + if now < until { TICK } else { DRAIN_TICK };
        let edges = [from, until, boundary, give_up, soon];
        self.next_tick = edges.into_iter().filter(|edge| *edge > now).min().unwrap_or(give_up);
        let waits =
            || load.flows.iter().flatten().any(|carried| carried.flow.progress().waits.is_some());
        load.alive > 0 && (now < until || now < give_up && waits())
    }

    /// The share of the measured time in which this thread was not idle.
    fn busy_share(&self, sending_ended: u64) -> f64 {
        let measured = sending_ended.saturating_sub(self.load.plan.from);
        if measured == 0 {
            return 0.0; // it ended in the warm-up
        }
        let now = CpuTime::now(&self.waiter);
        let (from, to) = (self.cpu.0.unwrap_or(now), self.cpu.1.unwrap_or(now));
        let spun = to.spun - from.spun;
        (to.used - from.used).saturating_sub(spun) as f64 / measured as f64
    }
}

/// CPU time of a thread, in nanoseconds.
#[derive(Debug, Clone, Copy)]
struct CpuTime {
    used: u64,
    /// How much of that was spent awake with nothing to do.
    spun: u64,
}

impl CpuTime {
    fn now(waiter: &Waiter) -> Self {
        let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Self { used: Duration::try_from(used).map_or(0, nanos), spun: waiter.spun() }
    }
}

impl<F: Flow> Load<'_, F> {
    /// Starts every connection.
    fn start(&mut self, again: &mut Vec<usize>) {
        for index in 0..self.flows.len() {
            let Some(carried) = &mut self.flows[index] else { continue };
            match carried.flow.next_due(self.plan) {
                Some(due) => {
                    carried.scheduled = true;
                    self.schedule.push(due, index);
                }
                None => self.event(index, true, again),
            }
        }
    }

    /// Lets a connection receive and send after its socket has said something.
    fn event(&mut self, index: usize, writable: bool, again: &mut Vec<usize>) {
        let (flows, _, mut turn) = self.turn();
        let Some(Some(carried)) = flows.get_mut(index) else { return };
        carried.queued = false;
        let (flow, scheduled) = (&mut carried.flow, carried.scheduled);
        let exchanged = flow.receive(&mut turn).and_then(|(received, came)| {
            let now = came.unwrap_or_else(|| turn.clock.now());
            if writable {
                flow.unblock(now);
            }
            if scheduled && !flow.is_unfinished(turn.plan) {
                return Ok(received);
            }
            let sent = flow.send(&mut turn, now)?;
            Ok(if sent == Left::More { sent } else { received })
        });
        match exchanged {
            Ok(left) => {
                carried.queue(left, index, again);
                self.put_in_schedule(index);
            }
            Err(error) => self.fail(index, &error),
        }
    }

    /// Has a connection receive once more: behind the last bytes of its peer there is the end, of which
    /// no event will tell.
    fn look_again(&mut self, index: usize, again: &mut Vec<usize>) {
        if let Some(Some(carried)) = self.flows.get_mut(index) {
            carried.queue(Left::More, index, again);
        }
    }

    /// Sends what is due by the clock.
    fn send_due(&mut self, again: &mut Vec<usize>) {
        for _ in 0..SENDS {
            if self.schedule.next().is_none() {
                return; // a closed loop has no clock to look at
            }
            let now = self.clock.now();
            let mut failed = None;
            let (flows, schedule, mut turn) = self.turn();
            let turned = schedule.turn(now, |index| {
                let carried = flows.get_mut(index)?.as_mut()?;
                match carried.flow.send(&mut turn, now) {
                    Ok(left) => carried.queue(left, index, again),
                    Err(error) => failed = Some((index, error)),
                }
                let next = carried.flow.next_due(turn.plan).filter(|due| *due < turn.until);
                carried.scheduled = next.is_some();
                next
            });
            if let Some((index, error)) = failed {
                self.fail(index, &error);
            }
            if !turned {
                return;
            }
        }
    }

    /// Puts a connection that can send again back into the schedule.
    fn put_in_schedule(&mut self, index: usize) {
        let is_over = self.is_over;
        let (flows, schedule, turn) = self.turn();
        let Some(Some(carried)) = flows.get_mut(index) else { return };
        if carried.scheduled || is_over {
            return;
        }
        if let Some(due) = carried.flow.next_due(turn.plan).filter(|due| *due < turn.until) {
            carried.scheduled = true;
            schedule.push(due, index);
        }
    }

    /// Settles what has been standing for long; what was held up by missing bytes goes on.
    fn settle_standing(&mut self, now: u64, again: &mut Vec<usize>) {
        for index in 0..self.flows.len() {
            let (flows, _, mut turn) = self.turn();
            let Some(Some(Carried { flow, .. })) = flows.get_mut(index) else { continue };
            if flow.is_overdue(turn.plan, now) && flow.settle(&mut turn, now) {
                self.event(index, false, again);
            }
        }
    }

    /// Takes a connection out that has failed; the others go on.
    #[cold]
    fn fail(&mut self, index: usize, error: &io::Error) {
        let now = self.clock.now();
        let (flows, _, mut turn) = self.turn();
        let Some(Carried { mut flow, .. }) = flows.get_mut(index).and_then(Option::take) else {
            return;
        };
        // One that is closed when everything is back has done its work.
        if now < turn.until || flow.progress().waits.is_some() {
            count_reason(&mut turn.tally.failures, &reason(error), 1);
        }
        flow.give_up(&mut turn, now);
        self.alive -= 1;
    }

    /// Counts what is missing on the connections that are left.
    fn give_up_all(&mut self, now: u64) {
        let (flows, _, mut turn) = self.turn();
        for Carried { flow, .. } in flows.iter_mut().flatten() {
            flow.give_up(&mut turn, now);
        }
    }

    /// The connections, when they are due, and what a turn of one of them needs.
    fn turn(&mut self) -> (&mut [Option<Carried<F>>], &mut Schedule, Turn<'_>) {
        let Self { plan, clock, until, flows, schedule, output, input, tally, .. } = self;
        let turn = Turn { plan, until: *until, clock: *clock, output, input, tally };
        (flows, schedule, turn)
    }
}

/// Why a connection failed, the same words for the same reason.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the peer closed the connection".to_owned(),
        // Only datagrams learn that late: from an ICMP message.
        io::ErrorKind::ConnectionRefused => "nobody listens there (port unreachable)".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset by peer".to_owned(),
        _ => error.to_string(),
    }
}
