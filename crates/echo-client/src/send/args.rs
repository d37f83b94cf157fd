//! `send` as typed.

use std::path::PathBuf;

use clap::Args;
use echo_cli::{Endpoint, FramingArgs};

/// The guide's message, sent when no other is given.
const GUIDE_MESSAGE: &str = "Hello, server! This is a test.";

/// `send`
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SendArgs {
    /// Where the echo service is: HOST:PORT or unix:/PATH
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
}

const EXAMPLES: &str = "\
Examples:
  echo-client send -m 'one line' --framing line  as one frame
  head -c 1G /dev/urandom | echo-client send -f - 10.0.0.7:7 > /dev/null

Returned bytes go to stdout. The verdict, with --json an object, is the last line on stderr.

Exit codes: 0 identical; 1 the path failed; 2 usage or local error";
