//! What is drawn: latency by percentile, latency over time, rate over time.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::{
    View,
    chart::{Axis, Chart, Line, bounds},
    sections,
};
use crate::{
    bench::{MIN_BEYOND, percentile},
    figures,
    hlog::Tag,
    report::{Run, Slice, coarser},
};

/// Points of a line by percentile.
const SAMPLED: u32 = 180;

/// Points of a line over time; beyond, neighbours become one.
const MAX_POINTS: usize = 240;

/// Points that a line over time keeps when samples are so few that neighbours become one.
const MIN_POINTS: usize = 12;

/// Runs that are drawn one by one.
const MAX_RUNS: usize = 16;

/// Latency by percentile, as a picture and as a table, then what there is to draw over time.
pub(super) fn all(view: &View<'_>) -> String {
    let drawn = |chart: Option<Chart>| chart.as_ref().map(Chart::to_html).unwrap_or_default();
    let (percentiles, table) = (drawn(by_percentile(view)), sections::percentiles(view));
    let (latency, rate) = (drawn(over_time(view)), drawn(rate(view)));
    format!("<div class=\"charts\">{percentiles}{table}{latency}{rate}</div>\n")
}

fn by_percentile(view: &View<'_>) -> Option<Chart> {
    let main = view.now.main_tag();
    let merged = view.now.merged(main);
    if merged.is_empty() {
        return None;
    }
    let mut lines = Vec::new();
    let mut most = merged.len();
    let runs = view.now.groups();
    let is_one = runs.len() == 1 && view.baseline.is_none();
    // Behind the line of all.
    if runs.len() > 1 {
        for (at, run) in runs.iter().take(MAX_RUNS).enumerate() {
            let name =
                (at == 0).then(|| format!("each of {} {}", runs.len(), view.now.spread_over()));
            let samples = crate::report::merged(run.iter().copied(), main);
            lines.extend(distribution(name, "s0 thin", &samples, 0.0));
        }
    }
    if let Some((side, comparison)) = view.baseline {
        let samples = side.merged(comparison.tag);
        most = most.max(samples.len());
        lines.extend(distribution(Some("baseline".into()), "s1 dashed", &samples, 0.0));
    }
    let classes = ["s0", "s2", "s4 dotted", "s3 dashed"];
    let tags = if is_one { view.now.tags() } else { vec![main] };
    for (tag, class) in tags.into_iter().zip(classes) {
        lines.extend(distribution(Some(tag.to_string()), class, &view.now.merged(tag), 1.0));
    }
    let told = [50.0, 99.0, 99.9].iter().filter_map(|&percent| {
        let value = figures::time(percentile(&merged, percent)? as f64);
        Some(format!("{} is {value}", figures::percentile(percent)))
    });
    let told = told.collect::<Vec<_>>().join(", ");
    Some(Chart {
        id: "percentiles",
        height: 430.0,
        title: "Latency by percentile".to_owned(),
        told: format!("Of {main}: {told}, the longest is {}.", figures::time(merged.max() as f64)),
        x: Axis::nines("percentile", most),
        y: Axis::log(values(&lines), figures::time),
        lines,
        bands: Vec::new(),
    })
}

/// A line by percentile, and where fewer than ten samples lie beyond, a fainter one.
fn distribution(
    name: Option<String>,
    class: &str,
    samples: &Histogram<u64>,
    tail: f64,
) -> Vec<Line> {
    if samples.is_empty() {
        return Vec::new();
    }
    let total = samples.len() as f64;
    let last = total.max(10.0).log10();
    let points = (0..=SAMPLED).map(|at| {
        let beyond = 10f64.powf(-last * f64::from(at) / f64::from(SAMPLED));
        let value = samples.value_at_quantile(1.0 - beyond).max(1);
        (1.0 - beyond, value as f64, beyond * total)
    });
    let points: Vec<(f64, f64, f64)> = points.collect();
    let is_sure = |beyond: f64| beyond >= MIN_BEYOND as f64;
    let sure = points.iter().filter(|point| is_sure(point.2));
    let sure = sure.map(|(share, value, _)| Some((*share, *value))).collect::<Vec<_>>();
    let from = sure.len().saturating_sub(1);
    let unsure = points.iter().skip(from).map(|(share, value, _)| Some((*share, *value))).collect();
    let mut lines = Vec::new();
    if tail > 0.0 {
        lines.push(Line { name: None, class: format!("{class} unsure"), points: unsure });
    }
    lines.push(Line { name, class: class.to_owned(), points: sure });
    lines
}

