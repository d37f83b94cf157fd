//! The parts of the page that are words and figures.

use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;

use super::{Cell, View, escaped, table};
use crate::{
    bench::{PERCENTILES, Summary, Verdict, percentile},
    figures,
    hlog::Tag,
    report::{Figure, Finding, Judgement, Part, Side, percentile_of},
};

const DASH: &str = "\u{2013}";

/// What the page is about.
pub(super) fn title(view: &View<'_>) -> String {
    let mut targets: Vec<&str> =
        view.now.parts().filter_map(|part| Some(&*part.summary.as_ref()?.target)).collect();
    targets.dedup();
    match (&targets[..], &view.now.runs[..]) {
        ([target], _) => format!("echo-client {}: {target}", view.command),
        (_, [run]) => format!("echo-client {}: {}", view.command, run.name()),
        (_, runs) => format!("echo-client {}: {} runs", view.command, runs.len()),
    }
}

pub(super) fn header(view: &View<'_>, title: &str) -> String {
    let began = view.now.parts().filter_map(|part| part.base).min();
    let mut said: Vec<String> = began.map(date).into_iter().collect();
    let runs = view.now.runs.len();
    let parts = view.now.parts().count();
    if runs > 1 {
        said.push(format!("{runs} runs"));
    }
    if parts > runs {
        said.push(format!("{parts} instances"));
    }
    said.extend(first_summary(view.now).map(load_in_words));
    let said = said.join(" \u{b7} ");
    format!("<header><h1>{}</h1><p>{}</p></header>\n", escaped(title), escaped(&said))
}

/// The verdict with its reasons, and what else is to be known first.
pub(super) fn verdict(view: &View<'_>) -> String {
    let verdict = Judgement::of(view.now).map(|judgement| {
        let (class, sign) = match judgement.verdict {
            Verdict::Good => ("good", '\u{2713}'),
            Verdict::Failed => ("bad", '\u{2717}'),
            Verdict::Invalid => ("warn", '!'),
        };
        let told = format!("{sign} {}", judgement.told());
        boxed(class, &told, &judgement.reasons)
    });
    let warnings = match view.warnings {
        [] => String::new(),
        warnings => boxed("warn", "To know first", warnings),
    };
    verdict.unwrap_or_default() + &warnings
}

fn boxed(class: &str, told: &str, reasons: &[String]) -> String {
    let items: String =
        reasons.iter().map(|reason| format!("<li>{}</li>", escaped(reason))).collect();
    let list = if items.is_empty() { items } else { format!("<ul>{items}</ul>") };
    format!("<div class=\"verdict {class}\">{}{list}</div>\n", escaped(told))
}

/// The figures that most people came for.
pub(super) fn tiles(view: &View<'_>) -> String {
    let tag = view.now.main_tag();
    let merged = view.now.merged(tag);
    let mut tiles = Vec::new();
    if let Some(rate) = view.now.rate() {
        let bytes = first_summary(view.now).map(|run| run.settings.size as f64 * rate);
        let bytes = bytes.map(|bytes| format!("{}/s each way", figures::bytes(bytes)));
        tiles.push(("messages", figures::rate(rate), bytes.unwrap_or_default()));
    }
    for percent in [50.0, 99.0, 99.9] {
        let value = percentile(&merged, percent).map(|ns| figures::time(ns as f64));
        let spread = spread(view.now, tag, percent).unwrap_or_default();
        tiles.push(("", value.unwrap_or_else(|| DASH.into()), spread));
    }
    let names = ["p50", "p99", "p99.9"];
    for (tile, name) in tiles.iter_mut().filter(|tile| tile.0.is_empty()).zip(names) {
        tile.0 = name;
    }
    if !merged.is_empty() {
        let samples = format!("of {}", figures::count(merged.len()));
        tiles.push(("longest", figures::time(merged.max() as f64), samples));
    }
    let tiles: String = tiles
        .iter()
        .map(|(name, value, aside)| {
            let (name, value, aside) = (escaped(name), escaped(value), escaped(aside));
            format!("<div><dt>{name}</dt><dd>{value}</dd><dd>{aside}</dd></div>")
        })
        .collect();
    format!("<dl class=\"tiles\">{tiles}</dl>\n")
}

