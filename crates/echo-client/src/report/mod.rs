//! `report`: logs and results of many runs, merged exactly, and compared.
//!
//! ```text
//! files ──▶ load ──▶ parts ──▶ side: runs, merged ──┬──▶ table, json, page
//!                    --baseline ──▶ side ───────────┴──▶ compare
//! ```

mod args;
mod compare;
#[cfg(test)]
pub(crate) mod fixture;
mod json;
mod load;
mod part;
mod side;
mod table;
mod verdict;

use echo_cli::say;

use crate::{
    Ending,
    args::Globals,
    bench::{Invalid, Outcome, Verdict},
    page::{self, View},
    stdout::print,
    whole_file::WholeFile,
};

pub use load::InputError;

pub(crate) use args::ReportArgs;
pub(crate) use compare::{Comparison, Figure, Finding};
pub(crate) use part::{Part, Slice, coarser};
pub(crate) use side::{Run, Side, merged, percentile_of, rate_of};
pub(crate) use verdict::Judgement;

use load::Loader;

/// Merges and compares; judges as the worst of the runs was judged.
///
/// # Errors
/// [`InputError`], [`WriteError`](crate::WriteError), [`Invalid`], or what stdout says.
pub(crate) fn report(args: &ReportArgs, globals: &Globals) -> anyhow::Result<Ending> {
    let page = args.html.as_deref().map(WholeFile::check).transpose()?;
    let mut loader = Loader::default();
    let now = Side::of(loader.load(&args.files)?);
    let baseline = match &args.baseline[..] {
        [] => None,
        files => Some(Side::of(loader.load(files)?)),
    };
    let mut warnings = now.warnings();
    if let Some(side) = &baseline {
        let judged = Judgement::of(side).filter(|it| it.verdict != Verdict::Good);
        let judged = judged.map(|it| format!("{}; {}", it.told(), it.reasons.join("; ")));
        let told = judged.into_iter().chain(side.warnings());
        warnings.extend(told.map(|warning| format!("baseline: {warning}")));
    }
    warnings.extend(baseline.as_ref().and_then(|baseline| now.differs_from(baseline)));
    for warning in &warnings {
        say(format_args!("echo-client: {warning}"));
    }
    let comparison = baseline.as_ref().map(|baseline| Comparison::of(baseline, &now));
    let baseline = baseline.as_ref().zip(comparison.as_ref());
    let is_for_page = page.as_ref().is_some_and(WholeFile::is_stdout);
    let written = page.map_or(Ok(()), |page| {
        let view = View { command: "report", now: &now, baseline, warnings: &warnings };
        draw(&page, &view)
    });
    if globals.json {
        print(&json::json(&now, baseline, &warnings))?;
    } else if !globals.verbosity.quiet && !is_for_page {
        print(&table::table(&now, baseline))?;
    }
    written?;
    match Judgement::of(&now) {
        Some(Judgement { verdict: Verdict::Invalid, reasons }) => {
            Err(Invalid(reasons.join("; ")).into())
        }
        judgement => {
            let has_failed = judgement.is_some_and(|it| it.verdict == Verdict::Failed);
            Ok(Ending { is_good: !has_failed, last_words: None })
        }
    }
}

/// What `bench` writes: a log and a page of the run just done.
///
/// # Errors
/// [`WriteError`](crate::WriteError) of the first that cannot be written; the other is written.
pub(crate) fn write(
    outcome: &Outcome,
    log: Option<&WholeFile>,
    page: Option<&WholeFile>,
) -> Result<(), crate::WriteError> {
    if log.is_none() && page.is_none() {
        return Ok(()); // taking all samples together is work
    }
    let part = Part::of(outcome);
    let logged = log.map_or(Ok(()), |log| log.write(|output| part.write_log(output)));
    let drawn = page.map_or(Ok(()), |page| {
        let now = Side::of(vec![part]);
        let view = View { command: "bench", now: &now, baseline: None, warnings: &[] };
        draw(page, &view)
    });
    logged.and(drawn)
}

fn draw(file: &WholeFile, view: &View<'_>) -> Result<(), crate::WriteError> {
    file.write(|output| output.write_all(page::page(view).as_bytes()))
}

#[cfg(test)]
mod tests;
