//! A run from the first connection to the outcome.

use std::{
    iter,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context;

use super::{
    Counts, Damage, Datagrams, Failure, Instance, Interval, Outcome, Settings, Throughput,
    Unanswered,
    clock::Clock,
    connect::connect,
    drops::ReceiveBuffers,
    flow::{DatagramFlow, Flow, StreamFlow},
    judge::judge,
    plan::Plan,
    probe, stall,
    stream::Stream,
    tally::{Tally, count_reason},
    worker::{Finished, Report, TICK, Worker},
};
use crate::figures;

/// Between the last connection's opening and the start of the load: threads get ready in it.
const GET_READY: Duration = Duration::from_millis(20);

/// How much later than `start_at` a load may begin.
const MAX_LATE: Duration = Duration::from_millis(100);

/// How often we look up from waiting for the threads.
const LOOK_UP: Duration = Duration::from_millis(100);

/// How far a run has come.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// Since the load began, the warm-up included.
    pub elapsed: Duration,
    /// Messages per second that came back in the last interval, once there is one.
    pub messages_per_s: Option<f64>,
    /// Of the last interval's latency, if it had enough messages.
    pub p99: Option<Duration>,
    /// Damaged, missed and duplicated messages and failed connections so far.
    pub errors: u64,
}

/// Runs a load and judges what came of it.
///
/// Once `stop` is true the run ends early, with the outcome so far. `watch` is told several times
/// per second how far it has come.
///
/// # Errors
/// [`ConnectError`](crate::ConnectError) when there is no connection at all; otherwise what is at
/// fault is this machine: too few open files allowed, no more threads.
pub fn run(
    settings: &Settings,
    stop: &AtomicBool,
    watch: &mut dyn FnMut(&Progress),
) -> anyhow::Result<Outcome> {
    let plan = Plan::new(settings);
    let numbers = own_numbers(settings);
    let connected = connect(settings, &numbers, stop)?;
    let connections = u32::try_from(connected.streams.len()).unwrap_or(u32::MAX);
    let probing = match settings.probe {
        true => Some(probe::open(settings)?),
        false => None,
    };
    let streams = connected.streams.iter().map(|(_, stream)| stream);
    let buffers = settings.is_datagrams().then(|| ReceiveBuffers::of(streams));
    let late = sleep_until(settings.start_at, stop);
    let clock = Clock::starting(Instant::now() + GET_READY);
    let started = SystemTime::now() + GET_READY + settings.warmup;

    // Each thread has neighbours in turn, so that the threads, too, send in turn.
    let threads = (settings.threads as usize).clamp(1, numbers.len().max(1));
    let mut shares: Vec<Vec<_>> = iter::repeat_with(Vec::new).take(threads).collect();
    for (i, stream) in connected.streams.into_iter().enumerate() {
        shares[i % threads].push(stream);
    }
    let (reports, collected) = mpsc::channel();
    let (collected, probe) = thread::scope(|scope| -> anyhow::Result<_> {
        for (worker, share) in shares.into_iter().enumerate() {
            let reports = reports.clone();
            let plan = &plan;
            let carry = move || match settings.is_datagrams() {
                true => carry::<DatagramFlow<_>>(plan, clock, share, reports, worker),
                false => carry::<StreamFlow<_>>(plan, clock, share, reports, worker),
            };
            let starting = thread::Builder::new().name(format!("load-{worker}"));
            starting
                .spawn_scoped(scope, carry)
                .inspect_err(|_| plan.end(0, 0))
                .context(NO_THREAD)?;
        }
        drop(reports);
        let probe = match probing {
            None => None,
            Some(path) => {
                let probe = || probe::run(settings, &plan, clock, path);
                let starting = thread::Builder::new().name("probe".into());
                let probe = starting.spawn_scoped(scope, probe);
                Some(probe.inspect_err(|_| plan.end(0, 0)).context(NO_THREAD)?)
            }
        };
        let collected = Collected::new(&plan, threads).collect(&collected, clock, stop, watch)?;
        let probe = probe.and_then(|probe| probe.join().ok());
        Ok((collected, probe))
    })?;

    let Collected { total, mut timeline, finished, .. } = collected;
    let sending_ended = finished.iter().map(|finished| finished.sending_ended).max().unwrap_or(0);
    let ended = finished.iter().map(|finished| finished.ended).max().unwrap_or(0);
    let elapsed = Duration::from_nanos(sending_ended.saturating_sub(plan.from));
    let drained = Duration::from_nanos(ended.saturating_sub(sending_ended));
    set_lengths(&mut timeline, elapsed, drained);
    let mut failed = connected.failed;
    for Failure { reason, count } in &total.failures {
        count_reason(&mut failed, reason, *count);
    }
    let per_second = |count: u64| count as f64 / elapsed.as_secs_f64().max(1e-9);
    let mut outcome = Outcome {
        started,
        elapsed,
        drained,
        interrupted: stop.load(Ordering::Relaxed),
        sent: total.sent,
        received: total.completed.saturating_sub(total.corrupt),
        corrupt: total.corrupt,
        unanswered: Unanswered { count: total.unanswered, oldest: total.oldest() },
        unsent: total.unsent,
        held: total.held,
        datagrams: settings.is_datagrams().then(|| Datagrams {
            lost: total.missed.saturating_sub(total.late),
            late: total.late,
            duplicated: total.duplicated,
            reordered: total.reordered,
            dropped: buffers.as_ref().and_then(ReceiveBuffers::dropped),
        }),
        damage: Damage { count: total.damages, first: total.first_damages },
        connections,
        failed,
        throughput: Throughput {
            messages: total.messages,
            bytes: total.bytes,
            messages_per_s: per_second(total.messages),
            bytes_per_s: per_second(total.bytes),
        },
        service: total.service,
        probe,
        timeline,
        stalls: stall::together(total.stood, plan.from),
        cpu: finished.iter().map(|finished| finished.busy).collect(),
        ..Outcome::empty(settings.clone())
    };
    if let Some(open) = total.open {
        (outcome.response, outcome.send_lag) = (Some(open.response), Some(open.lag));
    }
    judge(&mut outcome);
    if late > MAX_LATE {
        outcome.invalid.push(format!(
            "the load began {} after --start-at: opening connections took too long",
            figures::duration(late)
        ));
    }
    Ok(outcome)
}

