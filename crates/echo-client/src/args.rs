//! The command line as typed.

use std::{path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, Parser, Subcommand};
use echo_cli::{Endpoint, Verbosity};
use echo_core::Framing;

/// The guide's message, sent when no other is given.
const GUIDE_MESSAGE: &str = "Hello, server! This is a test.";

/// Tell whether a path returns every byte.
///
/// Without a subcommand this is `send`. Returned bytes go to stdout, the verdict to stderr.
#[derive(Debug, Parser)]
#[command(name = "echo-client", version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) send: SendArgs,

    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send a message, a file or stdin, and check that the same bytes come back
    Send(SendArgs),
}

/// `send`
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct SendArgs {
    /// Where the echo service is
    #[arg(value_name = "TARGET", env = "ECHO_TARGET", default_value = "tcp://127.0.0.1:65432")]
    pub(crate) target: Endpoint,

    /// Send this text
    #[arg(short, long, value_name = "TEXT", default_value = GUIDE_MESSAGE)]
    pub(crate) message: String,

    /// Send this file, or stdin when it is -
    #[arg(short, long, value_name = "FILE", conflicts_with = "message")]
    pub(crate) file: Option<PathBuf>,

    /// Send and expect frames: line, delim:HEX, fixed:N, u8, u16, u32, u64, u16le, u32le, u64le,
    /// varint, netstring. A message is one frame; a file is cut at its delimiters, or in pieces
    #[arg(long, default_value = "raw")]
    pub(crate) framing: Framing,

    /// The largest payload of a frame [default: 64KiB with delimiters, else 8MiB]
    #[arg(long, value_name = "SIZE", value_parser = echo_cli::size)]
    pub(crate) max_frame: Option<usize>,

    /// How long the service may return nothing while bytes are due
    #[arg(long, value_name = "DUR", default_value = "10s", value_parser = echo_cli::duration)]
    pub(crate) timeout: Duration,

    /// How long connecting may take
    #[arg(long, value_name = "DUR", default_value = "5s", value_parser = echo_cli::duration)]
    pub(crate) connect_timeout: Duration,
}

const EXAMPLES: &str = "\
Examples:
  echo-client                                    the guide's message to 127.0.0.1:65432
  echo-client send -m 'one line' --framing line  as one frame
  head -c 1G /dev/urandom | echo-client send -f - 10.0.0.7:7 > /dev/null

Exit codes: 0 identical; 1 the path failed; 2 usage or local error";
