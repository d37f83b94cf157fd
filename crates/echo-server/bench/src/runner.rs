//! Measures contenders in turns, so that whatever disturbs the machine disturbs all of them alike.
//!
//! In every round each contender is started, loaded and ended once, in an order that rotates.

use std::time::Duration;

use crate::{
    cell::Cell,
    contender::{Contender, Kind},
    load::{self, Times},
    server::{Memory, Server},
    spread::Spread,
};

/// What one contender has done in one round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) messages_per_s: f64,
    /// Of the server, all its threads.
    pub(crate) cpu_us: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// The share of its core that the load took: near 1, it may be the load that is measured.
    pub(crate) load_cpu: f64,
    /// The share of the time that others kept the load from its core: disturbed, if it is much.
    pub(crate) load_waited: f64,
    pub(crate) memory: Memory,
}

/// What one contender has done in a cell; a round in which it failed has no sample.
#[derive(Debug)]
pub(crate) struct Series<'c> {
    pub(crate) contender: &'c Contender,
    pub(crate) rounds: Vec<Option<Sample>>,
    pub(crate) failure: Option<String>,
}

/// Measures a cell: as many series as there are contenders.
pub(crate) fn measure<'c>(
    cell: Cell,
    contenders: &[&'c Contender],
    rounds: usize,
    times: Times,
) -> Vec<Series<'c>> {
    let mut all: Vec<Series<'c>> = contenders
        .iter()
        .map(|contender| Series { contender, rounds: vec![None; rounds], failure: None })
        .collect();
    for round in 0..rounds {
        for turn in 0..all.len() {
            let i = (round + turn) % all.len();
            let series = &mut all[i];
            match sample(series.contender, cell, times) {
                Ok(sample) => series.rounds[round] = Some(sample),
                Err(why) => series.failure = Some(format!("{why:#}")),
            }
        }
    }
    all
}

fn sample(contender: &Contender, cell: Cell, times: Times) -> anyhow::Result<Sample> {
    let server = Server::start(contender)?;
    let measured = match load::run(server.address, cell, times, || server.cpu()) {
        Ok(measured) => measured,
        Err(error) => return Err(server.end(error)),
    };
    let memory = server.memory()?;
    let messages = measured.messages as f64;
    let us = |quantile| measured.service_ns.value_at_quantile(quantile) as f64 / 1e3;
    Ok(Sample {
        messages_per_s: messages / measured.took.as_secs_f64(),
        cpu_us: micros(measured.after - measured.before) / messages,
        p50_us: us(0.5),
        p99_us: us(0.99),
        load_cpu: measured.load_cpu,
        load_waited: measured.load_waited,
        memory,
    })
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

impl Series<'_> {
    /// The spread of one of the figures.
    pub(crate) fn spread(&self, figure: impl Fn(&Sample) -> f64) -> Option<Spread> {
        Spread::of(self.rounds.iter().flatten().map(figure))
    }

    /// How a figure relates to another's, round by round between neighbours in time.
    pub(crate) fn ratio(&self, other: &Self, figure: impl Fn(&Sample) -> f64) -> Option<Spread> {
        let pairs = self.rounds.iter().zip(&other.rounds);
        Spread::of(
            pairs.filter_map(|(ours, theirs)| {
                Some(figure(ours.as_ref()?) / figure(theirs.as_ref()?))
            }),
        )
    }
}

/// The best of a kind, other than the one that is judged: of those that wait in the same way.
pub(crate) fn best<'s, 'c>(
    all: &'s [Series<'c>],
    kind: Kind,
    judged: &Series<'c>,
) -> Option<&'s Series<'c>> {
    let median = |series: &Series<'_>| series.spread(|s| s.messages_per_s).map(|s| s.median);
    all.iter()
        .filter(|series| series.contender.kind == kind)
        .filter(|series| series.contender.name != judged.contender.name)
        .filter(|series| kind == Kind::Peer || series.contender.spins == judged.contender.spins)
        .filter(|series| median(series).is_some())
        .max_by(|a, b| median(a).unwrap_or(0.0).total_cmp(&median(b).unwrap_or(0.0)))
}
