//! One page with plots, in the client's style; it needs no network and no script.

use echo_client::page::{Axis, Cell as Td, Chart, Line, document, escaped, table};

use super::{
    Entry, Run,
    bars::{self, Bar},
    rate,
    standing::{Standing, To, cpu, ours},
    text::DISTURBED,
};
use crate::{cell::Cell, contender::Kind, loader::Sample, scale::SCALES};

const DASH: &str = "\u{2013}";

/// The grid: how ours stands, then a section for each cell.
pub(super) fn server(run: &Run<'_>) -> String {
    let cells: String = run.cells.iter().map(|(cell, all)| section(*cell, all)).collect();
    page(run, "echo-server beside its peers", &(standings(run) + &cells))
}

/// Cost as connections grow and as messages grow.
pub(super) fn scale(run: &Run<'_>) -> String {
    let charts: String = SCALES
        .iter()
        .zip(["connections", "bytes"])
        .map(|(scale, id)| chart(run, *scale, id))
        .collect();
    let tables: String = run
        .cells
        .iter()
        .map(|(cell, all)| format!("<section>{}</section>\n", figures(*cell, all)))
        .collect();
    let body = format!("<div class=\"charts\">{charts}</div>\n{tables}");
    page(run, "What a message costs as connections and messages grow", &body)
}

fn page(run: &Run<'_>, title: &str, body: &str) -> String {
    let told = [run.machine.told(), run.machine.command().to_owned()];
    let said: String = told.iter().map(|line| format!("<p>{}</p>", escaped(line))).collect();
    let absent = run.absent.iter().map(|(absent, why)| format!("{} is absent: {why}", absent.name));
    let left_out =
        (!run.left_out.is_empty()).then(|| format!("not asked for: {}", run.left_out.join(", ")));
    let missing: String =
        absent.chain(left_out).map(|line| format!("<li>{}</li>", escaped(&line))).collect();
    let missing = match &*missing {
        "" => String::new(),
        items => format!("<div class=\"verdict warn\">Not in this run<ul>{items}</ul></div>\n"),
    };
    let head = format!("<header><h1>{}</h1>{said}</header>\n", escaped(title));
    let footer = format!(
        "Blue is ours, orange are peers, grey are bare loops. Medians of rounds in turns, from the \
         least to the greatest; ratios are taken within a round. Loaded by echo-client bench, every \
         byte verified; servers on one core, the load on another. INVALID is the load's own verdict: \
         where its core is full, messages per second are the pair's, and the server's CPU time tells \
         who is ahead. ~: others kept the load from its core for over {:.0} % of the time.",
        DISTURBED * 100.0
    );
    document(title, &(head + &missing + body), &footer)
}

