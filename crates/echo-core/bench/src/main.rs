//! echo-core's codecs timed beside their peers, in one run.
//!
//! ```text
//! cargo xtask bench core [--quick] [--json] [--only TEXT]
//!   --quick   under half a minute, for a first look
//!   --json    one object per line instead of tables
//!   --only    the framings whose name contains TEXT
//! ```
//!
//! Exits 1 when a target is missed, 2 for a word that it does not know.

mod ceilings;
mod harness;
mod linear;
mod ours;
mod peers;
mod report;
mod targets;
mod wire;

use std::{process::ExitCode, time::Duration};

use harness::{Contender, Effort};
use wire::{Size, Wire};

struct Options {
    quick: bool,
    json: bool,
    only: String,
}

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(word) => {
            eprintln!("unknown argument {word:?}; use --quick, --json, --only TEXT");
            return ExitCode::from(2);
        }
    };
    keep_freed_memory();
    if run(&options) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { quick: false, json: false, only: String::new() };
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--quick" => options.quick = true,
                "--json" => options.json = true,
                "--only" => options.only = args.next().ok_or(arg)?,
                _ => return Err(arg),
            }
        }
        Ok(options)
    }

    fn effort(&self) -> Effort {
        if self.quick {
            Effort { rounds: 51, sample: Duration::from_micros(100) }
        } else {
            Effort { rounds: 201, sample: Duration::from_micros(250) }
        }
    }
}

/// glibc returns large blocks to the system when they are freed, and whoever asks next pays for fresh
/// pages. It stops doing so for sizes of which it has seen one freed, so nobody's figures hold that.
fn keep_freed_memory() {
    drop(std::hint::black_box(vec![1_u8; 31 << 20]));
}

/// Measures, prints, and says whether every target is met.
fn run(options: &Options) -> bool {
    let report = if options.json { report::JSON } else { report::TEXT };
    (report.preamble)(options.effort());
    let mut verdicts = Vec::new();
    for size in Size::ALL {
        let wanted: Vec<Contender> = contenders(size)
            .into_iter()
            .filter(|contender| contender.work.contains(&options.only))
            .collect();
        let mut works: Vec<&str> = Vec::new();
        for contender in &wanted {
            if !works.contains(&contender.work) {
                works.push(contender.work);
            }
        }
        // A framing's contenders take turns among themselves, so that its wire stays in the cache.
        for work in works {
            // A fixed size is known to both ends, so nothing of it is on the wire.
            let wire = Wire::new(if work == "fixed" { "raw" } else { work }, size);
            let group: Vec<&Contender> =
                wanted.iter().filter(|contender| contender.work == work).collect();
            let timings = harness::time_in_turns(&group, &wire, options.effort());
            (report.timings)(size, &timings);
            verdicts.extend(targets::judge(size, &timings));
        }
    }
    let mut met = verdicts.iter().all(targets::Verdict::is_met);
    (report.verdicts)(&verdicts);
    if "line".contains(&options.only) {
        let (ratio, ns_per_byte) = linear::doubling_the_line(options.effort().rounds.min(51));
        met &= ratio.median <= linear::AT_MOST;
        (report.linear)(ratio, ns_per_byte);
    }
    met
}

fn contenders(size: Size) -> Vec<Contender> {
    let mut all = ours::beside_peers();
    all.extend(ceilings::all());
    all.extend(peers::all());
    all.extend(ours::the_rest());
    if matches!(size, Size::Of(0..=255) | Size::Mixed) {
        all.extend(ours::the_small());
    }
    if matches!(size, Size::Of(_)) {
        all.extend(ours::fixed());
    }
    all
}