/// How runs differ from the baseline's.
pub(super) fn comparison(view: &View<'_>) -> String {
    let Some((baseline, comparison)) = view.baseline else { return String::new() };
    let names = ["", "baseline", "now", "change", "95 % interval", "finding"].map(String::from);
    let rows: Vec<Vec<Cell>> = comparison
        .rows
        .iter()
        .map(|row| {
            let show = match row.figure {
                Figure::Percentile(_) => figures::time,
                Figure::Rate => figures::rate,
            };
            let finding = row.finding();
            let class = match finding {
                Finding::Better => "good",
                Finding::Worse => "bad",
                Finding::NotShown | Finding::TooLittleData => "",
            };
            vec![
                Cell::new(row.figure.to_string()),
                Cell::new(show(row.before)),
                Cell::new(show(row.now)),
                Cell::new(figures::change(row.now / row.before)),
                Cell::new(row.interval().unwrap_or_else(|| DASH.into())),
                Cell { class, ..Cell::new(finding.told()) },
            ]
        })
        .collect();
    let caption = format!(
        "{} against the baseline ({} {})",
        capital(&comparison.tag.to_string()),
        baseline.runs.len(),
        if baseline.runs.len() == 1 { "run" } else { "runs" }
    );
    format!(
        "<section><h2>Compared with the baseline</h2>{}<p class=\"note\">{}</p></section>\n",
        table(&caption, &names, &rows),
        escaped(comparison.method.told())
    )
}

/// Every distribution, figure by figure.
pub(super) fn percentiles(view: &View<'_>) -> String {
    let tags = view.now.tags();
    let merged: Vec<(Tag, Histogram<u64>)> =
        tags.iter().map(|tag| (*tag, view.now.merged(*tag))).collect();
    let mut header = vec![String::new()];
    header.extend(tags.iter().map(ToString::to_string));
    let row = |name: &str, figure: &dyn Fn(Tag, &Histogram<u64>) -> Cell| {
        let mut cells = vec![Cell::new(name)];
        cells.extend(merged.iter().map(|(tag, samples)| figure(*tag, samples)));
        cells
    };
    let any = |value: fn(&Histogram<u64>) -> f64| {
        move |_: Tag, samples: &Histogram<u64>| match samples.is_empty() {
            true => Cell::new(DASH),
            false => Cell::new(figures::time(value(samples))),
        }
    };
    let mut rows = vec![
        row("samples", &|_, samples| Cell::new(figures::count(samples.len()))),
        row("shortest", &any(|samples| samples.min() as f64)),
        row("mean", &any(Histogram::mean)),
    ];
    for percent in PERCENTILES {
        rows.push(row(&figures::percentile(percent), &|tag, samples| {
            let value = percentile(samples, percent).map(|ns| figures::time(ns as f64));
            let aside = spread(view.now, tag, percent).unwrap_or_default();
            Cell { aside, ..Cell::new(value.unwrap_or_else(|| DASH.into())) }
        }));
    }
    rows.push(row("longest", &any(|samples| samples.max() as f64)));
    let over = view.now.spread_over();
    let caption = match view.now.groups().len() {
        1 => "Percentiles".to_owned(),
        count => format!("Percentiles of all merged; beside them, least to most of {count} {over}"),
    };
    format!("<section><h2>Latency</h2>{}</section>\n", table(&caption, &header, &rows))
}

