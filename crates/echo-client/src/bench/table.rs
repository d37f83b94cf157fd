//! An outcome for people.

use std::fmt::{self, Display, Formatter, Write};

use hdrhistogram::Histogram;

use super::{Datagrams, Mode, Outcome, SloResult, Verdict, judge::mean, percentile};

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
            write!(f, "open loop, {} msg/s ({arrival})", grouped(rate))?;
        }
    }
    let plural = |count: u32| if count == 1 { "" } else { "s" };
    let Outcome { connections, .. } = *outcome;
    write!(f, ", {connections} connection{} x {} B", plural(connections), settings.size)?;
    write!(f, ", depth {}", settings.depth)?;
    write!(f, ", {} thread{}", settings.threads, plural(settings.threads))?;
    if !settings.verify {
        f.write_str(", unverified")?;
    }
    if let Some(instance) = settings.instance {
        write!(f, ", instance {instance}")?;
    }
    writeln!(f, ", {:.1?} after {:?} of warm-up", outcome.elapsed, settings.warmup)
}

fn latencies(f: &mut Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    write!(f, "{:10}{:>9}{:>9}", "", "min", "mean")?;
    for percent in PERCENTILES {
        write!(f, "{:>9}", format!("p{percent}"))?;
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
    nanos.map_or_else(|| "-".to_owned(), |nanos| Latency(nanos).to_string())
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
        writeln!(
            f,
            "{:>8} - {:<8}|{bar:40} {share:7.3} %",
            Latency(from).to_string(),
            Latency(to).to_string()
        )?;
    }
    writeln!(f)
}

fn counts(f: &mut Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    let Outcome { sent, received, corrupt, unanswered, unsent, throughput, .. } = outcome;
    writeln!(
        f,
        "{} msg/s, {}B/s",
        grouped(throughput.messages_per_s),
        scaled(throughput.bytes_per_s)
    )?;
    write!(
        f,
        "{sent} sent, {received} received, {corrupt} corrupt, {} unanswered",
        unanswered.count
    )?;
    if let Some(age) = unanswered.oldest {
        write!(f, " (the oldest for {age:.3?})")?;
    }
    if let Some(Datagrams { lost, late, duplicated, reordered }) = outcome.datagrams {
        let percent = outcome.loss() * 100.0;
        write!(
            f,
            ", {lost} lost, {late} late ({percent:.3} % not back within {:?})",
            outcome.settings.wait
        )?;
        write!(f, ", {duplicated} duplicated, {reordered} reordered")?;
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
            "stall: {} connections stood still together for {:.3?}, {:.3?} after measuring began",
            stall.connections, stall.length, stall.start
        )?;
    }
    if let Some(why) = outcome.probe.as_ref().and_then(|probe| probe.failed.as_ref()) {
        writeln!(f, "the probe failed: {why}")?;
    }
    for SloResult { slo, measured, met } in &outcome.slo {
        let measured = measured.map_or_else(|| "unknown".to_owned(), |took| format!("{took:.3?}"));
        let word = if *met { "met" } else { "MISSED" };
        writeln!(f, "{} within {:?}: {word}, it is {measured}", slo.what, slo.limit)?;
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

/// Nanoseconds with a unit and three digits or more.
pub(super) struct Latency(pub(super) u64);

impl Display for Latency {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(nanos) = *self;
        let (unit, name) = match nanos {
            0..1_000 => return write!(f, "{nanos}ns"),
            1_000..1_000_000 => (1e3, "us"),
            1_000_000..1_000_000_000 => (1e6, "ms"),
            _ => (1e9, "s"),
        };
        let value = nanos as f64 / unit;
        let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
        write!(f, "{value:.digits$}{name}")
    }
}

/// A number with its thousands set apart.
pub(super) fn grouped(number: f64) -> String {
    let digits = if number < 100.0 { 1 } else { 0 };
    let plain = format!("{number:.digits$}");
    let (whole, rest) = plain.split_once('.').map_or((&*plain, None), |(w, r)| (w, Some(r)));
    let mut grouped = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if let Some(rest) = rest.filter(|rest| *rest != "0") {
        let _ = write!(grouped, ".{rest}");
    }
    grouped
}

/// A number with a decimal prefix for its unit, which follows.
fn scaled(number: f64) -> String {
    match number {
        _ if number < 1e3 => format!("{number:.0} "),
        _ if number < 1e6 => format!("{:.1} k", number / 1e3),
        _ if number < 1e9 => format!("{:.1} M", number / 1e6),
        _ => format!("{:.2} G", number / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_have_three_digits_and_a_unit() {
        for (nanos, text) in [
            (0, "0ns"),
            (999, "999ns"),
            (1_000, "1.00us"),
            (9_994, "9.99us"),
            (9_996, "10.0us"),
            (99_960, "100us"),
            (1_234_567, "1.23ms"),
            (3_600_000_000_000, "3600s"),
        ] {
            assert_eq!(Latency(nanos).to_string(), text);
        }
    }

    #[test]
    fn numbers_are_set_in_groups() {
        for (number, text) in [
            (0.5, "0.5"),
            (7.0, "7"),
            (100.4, "100"),
            (1234.0, "1,234"),
            (1_234_567.8, "1,234,568"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
