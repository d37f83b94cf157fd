//! Who is compared with whom.
//!
//! By messages per second with the fastest, by the server's CPU time with the most frugal: where the
//! load is the limit, those who wait for it differ in CPU time only. Those that spin are compared with
//! bare loops that do the same, and their CPU time with nobody's, for they burn all there is.

use crate::{contender::Kind, loader::Sample, report::rate, spread::Spread};

use super::Entry;

/// A ratio to one of the others.
pub(crate) struct To<'e> {
    pub(crate) name: &'e str,
    pub(crate) ratio: Spread,
}

/// How one stands among the others of its cell.
pub(crate) struct Standing<'e> {
    pub(crate) fastest_peer: Option<To<'e>>,
    pub(crate) fastest_bare: Option<To<'e>>,
    pub(crate) frugal_peer: Option<To<'e>>,
    pub(crate) frugal_bare: Option<To<'e>>,
}

impl<'e> Standing<'e> {
    pub(crate) fn of(judged: &'e Entry<'_>, all: &'e [Entry<'_>]) -> Self {
        let others = |kind| {
            all.iter()
                .filter(move |other| other.contender.kind == kind)
                .filter(|other| other.contender.name != judged.contender.name)
                .filter(|other| !other.series.median(rate).is_nan())
        };
        let to = |other: Option<&'e Entry<'_>>, figure: fn(&Sample) -> f64| {
            let other = other?;
            let ratio = judged.series.ratio(&other.series, figure)?;
            Some(To { name: &other.contender.name, ratio })
        };
        let fastest = |kind| {
            let alike = others(kind).filter(|other| {
                kind == Kind::Peer || other.contender.spins == judged.contender.spins
            });
            let fastest =
                alike.max_by(|a, b| a.series.median(rate).total_cmp(&b.series.median(rate)));
            to(fastest, rate)
        };
        let frugal = |kind| {
            let sleeping = others(kind).filter(|other| !other.contender.spins);
            let frugal =
                sleeping.min_by(|a, b| a.series.median(cpu).total_cmp(&b.series.median(cpu)));
            to(frugal.filter(|_| !judged.contender.spins), cpu)
        };
        Self {
            fastest_peer: fastest(Kind::Peer),
            fastest_bare: fastest(Kind::Bare),
            frugal_peer: frugal(Kind::Peer),
            frugal_bare: frugal(Kind::Bare),
        }
    }
}

/// The fastest of ours among those that spin, or among those that sleep.
pub(crate) fn ours<'e, 'c>(all: &'e [Entry<'c>], spins: bool) -> Option<&'e Entry<'c>> {
    all.iter()
        .filter(|entry| entry.contender.kind == Kind::Ours && entry.contender.spins == spins)
        .filter(|entry| !entry.series.median(rate).is_nan())
        .max_by(|a, b| a.series.median(rate).total_cmp(&b.series.median(rate)))
}

pub(super) fn cpu(sample: &Sample) -> f64 {
    sample.cpu_us
}