/// Run by run, where there are several.
pub(super) fn runs(view: &View<'_>) -> String {
    let groups = view.now.groups();
    if groups.len() < 2 {
        return String::new();
    }
    let tag = view.now.main_tag();
    let names = ["", "began", "samples", "rate", "p50", "p99", "p99.9", "longest", "verdict"];
    let row = |parts: &Vec<&Part>| {
        let merged = crate::report::merged(parts.iter().copied(), tag);
        let name: Vec<&str> = parts.iter().map(|part| &*part.name).collect();
        let began = parts.iter().filter_map(|part| part.base).min().map(date);
        let rate: Option<f64> = parts.iter().map(|part| crate::report::rate_of(part)).sum();
        let at = |percent| {
            let value = percentile(&merged, percent).map(|ns| figures::time(ns as f64));
            Cell::new(value.unwrap_or_else(|| DASH.into()))
        };
        let summaries = || parts.iter().filter_map(|part| part.summary.as_ref());
        let any = |verdict| summaries().any(|run| run.verdict() == verdict);
        let (word, class) = match () {
            () if any(Verdict::Failed) => ("failed", "bad"),
            () if any(Verdict::Invalid) => ("invalid", "warn"),
            () if summaries().count() == parts.len() => ("good", "good"),
            () => (DASH, ""),
        };
        vec![
            Cell { class: "text", ..Cell::new(name.join(" + ")) },
            Cell::new(began.unwrap_or_else(|| DASH.into())),
            Cell::new(figures::count(merged.len())),
            Cell::new(rate.map_or_else(|| DASH.into(), figures::rate)),
            at(50.0),
            at(99.0),
            at(99.9),
            Cell::new(figures::time(merged.max() as f64)),
            Cell { class, ..Cell::new(word) },
        ]
    };
    let rows: Vec<Vec<Cell>> = groups.iter().map(row).collect();
    let over = view.now.spread_over();
    let (title, caption) =
        (capital(over), format!("{}, each by itself", capital(&tag.to_string())));
    let table = table(&caption, &names.map(String::from), &rows);
    format!("<section><h2>{title}</h2>{table}</section>\n")
}

/// What was asked for, as far as all runs were asked for the same.
pub(super) fn settings(view: &View<'_>) -> String {
    let told: Vec<Vec<(&str, String)>> =
        view.now.parts().filter_map(|part| part.summary.as_ref()).map(settings_of).collect();
    let Some(first) = told.first() else { return String::new() };
    let items: String = first
        .iter()
        .enumerate()
        .map(|(at, (name, value))| {
            let same = told.iter().all(|other| other.get(at).is_some_and(|it| it.1 == *value));
            let value = if same { value } else { "differs" };
            format!("<div><dt>{}</dt><dd>{}</dd></div>", escaped(name), escaped(value))
        })
        .collect();
    format!("<section><h2>Settings</h2><dl class=\"settings\">{items}</dl></section>\n")
}

fn settings_of(run: &Summary) -> Vec<(&'static str, String)> {
    let asked = &run.settings;
    let time = |ns: u64| figures::time(ns as f64);
    let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let slo: Vec<String> =
        run.slo.iter().map(|slo| format!("{} = {}", slo.what, time(slo.limit_ns))).collect();
    vec![
        ("target", run.target.clone()),
        ("loop", run.mode.clone()),
        ("connections", figures::count(asked.connections.into())),
        ("message", figures::bytes(asked.size as f64)),
        ("in flight per connection", asked.depth.to_string()),
        ("rate", asked.rate.map_or_else(|| DASH.into(), figures::rate)),
        ("arrival", asked.arrival.clone().unwrap_or_else(|| DASH.into())),
        ("threads", asked.threads.to_string()),
        ("warm-up", time(asked.warmup_ns)),
        ("duration", time(asked.duration_ns)),
        ("bytes compared", yes(asked.verify)),
        ("probe beside the load", yes(asked.probe)),
        ("objectives", if slo.is_empty() { DASH.to_owned() } else { slo.join(", ") }),
        ("echo-client", run.version.clone()),
    ]
}

fn load_in_words(run: &Summary) -> String {
    let asked = &run.settings;
    let load = match asked.rate {
        Some(rate) => format!("open loop at {}", figures::rate(rate)),
        None => "closed loop".to_owned(),
    };
    let (connections, size) = (figures::count(asked.connections.into()), asked.size as f64);
    format!("{load}, {connections} connections, {} messages", figures::bytes(size))
}

fn first_summary(side: &Side) -> Option<&Summary> {
    side.parts().find_map(|part| part.summary.as_ref())
}

/// The least and the most of any run, as text.
fn spread(side: &Side, tag: Tag, percent: f64) -> Option<String> {
    let (low, high) = side.spread(|parts| percentile_of(parts, tag, percent))?;
    Some(figures::range(low, high))
}

fn date(since_epoch: Duration) -> String {
    humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + since_epoch).to_string()
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