fn standings(run: &Run<'_>) -> String {
    let header = [
        "cell",
        "messages/s to the fastest peer",
        "to the fastest bare loop",
        "CPU to the most frugal peer",
        "CPU to the most frugal bare loop",
        "verdict",
    ];
    let mut rows = Vec::new();
    for (cell, all) in &run.cells {
        for entry in [false, true].into_iter().filter_map(|spins| ours(all, spins)) {
            let standing = Standing::of(entry, all);
            rows.push(vec![
                Td { aside: entry.contender.name.clone(), ..Td::new(cell.to_string()) },
                ratio(standing.fastest_peer, |ratio| ratio >= 1.0),
                ratio(standing.fastest_bare, |ratio| ratio >= 0.95),
                ratio(standing.frugal_peer, |ratio| ratio <= 1.03),
                ratio(standing.frugal_bare, |ratio| ratio <= 1.05),
                verdict(entry),
            ]);
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    let caption = "The fastest of ours in each cell, connections x bytes x messages in flight";
    format!("<section>{}</section>\n", table(caption, &header.map(String::from), &rows))
}

fn ratio(to: Option<To<'_>>, is_good: fn(f64) -> bool) -> Td {
    let Some(to) = to else { return Td::new(DASH) };
    let class = if is_good(to.ratio.median) { "good" } else { "bad" };
    let aside = format!("({:.2}\u{2013}{:.2}) {}", to.ratio.min, to.ratio.max, to.name);
    Td { text: format!("{:.2}", to.ratio.median), aside, class }
}

fn verdict(entry: &Entry<'_>) -> Td {
    match (&entry.series.failure, entry.invalid()) {
        (Some(_), _) => Td { class: "bad", ..Td::new("FAILED") },
        (None, Some(_)) => Td { class: "warn", ..Td::new("INVALID") },
        (None, None) => Td { class: "good", ..Td::new("valid") },
    }
}

fn section(cell: Cell, all: &[Entry<'_>]) -> String {
    let bars = |figure: fn(&Sample) -> f64, told: fn(f64) -> String, rank: f64| {
        let mut bars: Vec<Bar<'_>> = all
            .iter()
            .filter_map(|entry| {
                let value = entry.series.spread(figure)?;
                let (name, kind) = (&*entry.contender.name, entry.contender.kind);
                Some(Bar { name, kind, value, told: told(value.median) })
            })
            .collect();
        bars.sort_by(|a, b| (a.value.median * rank).total_cmp(&(b.value.median * rank)));
        bars
    };
    let rates = bars(rate, |rate| format!("{:.1} k", rate / 1e3), -1.0);
    let cost = bars(cpu, |us| format!("{us:.2}"), 1.0);
    let notes: String = super::notes(all)
        .iter()
        .map(|note| format!("<p class=\"note\">{}</p>", escaped(note)))
        .collect();
    format!(
        "<section><h2>{}</h2>{}<div class=\"charts\">{}{}</div>{}</section>\n",
        escaped(&cell.told()),
        notes,
        bars::to_html("Messages per second", &rates),
        bars::to_html("CPU time of the server per message, \u{b5}s", &cost),
        figures(cell, all),
    )
}

fn figures(cell: Cell, all: &[Entry<'_>]) -> String {
    let header = [
        "",
        "k messages/s",
        "CPU \u{b5}s",
        "p50 \u{b5}s",
        "p99 \u{b5}s",
        "load's core",
        "own MiB",
        "verdict",
    ];
    let of = |value: f64, digits: usize| {
        Td::new(if value.is_finite() { format!("{value:.digits$}") } else { DASH.to_owned() })
    };
    let row = |entry: &Entry<'_>| {
        let series = &entry.series;
        let spread =
            |figure: fn(&Sample) -> f64, by: f64, digits: usize| match series.spread(figure) {
                None => Td::new(DASH),
                Some(s) => Td {
                    aside: format!("({:.digits$}\u{2013}{:.digits$})", s.min / by, s.max / by),
                    ..of(s.median / by, digits)
                },
            };
        let disturbed = series.median(|s| s.load_waited) > DISTURBED;
        let load = of(series.median(|s| s.load_cpu) * 100.0, 0).text + " %";
        vec![
            Td::new(&entry.contender.name),
            spread(rate, 1e3, 1),
            spread(cpu, 1.0, 2),
            of(series.median(|s| s.p50_us), 1),
            of(series.median(|s| s.p99_us), 1),
            Td { aside: if disturbed { "~".into() } else { String::new() }, ..Td::new(load) },
            of(series.median(|s| s.own_bytes) / f64::from(1 << 20), 2),
            verdict(entry),
        ]
    };
    let rows: Vec<Vec<Td>> = super::by_rate(all).into_iter().map(row).collect();
    table(&cell.told(), &header.map(String::from), &rows)
}

fn chart(run: &Run<'_>, scale: crate::scale::Scale, id: &'static str) -> String {
    let (title, is_shown, per) = scale;
    let along = |cell: Cell| if id == "bytes" { cell.bytes } else { cell.connections } as f64;
    let cells = || run.cells.iter().filter(|(cell, _)| is_shown(*cell));
    let mut names: Vec<(&str, Kind)> = Vec::new();
    for entry in cells().flat_map(|(_, all)| all) {
        let name = (&*entry.contender.name, entry.contender.kind);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut counts = [0; 3];
    let lines: Vec<Line> = names
        .iter()
        .map(|(name, kind)| {
            let points = cells().map(|(cell, all)| {
                let entry = all.iter().find(|entry| entry.contender.name == *name)?;
                let cost = entry.series.median(|sample| per(*cell, sample));
                (cost > 0.0).then_some((along(*cell), cost))
            });
            let count = &mut counts[*kind as usize];
            *count += 1;
            Line {
                name: Some((*name).to_owned()),
                class: class(*kind, *count - 1).to_owned(),
                points: points.collect(),
            }
        })
        .collect();
    let values = || lines.iter().flat_map(|line| &line.points).flatten();
    let plain = |value: f64| format!("{}", (value * 1e6).round() / 1e6);
    let x = Axis::log(values().map(|point| point.0), if id == "bytes" { bytes } else { plain });
    Chart {
        id,
        title: title.to_owned(),
        told: "The figures are in the tables below.".to_owned(),
        height: 430.0,
        x: x.named(id),
        y: Axis::log(values().map(|point| point.1), plain),
        bands: Vec::new(),
        lines,
    }
    .to_html()
}

/// Colours are those of the bars; dashes tell who of a kind it is.
fn class(kind: Kind, count: usize) -> &'static str {
    let classes: &[&str] = match kind {
        Kind::Ours => &["s0", "s0 dashed", "s0 dotted"],
        Kind::Peer => &["s1", "s2", "s3", "s1 dashed", "s2 dashed", "s3 dashed", "s1 dotted"],
        Kind::Bare => &["s4", "s4 dashed", "s4 dotted"],
    };
    classes[count % classes.len()]
}

/// In steps of 1000, as the axis has them.
fn bytes(value: f64) -> String {
    let units = [(1e6, "MB"), (1e3, "kB"), (1.0, "B")];
    let unit = units.into_iter().find(|(unit, _)| value >= *unit).unwrap_or((1.0, "B"));
    format!("{} {}", value / unit.0, unit.1)
}
