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
mod report;
mod runner;
mod selection;
mod table;
mod trial;

use std::io::{self, IsTerminal};

use crate::{Ending, args::Globals, interrupt, stdout::print, whole_file::WholeFile};

pub(crate) use args::CheckArgs;
use runner::Runner;
use selection::Selection;

/// Runs the checks that were asked for and tells what each has seen.
///
/// # Errors
/// Usage and local errors, and [`ConnectError`](crate::ConnectError) when there is no connection to
/// begin with.
pub(crate) fn check(args: &CheckArgs, globals: &Globals) -> anyhow::Result<Ending> {
    let selection = Selection::of(args)?;
    if args.list {
        print(&list::page(selection.checks()))?;
        return Ok(Ending { is_good: true, last_words: None });
    }
    let junit = args.junit.as_deref().map(WholeFile::check).transpose()?;
    let interrupted = interrupt::flag()?;
    let table = table::Table::new(globals.color.is_on(&io::stdout()), globals.verbosity);
    let has_lines = !globals.json;
    let is_watched = io::stdout().is_terminal();
    let mut runner = Runner::new(&selection, globals, &interrupted)?;
    if has_lines {
        print(&table.head(&selection, runner.rtt()))?;
    }
    let report = runner.run(&mut |event| match event {
        runner::Event::Begins(check) if has_lines && is_watched => print(&table.begins(check)),
        runner::Event::Ended(result) if has_lines => print(&table.line(result, is_watched)),
        _ => Ok(()),
    })?;
    if has_lines {
        print(&table.tail(&report))?;
    } else {
        print(&json::line(&report))?;
    }
    if let Some(junit) = junit {
        junit.write(|output| junit::write(&report, output))?;
    }
    Ok(Ending { is_good: report.is_good(args.strict), last_words: None })
}
