//! The command line as typed: what all commands have in common, and which one it is. Each command's
//! own flags are in its folder.

use std::{ffi::OsString, time::Duration};

use clap::{Args as ClapArgs, CommandFactory, Parser, Subcommand};
use echo_cli::{Color, Verbosity};

use crate::{
    bench::BenchArgs, check::CheckArgs, ping::PingArgs, report::ReportArgs, send::SendArgs,
    target::Connector,
};

/// Tell whether a path returns every byte, and how fast.
///
/// Without a command this is `send`: `echo-client` alone sends the guide's message. Returned bytes
/// and results go to stdout, everything else to stderr.
#[derive(Debug, Parser)]
#[command(name = "echo-client", version, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) globals: Globals,
}

/// Flags of all commands; they may stand anywhere.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Options of all commands")]
pub(crate) struct Globals {
    /// Print the result as one JSON object, on the last line
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) verbosity: Verbosity,

    /// Use colours: only on a terminal, and not under NO_COLOR; or always; or never
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    pub(crate) color: Color,

    /// How long the service may return nothing while bytes are due
    #[arg(long, value_name = "DUR", default_value = "10s", global = true,
          value_parser = echo_cli::positive_duration)]
    pub(crate) timeout: Duration,

    #[command(flatten)]
    pub(crate) connector: Connector,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send a message, a file or stdin, and check that the same bytes come back
    Send(SendArgs),
    /// Send probes, and tell how long each takes to come back
    Ping(PingArgs),
    /// Put a load on the path; measure and verify what comes back
    Bench(BenchArgs),
    /// Tell which promises of TCP and RFC 862 the service, or the path to it, breaks
    Check(CheckArgs),
    /// Merge logs and results of many runs, compare them, and write a page with plots
    Report(ReportArgs),
}

/// Names `send` where a command line names no command.
///
/// Flags for all commands may stand before it; anything else belongs to a command.
pub(crate) fn with_command(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = words.into_iter().collect();
    let known = Args::command();
    let at = 1 + globals_in(words.get(1..).unwrap_or_default(), &known);
    let names_one = words.get(at).and_then(|word| word.to_str()).is_some_and(|word| {
        matches!(word, "help" | "--help" | "--version")
            || known.find_subcommand(word).is_some()
            || is_cluster(word) && word.ends_with(['h', 'V'])
    });
    if !names_one {
        words.insert(at.min(words.len()), "send".into());
    }
    words
}

/// How many of the first words are flags for all commands, with their values.
fn globals_in(words: &[OsString], known: &clap::Command) -> usize {
    let mut seen = 0;
    while let Some(word) = words.get(seen).and_then(|word| word.to_str()) {
        let flag = known.get_arguments().filter(|flag| flag.is_global_set()).find(|flag| {
            word.strip_prefix("--").is_some_and(|long| {
                let name = long.split_once('=').map_or(long, |(name, _)| name);
                flag.get_long() == Some(name)
            })
        });
        match flag {
            Some(flag) if flag.get_action().takes_values() && !word.contains('=') => seen += 2,
            Some(_) => seen += 1,
            None if is_cluster(word) && !word.ends_with(['h', 'V']) => seen += 1,
            None => break,
        }
    }
    seen.min(words.len())
}

/// Short flags for all commands, none of which takes a value, and the two that end a command line.
fn is_cluster(word: &str) -> bool {
    word.strip_prefix('-').is_some_and(|flags| {
        !flags.is_empty()
            && flags.trim_end_matches(['h', 'V']).chars().all(|flag| "vq46".contains(flag))
    })
}

const EXAMPLES: &str = "\
Examples:
  echo-client                                    the guide's message to 127.0.0.1:65432
  echo-client send -f image.iso 10.0.0.7:7       whether a file comes back identical
  echo-client ping -c 5                          how long a message is on its way
  echo-client bench -c 200 --rate 20k            how long under load, and how much there can be
  echo-client check 10.0.0.7:7                   which promises the path does not keep

Exit codes: 0 good; 1 the path failed; 2 usage or local error; 3 the measurement is invalid";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn send_is_what_is_meant_when_no_command_is_named() {
        for (typed, meant) in [
            ("x", "x send"),
            ("x -v", "x -v send"),
            ("x -m text", "x send -m text"),
            ("x -qv h:1", "x -qv send h:1"),
            ("x send -v", "x send -v"),
            ("x --verbose send", "x --verbose send"),
            ("x --help", "x --help"),
            ("x -h", "x -h"),
            ("x -hV", "x -hV"),
            ("x -4v send", "x -4v send"),
            ("x --timeout 1s", "x --timeout 1s send"),
            ("x --timeout=1s -6 --json h:1", "x --timeout=1s -6 --json send h:1"),
            ("x --source ::1 send", "x --source ::1 send"),
            ("x --timeout", "x --timeout send"),
            ("x -- -v", "x send -- -v"),
            ("x -vV", "x -vV"),
            ("x help send", "x help send"),
        ] {
            let words = with_command(typed.split(' ').map(OsString::from));
            assert_eq!(words.join(" ".as_ref()), meant);
        }
    }
}
