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
    let has_lines = !globals.json && !junit.as_ref().is_some_and(WholeFile::is_stdout);
    let mut runner = Runner::new(&selection, globals, &interrupted)?;
    runner.end_after(args.deadline);
    // What cannot be printed is told in the end, when there is a file to be written before.
    let head = if has_lines { print(&table.head(&selection, runner.rtt())) } else { Ok(()) };
    let mut printed = match head {
        Err(error) if junit.is_none() => return Err(error),
        head => head,
    };
    let report = runner.run(&mut |event| {
        let line = match event {
            _ if !has_lines || printed.is_err() => return Ok(ControlFlow::Continue(())),
            Event::Begins(check) => table.begins(check),
            Event::Ended(done) => table.line(done),
        };
        // Whoever stops reading has seen enough, unless there is a file to be written.
        match print_unless_closed(&line) {
            Ok(false) if junit.is_none() => return Ok(ControlFlow::Break(())),
            Err(error) if junit.is_none() => return Err(error),
            Err(error) => printed = Err(error),
            Ok(_) => {}
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let written = junit
        .map_or(Ok(()), |junit| junit.write(|output| junit::write(&report, args.strict, output)));
    printed?;
    if has_lines {
        print(&table.tail(&report))?;
    }
    if globals.json {
        print(&json::line(&report))?;
    }
    written?;
    Ok(Ending { is_good: report.is_good(args.strict), last_words: None })
}
