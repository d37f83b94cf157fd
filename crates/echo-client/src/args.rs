//! The command line as typed.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, CommandFactory, Parser, Subcommand};
use echo_cli::{Endpoint, FramingArgs, Verbosity};

/// The guide's message, sent when no other is given.
const GUIDE_MESSAGE: &str = "Hello, server! This is a test.";

/// Tell whether a path returns every byte.
///
/// Without a command this is `send`: `echo-client` alone sends the guide's message. Returned bytes
/// and results go to stdout, everything else to stderr.
#[derive(Debug, Parser)]
#[command(name = "echo-client", version, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send a message, a file or stdin, and check that the same bytes come back
    Send(SendArgs),
}

/// Names `send` where a command line names no command.
///
/// Flags for all commands may stand before it; anything else belongs to a command.
pub(crate) fn with_command(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = words.into_iter().collect();
    let for_all = |word: &OsString| match word.to_str() {
        Some("--verbose" | "--quiet") => true,
        Some(word) => word.strip_prefix('-').is_some_and(|flags| {
            !flags.is_empty() && flags.chars().all(|flag| matches!(flag, 'v' | 'q'))
        }),
        None => false,
    };
    let at = words.iter().skip(1).position(|word| !for_all(word)).map_or(words.len(), |at| at + 1);
    let known = Args::command();
    let names_one = words.get(at).and_then(|word| word.to_str()).is_some_and(|word| {
        matches!(word, "help" | "-h" | "--help" | "-V" | "--version")
            || known.find_subcommand(word).is_some()
            || word.starts_with("-v") && word.ends_with(['h', 'V'])
    });
    if !names_one {
        words.insert(at, "send".into());
    }
    words
}

/// `send`
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct SendArgs {
    /// Where the echo service is
    #[arg(value_name = "TARGET", env = "ECHO_TARGET", default_value = "tcp://127.0.0.1:65432")]
    pub(crate) target: Endpoint,

    /// Send this text, as one frame
    #[arg(short, long, value_name = "TEXT", default_value = GUIDE_MESSAGE)]
    pub(crate) message: String,

    /// Send this file, or stdin when it is -; in frames, it is cut at its delimiters or in pieces
    #[arg(short, long, value_name = "FILE", conflicts_with = "message")]
    pub(crate) file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) framing: FramingArgs,

    /// How long the service may return nothing while bytes are due
    #[arg(long, value_name = "DUR", default_value = "10s", value_parser = echo_cli::positive_duration)]
    pub(crate) timeout: Duration,

    /// How long connecting may take
    #[arg(long, value_name = "DUR", default_value = "5s", value_parser = echo_cli::positive_duration)]
    pub(crate) connect_timeout: Duration,
}

const EXAMPLES: &str = "\
Examples:
  echo-client                                    the guide's message to 127.0.0.1:65432
  echo-client send -m 'one line' --framing line  as one frame
  head -c 1G /dev/urandom | echo-client send -f - 10.0.0.7:7 > /dev/null

Exit codes: 0 identical; 1 the path failed; 2 usage or local error";

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
            ("x -vV", "x -vV"),
            ("x help send", "x help send"),
        ] {
            let words = with_command(typed.split(' ').map(OsString::from));
            assert_eq!(words.join(" ".as_ref()), meant);
        }
    }
}
