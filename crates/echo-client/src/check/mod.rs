//! `check`: whether an echo service, and the path to it, keep the promises of TCP and RFC 862.
//!
//! ```text
//! battery: family/* ──▶ selection: ids, kind of target ──▶ runner: one trial after the other,
//!                                                             │  each with its own connections
//!                                                             │  and deadline; health after each
//!                                                             ▼
//!                                             Report ──▶ table, json, junit
//! ```
//!
//! A check says what it saw; what that counts for follows from its level, in one place (`case`).

mod args;
mod case;
mod conn;
mod datagrams;
mod family;
mod json;
mod junit;
mod list;
mod many;
#[cfg(test)]
mod peer;
mod report;
mod runner;
mod selection;
mod table;
mod trial;
mod trips;

use std::{
    io::{self, IsTerminal},
    ops::ControlFlow,
    path::Path,
};

use crate::{
    Ending,
    args::Globals,
    interrupt,
    stdout::{print, print_unless_closed},
    whole_file::WholeFile,
};

pub(crate) use args::CheckArgs;
use runner::{Event, Runner};
use selection::Selection;
use table::Table;

/// Runs the checks that were asked for and tells what each has seen.
///
/// # Errors
/// Usage and local errors, and [`ConnectError`](crate::ConnectError) when there is no connection to
/// begin with.
pub(crate) fn check(args: &CheckArgs, globals: &Globals) -> anyhow::Result<Ending> {
    let selection = Selection::of(args)?;
    if args.list {
        print(&list::page(selection.checks(), selection.is_whole()))?;
        return Ok(Ending { is_good: true, last_words: None });
    }
    let junit = args.junit.as_deref().map(WholeFile::check).transpose()?;
    let interrupted = interrupt::flag()?;
    let stdout = io::stdout();
    let table = Table::new(globals.color.is_on(&stdout), globals.verbosity, stdout.is_terminal());
    let has_lines = !globals.json && args.junit.as_deref() != Some(Path::new("-"));
    let mut runner = Runner::new(&selection, globals, &interrupted)?;
    runner.end_after(args.deadline);
    if has_lines {
        print(&table.head(&selection, runner.rtt()))?;
    }
    let report = runner.run(&mut |event| {
        let line = match event {
            _ if !has_lines => return Ok(ControlFlow::Continue(())),
            Event::Begins(check) => table.begins(check),
            Event::Ended(done) => table.line(done),
        };
        // Whoever stops reading has seen enough, unless there is a file to be written.
        match print_unless_closed(&line)? {
            false if args.junit.is_none() => Ok(ControlFlow::Break(())),
            _ => Ok(ControlFlow::Continue(())),
        }
    })?;
    if has_lines {
        print(&table.tail(&report))?;
    }
    if globals.json {
        print(&json::line(&report))?;
    }
    if let Some(junit) = junit {
        junit.write(|output| junit::write(&report, args.strict, output))?;
    }
    Ok(Ending { is_good: report.is_good(args.strict), last_words: None })
}
