//! An outcome for people.

use std::fmt::{self, Display, Formatter};

use hdrhistogram::Histogram;

use super::{Datagrams, Mode, Outcome, Probe, SloResult, Verdict, judge::mean, percentile};
use crate::figures;

/// The percentiles of the table.
const PERCENTILES: [f64; 4] = [50.0, 90.0, 99.0, 99.9];

/// The width of the longest bar of the distribution.
const BAR: u64 = 40;

/// Shown as a table, a distribution and a verdict.
pub(super) struct Table<'a>(pub(super) &'a Outcome);

impl Display for Table<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let outcome = self.0;
        asked(f, outcome)?;
        writeln!(f)?;
        latencies(f, outcome)?;
        writeln!(f)?;
        distribution(f, outcome)?;
        counts(f, outcome)?;
        troubles(f, outcome)?;
        verdict(f, outcome)
    }
}

/// What was run.
fn asked(f: &mut Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    let settings = &outcome.settings;
    write!(f, "{}: ", settings.target)?;
    match settings.mode {
        Mode::Closed => f.write_str("closed loop")?,
        Mode::Open { rate, arrival } => {
            write!(f, "open loop, {} msg/s ({arrival})", figures::number(rate))?;
        }
    }
    let plural = |count: u32| if count == 1 { "" } else { "s" };
    let Outcome { connections, .. } = *outcome;
    write!(
        f,
        ", {connections} connection{} x {}",
        plural(connections),
        figures::bytes(settings.size as f64)
    )?;
    write!(f, ", depth {}", settings.depth)?;
    write!(f, ", {} thread{}", settings.threads, plural(settings.threads))?;
    if !settings.verify {
        f.write_str(", unverified")?;
    }
    if let Some(instance) = settings.instance {
        write!(f, ", instance {instance}")?;
    }
    write!(f, ", {}", figures::duration(outcome.elapsed))?;
    if !settings.warmup.is_zero() {
        write!(f, " after {} of warm-up", figures::duration(settings.warmup))?;
    }
    writeln!(f)
}

fn latencies(f: &mut Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    write!(f, "{:10}{:>9}{:>9}", "", "min", "mean")?;
    for percent in PERCENTILES {
        write!(f, "{:>9}", figures::percentile(percent))?;
    }
    writeln!(f, "{:>9}", "max")?;
    if let Some(response) = &outcome.response {
        row(f, "response", response)?;
    }
    row(f, "service", &outcome.service)?;
    if let Some(lag) = &outcome.send_lag {
        row(f, "send lag", lag)?;
    }
    match &outcome.probe {
        Some(probe) => row(f, "probe", &probe.rtt),
        None => Ok(()),
    }
}

fn row(f: &mut Formatter<'_>, name: &str, latency: &Histogram<u64>) -> fmt::Result {
    let some = |value| (!latency.is_empty()).then_some(value);
    write!(f, "{name:10}{:>9}{:>9}", cell(some(latency.min())), cell(some(mean(latency))))?;
    for percent in PERCENTILES {
        write!(f, "{:>9}", cell(percentile(latency, percent)))?;
    }
    writeln!(f, "{:>9}", cell(some(latency.max())))
}

/// What cannot be told is a dash.
fn cell(nanos: Option<u64>) -> String {
    nanos.map_or_else(|| "-".to_owned(), |nanos| figures::time(nanos as f64))
}