/// One thread of the load, from its beginning to its report.
fn carry<F: Flow<Socket = Stream>>(
    plan: &Plan,
    clock: Clock,
    share: Vec<(u32, Stream)>,
    reports: Sender<Report>,
    worker: usize,
) {
    match Worker::<F>::new(plan, clock, share, reports.clone()) {
        Ok(carrying) => carrying.run(worker),
        Err(error) => {
            let _ = reports.send(Report::Finished(Finished::never_begun(worker, error)));
        }
    }
}

const NO_THREAD: &str = "cannot start a thread";

/// The connections of the whole load that are ours.
fn own_numbers(settings: &Settings) -> Vec<u32> {
    let Instance { index, count } = settings.instance.unwrap_or(Instance { index: 0, count: 1 });
    (index..settings.connections).step_by(count.max(1) as usize).collect()
}

/// Sleeps until it is time to get ready. Returns how late it is then.
fn sleep_until(start: Option<SystemTime>, stop: &AtomicBool) -> Duration {
    let Some(ready) = start.map(|start| start - GET_READY) else { return Duration::ZERO };
    while let Ok(left) = ready.duration_since(SystemTime::now()) {
        if stop.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        thread::sleep(left.min(LOOK_UP));
    }
    ready.elapsed().unwrap_or_default()
}

/// What the threads have reported.
struct Collected<'a> {
    plan: &'a Plan,
    threads: usize,
    total: Tally,
    timeline: Vec<Interval>,
    finished: Vec<Finished>,
}

impl<'a> Collected<'a> {
    fn new(plan: &'a Plan, threads: usize) -> Self {
        let total = Tally::new(0, plan.is_open());
        Self { plan, threads, total, timeline: Vec::new(), finished: Vec::new() }
    }

    /// Takes reports until all threads have ended.
    fn collect(
        mut self,
        reports: &Receiver<Report>,
        clock: Clock,
        stop: &AtomicBool,
        watch: &mut dyn FnMut(&Progress),
    ) -> anyhow::Result<Self> {
        while self.finished.len() < self.threads {
            match reports.recv_timeout(LOOK_UP) {
                Ok(Report::Interval(tally)) => self.take_in(&tally),
                Ok(Report::Finished(finished)) => self.finished.push(finished),
                Err(RecvTimeoutError::Timeout) => watch(&self.progress(clock)),
                Err(RecvTimeoutError::Disconnected) => anyhow::bail!("a thread has panicked"),
            }
            if stop.load(Ordering::Relaxed) {
                // By then every thread has heard of it: what they count ends where the time does.
                self.plan.end(clock.now() + TICK, self.total.service.max());
            }
        }
        self.finished.sort_by_key(|finished| finished.worker);
        match self.finished.iter_mut().find_map(|finished| finished.error.take()) {
            Some(error) => Err(error).context("cannot wait for sockets"),
            None => Ok(self),
        }
    }

