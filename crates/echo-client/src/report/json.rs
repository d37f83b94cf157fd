//! A report as `--json` prints it; every field is documented in `docs/json.md`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Comparison, Figure, Finding, Judgement, Side, compare::Method, percentile_of};
use crate::{
    bench::{Latency, PERCENTILES, SCHEMA, Summary, nanos},
    figures,
    hlog::Tag,
};

#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: u32,
    kind: &'a str,
    version: &'a str,
    valid: bool,
    reasons: Vec<String>,
    warnings: &'a [String],
    #[serde(flatten)]
    now: Merged,
    baseline: Option<Merged>,
    comparison: Option<Compared>,
}

/// Runs, and all of them together.
#[derive(Debug, Serialize)]
struct Merged {
    runs: Vec<Run>,
    messages_per_s: Option<f64>,
    service_ns: Option<Latency>,
    response_ns: Option<Latency>,
    send_lag_ns: Option<Latency>,
    probe_ns: Option<Latency>,
    spread: Spread,
}

#[derive(Debug, Serialize)]
struct Run {
    files: Vec<String>,
    started_unix_ns: Option<u64>,
    valid: Option<bool>,
    good: Option<bool>,
    messages_per_s: Option<f64>,
    service_ns: Option<Latency>,
    response_ns: Option<Latency>,
}

/// The least and the most of each percentile.
#[derive(Debug, Serialize)]
struct Spread {
    over: &'static str,
    service_ns: BTreeMap<String, (f64, f64)>,
    response_ns: BTreeMap<String, (f64, f64)>,
}

#[derive(Debug, Serialize)]
struct Compared {
    latency: &'static str,
    method: &'static str,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    figure: String,
    baseline: f64,
    now: f64,
    ratio: f64,
    ratio_low: Option<f64>,
    ratio_high: Option<f64>,
    finding: &'static str,
}

/// One line.
pub(super) fn json(
    now: &Side,
    baseline: Option<(&Side, &Comparison)>,
    warnings: &[String],
) -> String {
    let report = Report {
        schema: SCHEMA,
        kind: "report",
        version: env!("CARGO_PKG_VERSION"),
        valid: now.is_valid(),
        reasons: Judgement::of(now).map(|judgement| judgement.reasons).unwrap_or_default(),
        warnings,
        now: merged(now),
        baseline: baseline.map(|(side, _)| merged(side)),
        comparison: baseline.map(|(_, comparison)| compared(comparison)),
    };
    crate::json_line(&report) + "\n"
}

fn merged(side: &Side) -> Merged {
    let tags = side.tags();
    let of = |tag: Tag| tags.contains(&tag).then(|| Latency::of(&side.merged(tag)));
    let spread = |tag: Tag| {
        let named = PERCENTILES.into_iter().filter_map(|percent| {
            let spread = side.spread(|parts| percentile_of(parts, tag, percent))?;
            Some((figures::percentile(percent), spread))
        });
        named.collect()
    };
    Merged {
        runs: side.runs.iter().map(run).collect(),
        messages_per_s: side.rate(),
        service_ns: of(Tag::Service),
        response_ns: of(Tag::Response),
        send_lag_ns: of(Tag::SendLag),
        probe_ns: of(Tag::Probe),
        spread: Spread {
            over: side.spread_over(),
            service_ns: spread(Tag::Service),
            response_ns: spread(Tag::Response),
        },
    }
}

fn run(run: &super::Run) -> Run {
    let of = |tag: Tag| {
        let has = run.parts.iter().any(|part| part.series.contains_key(&tag));
        has.then(|| Latency::figures_of(&run.merged(tag)))
    };
    let all = |judge: fn(&Summary) -> bool| -> Option<bool> {
        let judged: Option<Vec<bool>> =
            run.parts.iter().map(|part| part.summary.as_ref().map(judge)).collect();
        judged.map(|judged| judged.into_iter().all(|it| it))
    };
    Run {
        files: run.parts.iter().map(|part| part.name.clone()).collect(),
        started_unix_ns: run.parts.iter().filter_map(|part| part.base).min().map(nanos),
        valid: all(|run| run.valid),
        good: all(|run| run.good),
        messages_per_s: run.rate(),
        service_ns: of(Tag::Service),
        response_ns: of(Tag::Response),
    }
}

fn compared(comparison: &Comparison) -> Compared {
    let row = |row: &super::compare::Row| Row {
        figure: match row.figure {
            Figure::Percentile(percent) => figures::percentile(percent),
            Figure::Rate => "messages_per_s".to_owned(),
        },
        baseline: row.before,
        now: row.now,
        ratio: row.now / row.before,
        ratio_low: row.ratio.map(|(low, _)| low),
        ratio_high: row.ratio.map(|(_, high)| high),
        finding: match row.finding() {
            Finding::Better => "better",
            Finding::Worse => "worse",
            Finding::NotShown => "not_shown",
            Finding::TooLittleData => "too_little_data",
        },
    };
    Compared {
        latency: if comparison.tag == Tag::Response { "response_ns" } else { "service_ns" },
        method: match comparison.method {
            Method::Student => "student",
            Method::Bootstrap => "bootstrap",
        },
        rows: comparison.rows.iter().map(row).collect(),
    }
}