fn over_time(view: &View<'_>) -> Option<Chart> {
    let tag = view.now.main_tag();
    let runs: Vec<Vec<Slice>> =
        view.now.runs.iter().take(MAX_RUNS).map(|run| timeline(run, tag)).collect();
    let count = runs.iter().filter(|slices| slices.len() > 1).count();
    if count == 0 {
        return None;
    }
    // A result without times has nothing to say here.
    let timed = runs.iter().filter(|slices| slices.len() > 1);
    let fewest = timed.map(|slices| typical(slices)).min().unwrap_or(0);
    let upper = [99.9, 99.0, 90.0]
        .into_iter()
        .find(|&percent| (100.0 - percent) / 100.0 * fewest as f64 >= MIN_BEYOND as f64);
    let mut lines = Vec::new();
    let mut add = |name: Option<String>,
                   class: &str,
                   slices: &[Slice],
                   figure: &dyn Fn(&Histogram<u64>) -> Option<u64>| {
        let points = slices.iter().map(|slice| {
            let value = figure(&slice.samples.to_histogram()).filter(|value| *value > 0)?;
            Some((middle(slice), value as f64))
        });
        let class = if count > 1 { format!("{class} thin") } else { class.to_owned() };
        lines.push(Line { name, class, points: points.collect() });
    };
    for (at, slices) in runs.iter().enumerate() {
        let name = |text: String| (at == 0).then_some(text);
        if count == 1 {
            let max = |samples: &Histogram<u64>| (!samples.is_empty()).then(|| samples.max());
            add(name("longest".into()), "s4 dotted", slices, &max);
        }
        if let Some(percent) = upper {
            add(name(figures::percentile(percent)), "s1", slices, &|samples| {
                percentile(samples, percent)
            });
        }
        add(name("p50".into()), "s0", slices, &|samples| percentile(samples, 50.0));
    }
    let (low, high) = bounds(values(&lines))?;
    Some(Chart {
        id: "latency",
        height: 330.0,
        title: "Latency over time".to_owned(),
        told: format!(
            "{tag}: from {} to {}, over {}.",
            figures::time(low),
            figures::time(high),
            figures::time(end(&runs) * 1e9)
        ),
        x: Axis::linear("seconds", 0.0, end(&runs), true, |at| format!("{}", round(at))),
        y: Axis::log(values(&lines), figures::time),
        bands: stalls(view),
        lines,
    })
}

fn rate(view: &View<'_>) -> Option<Chart> {
    let tag = view.now.main_tag();
    let runs: Vec<Vec<Slice>> =
        view.now.runs.iter().take(MAX_RUNS).map(|run| full_slices(run.slices(tag))).collect();
    let count = runs.iter().filter(|slices| slices.len() > 1).count();
    if count == 0 {
        return None;
    }
    let asked: Option<f64> = match &view.now.runs[..] {
        [run] => run.parts.first().and_then(|part| part.summary.as_ref()?.settings.rate),
        _ => None,
    };
    let mut lines = Vec::new();
    if let Some(rate) = asked {
        let points = vec![Some((0.0, rate)), Some((end(&runs), rate))];
        lines.push(Line { name: Some("asked for".into()), class: "s4 dashed".into(), points });
    }
    for (at, slices) in runs.iter().enumerate() {
        let slices = coarser(slices, slices.len().div_ceil(MAX_POINTS));
        let points = slices.iter().map(|slice| {
            Some((middle(slice), slice.samples.total() as f64 / slice.length.as_secs_f64()))
        });
        let class = if count > 1 { "s2 thin" } else { "s2" }.to_owned();
        let name = (at == 0).then(|| "messages back".to_owned());
        lines.push(Line { name, class, points: points.collect() });
    }
    let (low, high) = bounds(values(&lines))?;
    Some(Chart {
        id: "rate",
        height: 330.0,
        title: "Messages per second over time".to_owned(),
        told: format!("From {} to {}.", figures::rate(low), figures::rate(high)),
        x: Axis::linear("seconds", 0.0, end(&runs), true, |at| format!("{}", round(at))),
        y: Axis::linear("", 0.0, high * 1.02, false, figures::rate),
        bands: stalls(view),
        lines,
    })
}

/// Slices as a line shows them: not more than there is room for, and where samples are few, so long
/// that a tail can be told.
fn timeline(run: &Run, tag: Tag) -> Vec<Slice> {
    let slices = run.slices(tag);
    let mut by = slices.len().div_ceil(MAX_POINTS).max(1);
    while typical(&coarser(&slices, by)) < 1000 && slices.len() / (by + 1) >= MIN_POINTS {
        by += 1;
    }
    coarser(&slices, by)
}

/// Without what came back in the short time after the load had ended.
fn full_slices(slices: Vec<Slice>) -> Vec<Slice> {
    let longest = slices.iter().map(|slice| slice.length).max().unwrap_or_default();
    let is_full = |slice: &Slice| slice.length * 2 >= longest && !slice.length.is_zero();
    let last = slices.len().saturating_sub(1);
    let kept = slices.into_iter().enumerate();
    kept.filter(|(at, slice)| *at < last || is_full(slice))
        .map(|(_, slice)| slice)
        .filter(|slice| !slice.length.is_zero())
        .collect()
}

/// The samples that half the slices have.
fn typical(slices: &[Slice]) -> u64 {
    let mut totals: Vec<u64> = slices.iter().map(|slice| slice.samples.total()).collect();
    totals.sort_unstable();
    totals.get(totals.len() / 2).copied().unwrap_or(0)
}

fn stalls(view: &View<'_>) -> Vec<(f64, f64)> {
    let [run] = &view.now.runs[..] else { return Vec::new() };
    let stalls =
        run.parts.iter().filter_map(|part| part.summary.as_ref()).flat_map(|run| &run.stalls);
    let seconds = |ns: u64| Duration::from_nanos(ns).as_secs_f64();
    stalls
        .map(|stall| {
            (seconds(stall.start_ns), seconds(stall.start_ns.saturating_add(stall.length_ns)))
        })
        .collect()
}

fn values(lines: &[Line]) -> impl Iterator<Item = f64> {
    lines.iter().flat_map(|line| &line.points).flatten().map(|(_, value)| *value)
}

fn middle(slice: &Slice) -> f64 {
    (slice.start + slice.length / 2).as_secs_f64()
}

/// When the last slice of any run ends, in seconds.
fn end(runs: &[Vec<Slice>]) -> f64 {
    let ends = runs.iter().flatten().map(|slice| (slice.start + slice.length).as_secs_f64());
    ends.fold(0.0, f64::max)
}

/// Without the noise of binary fractions.
fn round(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
