//! What a run tells: tables on the terminal while it goes on, JSON lines beside them, and a page in
//! the end.

mod bars;
mod html;
mod json;
mod standing;
mod text;

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Context;
use serde_json::Value;

use crate::{
    args::GridArgs,
    cell::Cell,
    contender::Contender,
    loader::{Sample, Times},
    machine::Machine,
    turns::Series,
};

pub(crate) use json::spread;
pub(crate) use text::{DISTURBED, shown, shown_or_dash};

/// What one contender has done in a cell.
#[derive(Debug)]
pub(crate) struct Entry<'c> {
    pub(crate) contender: &'c Contender,
    pub(crate) series: Series<Sample>,
}

/// A task over cells, from its beginning to its end.
pub(crate) struct Run<'c> {
    /// `server` or `scale`.
    task: &'static str,
    machine: Machine,
    times: Times,
    absent: Vec<&'c (Contender, String)>,
    begun: Instant,
    left_out: Vec<&'c str>,
    html: Option<&'c Path>,
    lines: Lines,
    cells: Vec<(Cell, Vec<Entry<'c>>)>,
}

impl<'c> Run<'c> {
    /// Says who is measured how.
    pub(crate) fn begin(
        task: &'static str,
        times: Times,
        absent: Vec<&'c (Contender, String)>,
        left_out: &[&'c Contender],
        args: &'c GridArgs,
    ) -> anyhow::Result<Self> {
        let mut run = Self {
            task,
            machine: Machine::here(),
            times,
            absent,
            begun: Instant::now(),
            left_out: left_out.iter().map(|contender| &*contender.name).collect(),
            html: args.html.as_deref(),
            lines: Lines::create(&args.output.json)?,
            cells: Vec::new(),
        };
        run.lines.write(&json::head(&run))?;
        text::preamble(&run);
        Ok(run)
    }

    /// Tells what was measured in a cell, and who is not made for it.
    pub(crate) fn cell(
        &mut self,
        cell: Cell,
        entries: Vec<Entry<'c>>,
        unable: &[&Contender],
    ) -> anyhow::Result<()> {
        text::table(cell, &entries);
        text::missing(&self.absent, unable);
        for line in json::entries(cell, &entries) {
            self.lines.write(&line)?;
        }
        self.cells.push((cell, entries));
        Ok(())
    }

    /// Sums up; true when nobody failed.
    pub(crate) fn end(self) -> anyhow::Result<bool> {
        let page = if self.task == "scale" {
            text::scale(&self.cells);
            html::scale
        } else {
            text::standings(&self.cells);
            html::server
        };
        text::legend();
        println!("\nmeasuring took {:.0?}", self.begun.elapsed());
        if let Some(file) = self.html {
            fs::write(file, page(&self)).with_context(|| format!("{}", file.display()))?;
            println!("the page is {}", file.display());
        }
        let all = self.cells.iter().flat_map(|(_, entries)| entries);
        Ok(all.map(|entry| &entry.series).all(|series| series.failure.is_none()))
    }
}

/// JSON objects, one per line, in a file if one is asked for.
pub(crate) struct Lines(Option<File>);

impl Lines {
    pub(crate) fn create(file: &Option<PathBuf>) -> anyhow::Result<Self> {
        let create =
            |file: &PathBuf| File::create(file).with_context(|| format!("{}", file.display()));
        Ok(Self(file.as_ref().map(create).transpose()?))
    }

    pub(crate) fn write(&mut self, line: &Value) -> anyhow::Result<()> {
        match &mut self.0 {
            Some(file) => Ok(writeln!(file, "{line}")?),
            None => Ok(()),
        }
    }
}

/// The figure that a rank is about.
fn rate(sample: &Sample) -> f64 {
    sample.messages_per_s
}

impl Entry<'_> {
    /// In how many rounds the load called its figures invalid, and why in the last of them.
    fn invalid(&self) -> Option<(usize, &str)> {
        let samples = self.series.rounds.iter().flatten();
        let reasons: Vec<&str> = samples.filter_map(|sample| sample.invalid.as_deref()).collect();
        reasons.last().map(|last| (reasons.len(), *last))
    }
}

/// Fastest first; those that failed are last.
fn by_rate<'e, 'c>(all: &'e [Entry<'c>]) -> Vec<&'e Entry<'c>> {
    let mut order: Vec<&Entry<'_>> = all.iter().collect();
    let rank = |entry: &Entry<'_>| entry.series.spread(rate).map_or(0.0, |s| s.median);
    order.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
    order
}

/// What has to be known beside a cell's figures, in sentences.
fn notes(all: &[Entry<'_>]) -> Vec<String> {
    let invalid: Vec<(usize, &str)> = all.iter().filter_map(Entry::invalid).collect();
    let invalid = invalid
        .last()
        .map(|(_, why)| format!("INVALID for {} of {}: {why}", invalid.len(), all.len()));
    let failed = all.iter().filter_map(|entry| {
        let failures = entry.series.rounds.iter().filter(|round| round.is_none()).count();
        let (why, rounds) = (entry.series.failure.as_ref()?, entry.series.rounds.len());
        Some(format!("FAILED: {} in {failures} of {rounds} rounds: {why}", entry.contender.name))
    });
    invalid.into_iter().chain(failed).collect()
}
