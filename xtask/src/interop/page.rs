//! `docs/interop.md` of echo-client: the table, which is also what is expected.
//!
//! ```text
//! | peer | fails | warns | why |        fails: compared with each run
//! |---|---|---|---|                  warns: about time, as it was when the table was written
//! ```

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use anyhow::{Context, bail, ensure};

use super::{
    battery::Run,
    peers::{PEERS, PROGRAMS, Peer},
};
use crate::workspace;

const BEGIN: &str = "<!-- written by `cargo xtask interop --write` -->\n";
const END: &str = "<!-- end -->\n";

/// What stands for a cell in which nothing is.
const NOTHING: &str = "-";

/// What is expected of a peer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expected {
    /// The checks that fail.
    pub(super) fails: Vec<String>,
    /// The check that it does not survive.
    pub(super) dead_after: Option<String>,
}

/// The expectations of the page, by the peer's name.
pub(super) fn read() -> anyhow::Result<BTreeMap<String, Expected>> {
    let page = fs::read_to_string(path()).context("no page")?;
    let rows = split(&page)?.1.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, fails, ..] = cells[..] else { bail!("not a row: {row}") };
        let (always, more) = fails.split_once(';').unwrap_or((fails, ""));
        let dead_after = more.split_once(DEAD_AFTER).and_then(|(_, id)| ids(id).pop());
        Ok((name.to_owned(), Expected { fails: ids(always), dead_after }))
    })
    .collect()
}

/// Writes the page anew with what was seen.
pub(super) fn write(seen: &[(&Peer, Run)]) -> anyhow::Result<()> {
    ensure!(seen.len() == PEERS.len(), "the table is written with all peers or not at all");
    let page = fs::read_to_string(path()).context("no page")?;
    let (before, _, after) = split(&page)?;
    let mut table = format!("Written with {}.\n\n", versions());
    table += "| peer | fails | warns | why |\n|---|---|---|---|\n";
    for (peer, run) in seen {
        let failed = run.failed.keys().map(String::as_str);
        let mut fails = list(failed.filter(|id| !peer.varies.contains(id)));
        if !peer.varies.is_empty() {
            let may_fail = list(peer.varies.iter().copied());
            fails += &format!("; may fail: {may_fail}");
        }
        if let Some(id) = &run.dead_after {
            fails += &format!("; {DEAD_AFTER}`{id}`");
        }
        let warns = list(run.warned.keys().map(String::as_str));
        table += &format!("| {} | {fails} | {warns} | {} |\n", peer.name, peer.why);
    }
    fs::write(path(), format!("{before}{BEGIN}{table}{END}{after}")).context("cannot write it")
}

/// Follows the failed checks of a service that is dead after one of them.
const DEAD_AFTER: &str = "dead after ";

/// What is before, between and after the marks.
fn split(page: &str) -> anyhow::Result<(&str, &str, &str)> {
    let (before, rest) = page.split_once(BEGIN).context("the page has no place for the table")?;
    let (table, after) = rest.split_once(END).context("the page's table has no end")?;
    Ok((before, table, after))
}

fn list<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let list: Vec<String> = ids.map(|id| format!("`{id}`")).collect();
    if list.is_empty() { NOTHING.to_owned() } else { list.join(", ") }
}

fn ids(list: &str) -> Vec<String> {
    let ids = list.split(',').map(|id| id.trim().trim_matches('`'));
    ids.filter(|&id| id != NOTHING).map(str::to_owned).collect()
}

/// Each program with its version, as far as it tells.
fn versions() -> String {
    let versions = PROGRAMS.iter().map(|needed| {
        let output = Command::new(needed.program).arg(needed.version).output();
        let said = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).into_owned();
        let is_version = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
        let words = said.split([' ', '\n', '/', '-']);
        let version = words.filter(|word| word.contains('.')).find(is_version);
        format!("{} {}", needed.program, version.unwrap_or_default())
    });
    versions.collect::<Vec<_>>().join(", ")
}

fn path() -> PathBuf {
    workspace::root().join("crates/echo-client/docs/interop.md")
}
