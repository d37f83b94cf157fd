//! The `bench` command: runs, tells, and judges.

use std::path::PathBuf;

use super::{
    Outcome, Verdict, args::BenchArgs, judge::Invalid, run::run, status::Status, table::Table,
};
use crate::{
    Ending, args::Globals, figures, interrupt, pattern::NOT_AN_ECHO, report, stdout::print,
    whole_file::WholeFile,
};

/// Runs what was asked for and tells what came of it.
///
/// # Errors
/// Usage and local errors, [`ConnectError`](crate::ConnectError), and [`Invalid`].
pub(crate) fn bench(args: &BenchArgs, globals: &Globals) -> anyhow::Result<Ending> {
    let settings = args.settings(globals)?;
    let check = |path: &Option<PathBuf>| path.as_deref().map(WholeFile::check).transpose();
    let (log, page) = (check(&args.hlog)?, check(&args.html)?);
    let stop = interrupt::flag()?;
    let quiet = globals.verbosity.quiet;
    let mut status = Status::new(quiet, settings.warmup, settings.duration);
    let result = run(&settings, &stop, &mut |progress| status.show(progress));
    status.wipe();
    let outcome = result?;
    // Files first, and all of them: whatever becomes of stdout, they are written; and the object of
    // --json is the last line, also behind a file that goes to stdout.
    let written = report::write(&outcome, log.as_ref(), page.as_ref());
    let is_for_files = [&log, &page].into_iter().flatten().any(WholeFile::is_stdout);
    if globals.json {
        print(&format!("{}\n", outcome.to_json()))?;
    } else if !quiet && !is_for_files {
        print(&Table(&outcome).to_string())?;
    }
    written?;
    match outcome.verdict() {
        Verdict::Invalid => Err(Invalid(outcome.invalid.join("; ")).into()),
        verdict => {
            let is_good = verdict == Verdict::Good;
            let last_words = (!is_good).then(|| format!("echo-client: {}", failure(&outcome)));
            Ok(Ending { is_good, last_words })
        }
    }
}

/// What the path did wrong, in one line.
fn failure(outcome: &Outcome) -> String {
    let mut wrong = Vec::new();
    let failed: u32 = outcome.failed.iter().map(|failure| failure.count).sum();
    let mut some = |count: u64, what: &str| {
        if count > 0 {
            wrong.push(format!("{count} {what}"));
        }
    };
    some(outcome.corrupt, "messages damaged");
    some(outcome.damage.count, "places with damage");
    some(outcome.unanswered.count, "messages unanswered");
    if let Some(datagrams) = outcome.datagrams {
        if datagrams.loss_on_path(outcome.sent) > outcome.settings.max_loss {
            some(datagrams.lost, "datagrams lost");
            some(datagrams.late, "datagrams late");
        }
        some(datagrams.duplicated, "datagrams duplicated");
    }
    some(u64::from(failed), "connections failed");
    let missed = outcome.slo.iter().filter(|slo| !slo.met).map(|slo| {
        let [measured, limit] = [slo.measured.unwrap_or_default(), slo.slo.limit];
        let [measured, limit] = [measured, limit].map(figures::duration);
        format!("{} is {measured}, over {limit}", slo.slo.what)
    });
    wrong.extend(missed);
    if let Some(why) = outcome.probe.as_ref().and_then(|probe| probe.failed.as_ref()) {
        wrong.push(format!("the probe failed: {why}"));
    }
    if outcome.received == 0 && outcome.damage.count > 0 {
        wrong.push(NOT_AN_ECHO.to_owned());
    }
    format!("the path failed: {}", wrong.join("; "))
}