    fn take_in(&mut self, tally: &Tally) {
        self.total.add(tally);
        let at = usize::try_from(tally.interval).unwrap_or(usize::MAX);
        while self.timeline.len() <= at {
            let index = self.timeline.len() as u64;
            self.timeline.push(Interval {
                start: Duration::from_nanos(index * self.plan.interval),
                length: Duration::from_nanos(self.plan.interval),
                response: self.plan.is_open().then(Counts::default),
                ..Interval::default()
            });
        }
        let Some(interval) = self.timeline.get_mut(at) else { return };
        interval.sent += tally.sent;
        interval.received += tally.completed.saturating_sub(tally.corrupt);
        interval.bytes += tally.bytes;
        interval.errors += tally.errors();
        interval.service.add(&tally.service);
        if let (Some(response), Some(open)) = (&mut interval.response, &tally.open) {
            response.add(&open.response);
        }
    }

    fn progress(&self, clock: Clock) -> Progress {
        let last = self.timeline.last();
        let rate = |last: &Interval| last.received as f64 / last.length.as_secs_f64();
        Progress {
            elapsed: Duration::from_nanos(clock.now()),
            messages_per_s: last.map(rate),
            p99: last.and_then(Interval::p99),
            errors: self.total.errors(),
        }
    }
}

/// The last interval of the load may be cut short, and what comes after it is not of one length.
fn set_lengths(timeline: &mut [Interval], elapsed: Duration, drained: Duration) {
    for interval in timeline {
        if interval.start >= elapsed {
            (interval.start, interval.length) = (elapsed, drained);
        } else {
            interval.length = interval.length.min(elapsed - interval.start);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
    };

    use echo_cli::Endpoint;

    use super::*;
    use crate::bench::{Arrival, Mode};

    /// An echo service for as many connections as come.
    fn service() -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || {
                    let mut message = [0; 64];
                    while stream.read_exact(&mut message).is_ok() {
                        stream.write_all(&message).unwrap();
                    }
                });
            }
        });
        Endpoint::Tcp { host: "127.0.0.1".to_owned(), port }
    }

    #[test]
    fn the_timeline_adds_up_to_the_whole() {
        let settings = Settings {
            target: service(),
            connections: 5,
            threads: 2,
            depth: 100,
            mode: Mode::Open { rate: 500.0, arrival: Arrival::Even },
            warmup: Duration::from_millis(100),
            duration: Duration::from_millis(1200),
            ..Settings::default()
        };
        let outcome = run(&settings, &AtomicBool::new(false), &mut |_| {}).unwrap();
        assert_eq!(outcome.sent + outcome.unsent, 600);
        let timeline = &outcome.timeline;
        let sum = |of: fn(&Interval) -> u64| timeline.iter().map(of).sum::<u64>();
        assert_eq!(sum(|interval| interval.sent), outcome.sent);
        assert_eq!(sum(|interval| interval.received), outcome.received);
        assert_eq!(sum(|interval| interval.bytes), outcome.throughput.bytes);
        assert_eq!(sum(|interval| interval.service.total()), outcome.received);
        let of_response = |interval: &Interval| interval.response.as_ref().unwrap().total();
        assert_eq!(sum(of_response), outcome.received);
        let mut whole = crate::bench::histogram();
        for interval in timeline {
            whole.add(interval.service.to_histogram()).unwrap();
        }
        assert_eq!(whole, outcome.service, "intervals merge to exactly the same counts");

        assert_eq!(outcome.elapsed, Duration::from_millis(1200));
        let load: Duration = timeline[..2].iter().map(|interval| interval.length).sum();
        assert_eq!((timeline.len(), load), (3, outcome.elapsed));
        assert_eq!((timeline[2].start, timeline[2].length), (outcome.elapsed, outcome.drained));
    }

    #[test]
    fn a_run_that_is_stopped_before_it_measures_has_measured_nothing() {
        for mode in [Mode::Closed, Mode::Open { rate: 100.0, arrival: Arrival::Even }] {
            let settings = Settings {
                target: service(),
                warmup: Duration::from_secs(3600),
                mode,
                ..Settings::default()
            };
            let outcome = run(&settings, &AtomicBool::new(true), &mut |_| {}).unwrap();
            assert!(outcome.interrupted && !outcome.is_valid());
            assert_eq!((outcome.elapsed, outcome.sent), (Duration::ZERO, 0));
        }
    }

    #[test]
    fn a_stopped_run_ends_early_with_what_it_has() {
        let settings = Settings {
            target: service(),
            warmup: Duration::ZERO,
            duration: Duration::from_secs(3600),
            ..Settings::default()
        };
        let stop = AtomicBool::new(false);
        let mut looks = 0;
        let outcome = run(&settings, &stop, &mut |progress| {
            looks += 1;
            stop.store(looks == 2, Ordering::Relaxed);
            assert!(progress.elapsed < Duration::from_secs(60));
        });
        let outcome = outcome.unwrap();
        assert!(outcome.interrupted && outcome.elapsed < Duration::from_secs(60));
        assert!(outcome.received > 0);
        assert_eq!(outcome.sent, outcome.received);
    }
}
