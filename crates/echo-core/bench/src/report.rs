//! What a run prints: tables for people, or a JSON object per line.

use crate::{
    harness::{Effort, Spread, Timing},
    linear,
    ours::LENT,
    targets::Verdict,
    wire::Size,
};

/// A way to print.
pub(crate) struct Report {
    pub(crate) preamble: fn(Effort),
    pub(crate) timings: fn(Size, &[Timing<'_>]),
    pub(crate) verdicts: fn(&[Verdict]),
    pub(crate) linear: fn(Spread, Spread),
}

pub(crate) const TEXT: Report = Report {
    preamble: text_preamble,
    timings: text_timings,
    verdicts: text_verdicts,
    linear: text_linear,
};

pub(crate) const JSON: Report = Report {
    preamble: json_preamble,
    timings: json_timings,
    verdicts: json_verdicts,
    linear: json_linear,
};

/// How everybody was compiled; the manifest's release profile.
const PROFILE: &str = "opt-level 3, overflow-checks on, lto fat, codegen-units 1";

fn text_preamble(effort: Effort) {
    println!("{PROFILE}");
    println!("{} rounds in turns; medians, ratios with their quartiles", effort.rounds);
}

fn text_timings(size: Size, timings: &[Timing<'_>]) {
    let Some(first) = timings.first() else { return };
    println!("\n{}, payloads of {} bytes", first.contender.work, size.label());
    println!("  {:46} ns/frame      MB/s  echo-core is faster by", "way and who");
    for way in ["alone", "deframer", "receiver", "send"] {
        let of_way = || timings.iter().filter(move |timing| timing.contender.way == way);
        let ours = of_way().find(|timing| timing.contender.who == LENT);
        for timing in of_way() {
            let ns = Spread::of(timing.rounds.iter().copied()).median;
            let mb = megabytes_per_second(timing, ns);
            let who = timing.contender.who;
            let ratio = match ours {
                Some(ours) if who != LENT => {
                    let Spread { low, median, high } = Spread::faster(&ours.rounds, &timing.rounds);
                    format!("{median:6.2}  ({low:.2} to {high:.2})")
                }
                _ => String::new(),
            };
            println!("  {way:<9} {who:<36} {ns:>9.2} {mb:>9.0}  {ratio}");
        }
    }
}

fn text_verdicts(verdicts: &[Verdict]) {
    println!("\ntargets");
    for verdict in verdicts {
        let Spread { low, median, high } = verdict.ratio;
        let Verdict { what, way, size, peer, at_least, .. } = verdict;
        let mark = if verdict.is_met() { "met " } else { "MISS" };
        println!(
            "  {mark} {what:<50} {way:<9} {size:>5} B  {median:6.2} ({low:.2} to {high:.2}), \
             at least {at_least}; beside {peer}"
        );
    }
}

fn text_linear(ratio: Spread, ns_per_byte: Spread) {
    let mark = if ratio.median <= linear::AT_MOST { "met " } else { "MISS" };
    let Spread { low, median, high } = ratio;
    println!(
        "  {mark} 2 MiB line / 1 MiB line, in 16-byte pieces: {median:.2} ({low:.2} to {high:.2}), \
         at most {}; {:.2} ns per byte",
        linear::AT_MOST,
        ns_per_byte.median,
    );
}

fn json_preamble(effort: Effort) {
    println!(
        r#"{{"schema":1,"kind":"bench-core","profile":"{PROFILE}","rounds":{}}}"#,
        effort.rounds
    );
}

// No name in this program needs to be escaped.
fn json_timings(size: Size, timings: &[Timing<'_>]) {
    for timing in timings {
        let Spread { low, median, high } = Spread::of(timing.rounds.iter().copied());
        println!(
            r#"{{"kind":"timing","framing":"{}","way":"{}","who":"{}","payload":"{}","ns_per_frame":{{"q1":{low:.3},"median":{median:.3},"q3":{high:.3}}},"bytes_per_s":{:.0}}}"#,
            timing.contender.work,
            timing.contender.way,
            timing.contender.who,
            size.label(),
            megabytes_per_second(timing, median) * 1e6,
        );
    }
}

fn json_verdicts(verdicts: &[Verdict]) {
    for verdict in verdicts {
        let Spread { low, median, high } = verdict.ratio;
        println!(
            r#"{{"kind":"target","what":"{}","way":"{}","payload":"{}","peer":"{}","ratio":{{"q1":{low:.3},"median":{median:.3},"q3":{high:.3}}},"at_least":{},"met":{}}}"#,
            verdict.what,
            verdict.way,
            verdict.size,
            verdict.peer,
            verdict.at_least,
            verdict.is_met(),
        );
    }
}

fn json_linear(ratio: Spread, ns_per_byte: Spread) {
    println!(
        r#"{{"kind":"linear","line":2097152,"half":1048576,"piece":16,"ratio":{{"q1":{:.3},"median":{:.3},"q3":{:.3}}},"at_most":{},"met":{},"ns_per_byte":{:.3}}}"#,
        ratio.low,
        ratio.median,
        ratio.high,
        linear::AT_MOST,
        ratio.median <= linear::AT_MOST,
        ns_per_byte.median,
    );
}

/// Payload only.
fn megabytes_per_second(timing: &Timing<'_>, ns_per_frame: f64) -> f64 {
    let mean = timing.wire.expected.bytes as f64 / timing.wire.expected.frames as f64;
    mean / ns_per_frame * 1e3
}
