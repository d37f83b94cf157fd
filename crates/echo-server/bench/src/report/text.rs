//! Tables for people.

use super::{
    Entry, Run, rate,
    standing::{Standing, To, cpu, ours},
};
use crate::{
    cell::Cell,
    contender::{Contender, Kind},
    spread::Spread,
};

/// When others took more of the load's core than this, the figures are theirs, too.
pub(crate) const DISTURBED: f64 = 0.02;

/// Who was measured how, before the first cell.
pub(super) fn preamble(run: &Run<'_>) {
    println!("{}", run.machine.told());
    println!(
        "rounds in turns, each of {:.2?} after {:.2?} to warm up; medians (least to greatest)",
        run.times.measure, run.times.warm_up
    );
    if !run.left_out.is_empty() {
        println!("not in this run: {}", run.left_out.join(", "));
    }
}

/// The table of one cell, fastest first.
pub(super) fn table(cell: Cell, all: &[Entry<'_>]) {
    let rounds = all.iter().map(|entry| entry.series.rounds.len()).max().unwrap_or(0);
    println!("\n{}; {rounds} rounds", cell.told());
    println!(
        "  {:<28} {:>8} {:<19} {:>18} {:>18} {:>8} {:>9} {:>8} {:>8} {:>6} {:>9}",
        "",
        "k msg/s",
        "",
        "to best peer",
        "to best bare",
        "CPU us",
        "cpu/peer",
        "p50 us",
        "p99 us",
        "load",
        "own MiB"
    );
    for entry in super::by_rate(all) {
        row(entry, all);
    }
    for note in super::notes(all) {
        println!("  {note}");
    }
}

/// Those who have no figures in a cell, and why.
pub(super) fn missing(absent: &[&(Contender, String)], unable: &[&Contender]) {
    for (contender, why) in absent {
        println!("  {:<28} ABSENT: {why}", contender.name);
    }
    for contender in unable {
        println!(
            "  {:<28} not asked: at most {} connections",
            contender.name, contender.max_connections
        );
    }
}

fn row(entry: &Entry<'_>, all: &[Entry<'_>]) {
    let Entry { contender, series } = entry;
    let mark = match contender.kind {
        Kind::Ours => '*',
        Kind::Peer => ' ',
        Kind::Bare => '-',
    };
    let Some(rates) = series.spread(rate) else {
        println!("{mark} {:<28} FAILED", contender.name);
        return;
    };
    let standing = Standing::of(entry, all);
    let to = |to: Option<To<'_>>| shown(to.map(|to| to.ratio));
    let cpu_to = standing.frugal_peer.map(|to| format!("{:.2}", to.ratio.median));
    println!(
        "{mark} {:<28} {:>8} {:<19} {:>18} {:>18} {:>8.2} {:>9} {:>8} {:>8} {:>5.0}%{} {:>8.2}{}{}",
        contender.name,
        kilo(rates.median),
        format!("({}-{})", kilo(rates.min), kilo(rates.max)),
        to(standing.fastest_peer),
        to(standing.fastest_bare),
        series.median(cpu),
        cpu_to.unwrap_or_default(),
        shown_or_dash(series.median(|s| s.p50_us)),
        shown_or_dash(series.median(|s| s.p99_us)),
        series.median(|s| s.load_cpu) * 100.0,
        if series.median(|s| s.load_waited) > DISTURBED { '~' } else { ' ' },
        series.median(|s| s.own_bytes) / f64::from(1 << 20),
        invalid(entry),
        if series.failure.is_some() { "  FAILED" } else { "" },
    );
}

fn invalid(entry: &Entry<'_>) -> String {
    match entry.invalid() {
        Some((count, _)) if count == entry.series.rounds.len() => "  INVALID".to_owned(),
        Some((count, _)) => format!("  INVALID in {count} of {}", entry.series.rounds.len()),
        None => String::new(),
    }
}

/// In thousands; large messages are few.
fn kilo(rate: f64) -> String {
    if rate >= 1e3 { format!("{:.1}", rate / 1e3) } else { format!("{:.3}", rate / 1e3) }
}

/// A figure with a digit behind the point, or a dash.
pub(crate) fn shown_or_dash(value: f64) -> String {
    if value.is_finite() { format!("{value:.1}") } else { "-".to_owned() }
}

pub(crate) fn shown(ratio: Option<Spread>) -> String {
    ratio.map_or(String::new(), |Spread { min, median, max }| {
        format!("{median:.2} ({min:.2}-{max:.2})")
    })
}

/// How ours stands, a line for each cell.
pub(super) fn standings(cells: &[(Cell, Vec<Entry<'_>>)]) {
    let is_ours = |entry: &Entry<'_>| entry.contender.kind == Kind::Ours;
    if !cells.iter().flat_map(|(_, all)| all).any(is_ours) {
        return;
    }
    println!(
        "\nours, the fastest of it in each cell: ratios of messages per second and of CPU time"
    );
    println!(
        "  {:<14} {:<28} {:<42} {:<42} {:<42}",
        "cell",
        "",
        "to the fastest peer",
        "to the fastest bare loop",
        "CPU to the most frugal peer"
    );
    for (cell, all) in cells {
        for entry in [false, true].into_iter().filter_map(|spins| ours(all, spins)) {
            let standing = Standing::of(entry, all);
            let to = |to: Option<To<'_>>| {
                to.map(|to| format!("{} {}", shown(Some(to.ratio)), to.name)).unwrap_or_default()
            };
            println!(
                "  {:<14} {:<28} {:<42} {:<42} {:<42}{}",
                cell.to_string(),
                entry.contender.name,
                to(standing.fastest_peer),
                to(standing.fastest_bare),
                to(standing.frugal_peer),
                invalid(entry),
            );
        }
    }
}

/// The server's CPU time as connections grow and as messages grow, a column for each contender.
pub(super) fn scale(cells: &[(Cell, Vec<Entry<'_>>)]) {
    let mut names: Vec<&str> = Vec::new();
    for entry in cells.iter().flat_map(|(_, all)| all) {
        if !names.contains(&&*entry.contender.name) {
            names.push(&entry.contender.name);
        }
    }
    for (title, is_shown, per) in crate::scale::SCALES {
        println!("\n{title}");
        println!("  {:>22} {}", "", names.iter().map(|n| format!("{n:>30}")).collect::<String>());
        for (cell, all) in cells.iter().filter(|(cell, _)| is_shown(*cell)) {
            let of = |name: &&str| {
                let entry = all.iter().find(|entry| entry.contender.name == **name);
                let cost = entry.map_or(f64::NAN, |entry| entry.series.median(|s| per(*cell, s)));
                if cost.is_finite() { format!("{cost:>30.3}") } else { format!("{:>30}", "-") }
            };
            println!("  {:>22} {}", cell.to_string(), names.iter().map(of).collect::<String>());
        }
    }
}

/// Below the last table.
pub(super) fn legend() {
    println!(
        "\n* ours, - bare loop; ratios are taken within a round; spinning bare loops for those that \
         spin;\nCPU us: of the server per message; cpu/peer: that of the most frugal peer is 1; \
         load: of its core,\n~ others kept it from its core for over {:.0} % of the time; own: \
         anonymous memory;\nINVALID: echo-client's verdict. Where its own core is full, messages per \
         second are the pair's,\nand who is ahead by how much is in the server's CPU time",
        DISTURBED * 100.0
    );
}
