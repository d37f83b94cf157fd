//! What runs have shown, in a word and with reasons.

use super::side::Side;
use crate::{
    bench::{Summary, Verdict},
    figures,
};

/// The judgement of one or more runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judgement {
    pub(crate) verdict: Verdict,
    /// Why, one reason each.
    pub(crate) reasons: Vec<String>,
}

impl Judgement {
    /// The worst of all parts. One of another program tells nothing: with it, none is good.
    pub(crate) fn of(side: &Side) -> Option<Self> {
        let runs: Vec<_> = side
            .parts()
            .filter_map(|part| part.summary.as_ref().map(|run| (&*part.name, run)))
            .collect();
        let is_told = runs.len() == side.parts().count();
        let any = |verdict| runs.iter().any(|(_, run)| run.verdict() == verdict);
        let worst = [Verdict::Failed, Verdict::Invalid].into_iter().find(|it| any(*it));
        let mut reasons = Vec::new();
        for (name, run) in &runs {
            let said = run.reasons.iter().cloned().chain(failures(run));
            let prefix =
                if runs.len() > 1 || !is_told { format!("{name}: ") } else { String::new() };
            reasons.extend(said.map(|reason| format!("{prefix}{reason}")));
        }
        let verdict = worst.or(is_told.then_some(Verdict::Good))?;
        Some(Self { verdict, reasons })
    }

    /// The verdict in words.
    pub(crate) fn told(&self) -> &'static str {
        match self.verdict {
            Verdict::Good => "GOOD: every byte came back right",
            Verdict::Failed => "FAILED: the path did not do what was asked of it",
            Verdict::Invalid => "INVALID: these figures say nothing about the path",
        }
    }
}

/// What went wrong on the path.
fn failures(run: &Summary) -> Vec<String> {
    let mut failures = Vec::new();
    if run.corrupt > 0 {
        failures.push(format!("{} messages came back damaged", figures::count(run.corrupt)));
    }
    failures.extend(run.damage.first.iter().cloned());
    if run.unanswered > 0 {
        let oldest = run.oldest_unanswered_ns.map(|ns| figures::time(ns as f64));
        let oldest = oldest.map(|age| format!(", the oldest after {age}")).unwrap_or_default();
        let count = figures::count(run.unanswered);
        failures.push(format!("{count} messages did not come back{oldest}"));
    }
    if let Some(datagrams) = run.datagrams {
        let missed = figures::count(datagrams.lost.saturating_add(datagrams.late));
        if run.lost_too_many() {
            let percent = datagrams.loss * 100.0;
            failures.push(format!("{missed} datagrams were lost or late, {percent:.3} %"));
        }
        if datagrams.duplicated > 0 {
            let duplicated = figures::count(datagrams.duplicated);
            failures.push(format!("{duplicated} datagrams came once more"));
        }
    }
    for failure in &run.failed {
        failures.push(format!("{} connections: {}", failure.count, failure.reason));
    }
    if let Some(why) = run.probe.as_ref().and_then(|probe| probe.failed.as_ref()) {
        failures.push(format!("the probe failed: {why}"));
    }
    for slo in run.slo.iter().filter(|slo| !slo.met) {
        let measured = slo.measured_ns.map(|ns| figures::time(ns as f64));
        let measured = measured.unwrap_or_else(|| "too few samples to tell".to_owned());
        let limit = figures::time(slo.limit_ns as f64);
        failures.push(format!("{} over {limit}: {measured}", slo.what));
    }
    failures
}
