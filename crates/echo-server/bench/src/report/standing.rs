//! Who is compared with whom.
//!
//! By messages per second with the fastest, by the server's CPU time with the most frugal: where the
//! load is the limit, those who wait for it differ in CPU time only. Those that spin are compared with
//! bare loops that do the same, and their CPU time with nobody's, for they burn all there is.

use super::{Entry, rate};
use crate::{contender::Kind, loader::Sample, spread::Spread};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{contender::Contender, turns::Series};

    fn contender(name: &str, kind: Kind) -> Contender {
        let contender = Contender::parse(&format!("{name}=program")).expect("a contender");
        Contender { kind, spins: name.contains("spin"), ..contender }
    }

    fn entry(contender: &Contender, messages_per_s: f64, cpu_us: f64) -> Entry<'_> {
        let sample = Sample {
            messages_per_s,
            cpu_us,
            p50_us: 0.0,
            p99_us: 0.0,
            load_cpu: 0.0,
            load_waited: 0.0,
            own_bytes: 0.0,
            invalid: None,
            said: serde_json::Value::Null,
        };
        Entry { contender, series: Series { rounds: vec![Some(sample)], failure: None } }
    }

    #[test]
    fn rates_are_compared_with_the_fastest_and_cpu_time_with_the_most_frugal() {
        let names = [
            ("ours", Kind::Ours),
            ("ours-spin", Kind::Ours),
            ("fast", Kind::Peer),
            ("frugal", Kind::Peer),
            ("bare", Kind::Bare),
            ("bare-spin", Kind::Bare),
        ];
        let contenders = names.map(|(name, kind)| contender(name, kind));
        let figures = [(8.0, 4.0), (9.0, 9.0), (10.0, 8.0), (5.0, 5.0), (16.0, 2.0), (18.0, 9.0)];
        let all: Vec<Entry<'_>> = contenders
            .iter()
            .zip(figures)
            .map(|(who, (rate, cpu))| entry(who, rate, cpu))
            .collect();
        let told = |to: Option<To<'_>>| to.map(|to| (to.name.to_owned(), to.ratio.median));
        let is = |name: &str, ratio| Some((name.to_owned(), ratio));

        let sleeping = ours(&all, false).expect("ours");
        let standing = Standing::of(sleeping, &all);
        assert_eq!(told(standing.fastest_peer), is("fast", 0.8));
        assert_eq!(told(standing.fastest_bare), is("bare", 0.5));
        assert_eq!(told(standing.frugal_peer), is("frugal", 0.8));
        assert_eq!(told(standing.frugal_bare), is("bare", 2.0));

        let spinning = Standing::of(ours(&all, true).expect("ours"), &all);
        assert_eq!(told(spinning.fastest_bare), is("bare-spin", 0.5));
        assert_eq!(told(spinning.frugal_peer), None, "it burns all there is");
    }
}
