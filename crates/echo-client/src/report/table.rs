//! A report for the terminal.

use std::fmt::Write;

use super::{Comparison, Figure, Side, percentile_of, verdict::Judgement};
use crate::{
    bench::{PERCENTILES, percentile},
    figures,
};

/// Merged figures with the spread of the runs, and the comparison where there is one.
pub(super) fn table(now: &Side, baseline: Option<(&Side, &Comparison)>) -> String {
    let mut text = String::new();
    let groups = now.groups().len();
    let over = now.spread_over();
    let rate = now.rate().map(|rate| format!(", {}", figures::rate(rate))).unwrap_or_default();
    let counted = if groups == 1 { "1 run".to_owned() } else { format!("{groups} {over}, merged") };
    let _ = writeln!(text, "{counted}{rate}");
    if let Some(judgement) = Judgement::of(now) {
        let _ = writeln!(text, "{}", judgement.told());
        judgement.reasons.iter().for_each(|reason| _ = writeln!(text, "  {reason}"));
    }
    for tag in now.tags() {
        let merged = now.merged(tag);
        let spread =
            if groups == 1 { String::new() } else { format!("  least to most of {groups} {over}") };
        let _ = writeln!(text, "\n{:<14}{:>12}{spread}", tag.to_string(), "merged");
        let mut row = |name: &str, value: String, spread: Option<(f64, f64)>| {
            let spread = spread.map(|(low, high)| figures::range(low, high)).unwrap_or_default();
            let line = format!("  {name:<12}{value:>12}  {spread}");
            let _ = writeln!(text, "{}", line.trim_end());
        };
        row("samples", figures::count(merged.len()), None);
        if merged.is_empty() {
            continue;
        }
        row("shortest", figures::time(merged.min() as f64), None);
        row("mean", figures::time(merged.mean()), None);
        for percent in PERCENTILES {
            let value = percentile(&merged, percent).map(|ns| figures::time(ns as f64));
            let spread = now.spread(|parts| percentile_of(parts, tag, percent));
            row(&figures::percentile(percent), value.unwrap_or_else(|| "-".to_owned()), spread);
        }
        row("longest", figures::time(merged.max() as f64), None);
    }
    if let Some((side, comparison)) = baseline {
        compared(&mut text, side, comparison);
    }
    text
}

fn compared(text: &mut String, baseline: &Side, comparison: &Comparison) {
    let runs = baseline.runs.len();
    let plural = if runs == 1 { "run" } else { "runs" };
    let _ = writeln!(text, "\n{} against the baseline of {runs} {plural}", comparison.tag);
    let mut row = |cells: [&str; 6]| {
        let [figure, before, now, change, interval, finding] = cells;
        let _ = writeln!(
            text,
            "  {figure:<10}{before:>10}{now:>10}{change:>10}  {interval:<22}{finding}"
        );
    };
    row(["", "baseline", "now", "change", "95 % interval", "finding"]);
    for line in &comparison.rows {
        let show = match line.figure {
            Figure::Percentile(_) => figures::time,
            Figure::Rate => figures::rate,
        };
        row([
            &line.figure.to_string(),
            &show(line.before),
            &show(line.now),
            &figures::change(line.now / line.before),
            &line.interval().unwrap_or_else(|| "-".to_owned()),
            line.finding().told(),
        ]);
    }
    let _ = writeln!(text, "{}", comparison.method.told());
}