/// How many messages took how long, in steps of 1, 2, 5.
fn distribution(f: &mut Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    let latency = outcome.latency();
    if latency.is_empty() {
        return Ok(());
    }
    let steps = (0..13).flat_map(|power| [1, 2, 5].map(|step| step * 10_u64.pow(power)));
    let bounds: Vec<_> = steps.collect();
    let rows: Vec<_> = bounds
        .windows(2)
        .map(|pair| (pair[0], pair[1], latency.count_between(pair[0], pair[1] - 1)))
        .skip_while(|(_, to, _)| *to <= latency.min())
        .take_while(|(from, _, _)| *from <= latency.max())
        .collect();
    let most = rows.iter().map(|(_, _, count)| *count).max().unwrap_or(0).max(1);
    for (from, to, count) in rows {
        let len = usize::try_from(count * BAR / most).unwrap_or(0);
        let bar = if len == 0 && count > 0 { ".".to_owned() } else { "#".repeat(len) };
        let share = count as f64 / latency.len() as f64 * 100.0;
        let [from, to] = [from, to].map(|bound| figures::time(bound as f64));
        writeln!(f, "{from:>8} - {to:<8}|{bar:40} {share:7.3} %")?;
    }
    writeln!(f)
}

fn counts(f: &mut Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    let Outcome { sent, received, corrupt, unanswered, unsent, throughput, .. } = outcome;
    writeln!(
        f,
        "{} msg/s, {}/s each way",
        figures::number(throughput.messages_per_s),
        figures::bytes(throughput.bytes_per_s)
    )?;
    write!(
        f,
        "{sent} sent, {received} received, {corrupt} corrupt, {} unanswered",
        unanswered.count
    )?;
    if let Some(age) = unanswered.oldest {
        write!(f, " (the oldest for {})", figures::duration(age))?;
    }
    if let Some(Datagrams { lost, late, duplicated, reordered, dropped }) = outcome.datagrams {
        let percent = outcome.loss() * 100.0;
        let wait = figures::duration(outcome.settings.wait);
        write!(f, ", {lost} lost, {late} late ({percent:.3} % not back within {wait})")?;
        write!(f, ", {duplicated} duplicated, {reordered} reordered")?;
        if let Some(dropped) = dropped.filter(|dropped| *dropped > 0) {
            write!(f, ", {dropped} dropped by us")?;
        }
    }
    if outcome.response.is_some() {
        write!(f, ", {unsent} unsent, {} held up by their connection", outcome.held)?;
    }
    writeln!(f)
}

/// What went wrong, if anything did.
fn troubles(f: &mut Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    for failure in &outcome.failed {
        writeln!(f, "{} connection(s) failed: {}", failure.count, failure.reason)?;
    }
    for damage in &outcome.damage.first {
        writeln!(f, "damage: {damage}")?;
    }
    let told = outcome.damage.first.len() as u64;
    if outcome.damage.count > told {
        writeln!(f, "damage: {} more", outcome.damage.count - told)?;
    }
    for stall in &outcome.stalls {
        writeln!(
            f,
            "stall: {} connections stood still together for {}, {} after measuring began",
            stall.connections,
            figures::duration(stall.length),
            figures::duration(stall.start)
        )?;
    }
    if let Some(Probe { sent, received, failed, .. }) = &outcome.probe {
        match failed {
            Some(why) => writeln!(f, "the probe failed: {why}")?,
            None if received < sent => {
                writeln!(f, "the probe: {} of {sent} messages did not come back", sent - received)?;
            }
            None => {}
        }
    }
    for SloResult { slo, measured, met } in &outcome.slo {
        let measured = measured.map_or_else(|| "unknown".to_owned(), figures::duration);
        let (word, limit) = (if *met { "met" } else { "MISSED" }, figures::duration(slo.limit));
        writeln!(f, "{} within {limit}: {word}, it is {measured}", slo.what)?;
    }
    Ok(())
}

fn verdict(f: &mut Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    if outcome.interrupted {
        writeln!(f, "interrupted")?;
    }
    for reason in &outcome.invalid {
        writeln!(f, "invalid: {reason}")?;
    }
    match outcome.verdict() {
        Verdict::Good if outcome.loss() > 0.0 => {
            writeln!(f, "good: no more was lost or late than --max-loss allows")
        }
        Verdict::Good if outcome.settings.verify => writeln!(f, "good: every byte came back"),
        Verdict::Good => writeln!(f, "good: everything came back, unverified"),
        Verdict::Failed => writeln!(f, "FAILED"),
        Verdict::Invalid => writeln!(f, "INVALID"),
    }
}
