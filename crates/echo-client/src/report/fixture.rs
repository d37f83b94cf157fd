//! A run that was never made, for tests.

use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;

use crate::bench::{
    Arrival, Counts, Instance, Interval, Mode, Outcome, Settings, Slo, SloResult, Stall, Statistic,
    Throughput, histogram, nanos,
};

/// What makes one run differ from the next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    pub(crate) seconds: u32,
    /// Messages per second.
    pub(crate) rate: u64,
    /// Nanoseconds.
    pub(crate) middle: f64,
    pub(crate) instance: Option<Instance>,
}

impl Default for Script {
    fn default() -> Self {
        Self { seed: 1, seconds: 12, rate: 1000, middle: 50_000.0, instance: None }
    }
}

/// The run, and every sample of its response times.
pub(crate) fn outcome(script: Script) -> (Outcome, Vec<u64>) {
    let mut random = fastrand::Rng::with_seed(script.seed);
    let mut unit = move || random.f64();
    let whole = |ns: f64| nanos(Duration::from_secs_f64(ns / 1e9));
    let mut samples = Vec::new();
    let (mut service, mut response, mut lag) = (histogram(), histogram(), histogram());
    let mut timeline = Vec::new();
    for second in 0..script.seconds {
        let (mut served, mut responded) = (histogram(), histogram());
        let drift = 1.0 + 0.2 * (unit() - 0.5);
        let frozen = if second == script.seconds / 2 { 60.0 } else { 1.0 };
        for _ in 0..script.rate {
            let tail = if unit() < 0.02 { 8.0 * unit() * unit() * frozen } else { 0.0 };
            let took = whole(script.middle * drift * (0.8 + 0.4 * unit() + tail));
            let late = whole(2000.0 * unit()) + 1;
            served.saturating_record(took);
            responded.saturating_record(took + late);
            lag.saturating_record(late);
            samples.push(took + late);
        }
        timeline.push(Interval {
            start: Duration::from_secs(second.into()),
            length: Duration::from_secs(1),
            sent: script.rate,
            received: script.rate,
            bytes: script.rate * 64,
            errors: 0,
            service: Counts::from(&served),
            response: Some(Counts::from(&responded)),
        });
        let add = |to: &mut Histogram<u64>, from| to.add(from).expect("of one range");
        add(&mut service, &served);
        add(&mut response, &responded);
    }
    let messages = script.rate * u64::from(script.seconds);
    let limit = Duration::from_millis(1);
    let outcome = Outcome {
        started: SystemTime::UNIX_EPOCH
            + Duration::from_secs(1_795_380_000 + 3600 * (script.seed % 1000)),
        elapsed: Duration::from_secs(script.seconds.into()),
        drained: Duration::from_millis(2),
        sent: messages,
        received: messages,
        connections: 50,
        throughput: Throughput {
            messages,
            bytes: messages * 64,
            messages_per_s: script.rate as f64,
            bytes_per_s: script.rate as f64 * 64.0,
        },
        service,
        response: Some(response),
        send_lag: Some(lag),
        timeline,
        stalls: vec![Stall {
            start: Duration::from_secs((script.seconds / 2).into()),
            length: Duration::from_millis(300),
            connections: 50,
        }],
        cpu: vec![0.25, 0.5],
        slo: vec![SloResult {
            slo: Slo { what: Statistic::Percentile(99.0), limit },
            measured: Some(Duration::from_micros(300)),
            met: true,
        }],
        ..Outcome::empty(settings(script))
    };
    (outcome, samples)
}

fn settings(script: Script) -> Settings {
    Settings {
        connections: 50,
        mode: Mode::Open { rate: script.rate as f64, arrival: Arrival::Even },
        duration: Duration::from_secs(script.seconds.into()),
        threads: 2,
        slo: vec![Slo { what: Statistic::Percentile(99.0), limit: Duration::from_millis(1) }],
        instance: script.instance,
        ..Settings::default()
    }
}
