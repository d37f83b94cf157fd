//! `check` as typed.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use echo_cli::Endpoint;

/// `check`
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CheckArgs {
    /// Where the echo service is: HOST:PORT, udp://HOST:PORT or unix:/PATH; and which checks to run:
    /// a family, as close, or one check, as conn.burst [env: ECHO_TARGET for
    /// the target] [default: all of them, on 127.0.0.1:65432]
    #[arg(value_name = "TARGET|ID")]
    pub(super) words: Vec<String>,

    /// Where it is when no target is named.
    #[arg(long, hide = true, env = "ECHO_TARGET", default_value = "tcp://127.0.0.1:65432")]
    pub(super) default_target: Endpoint,

    /// Say what each check does, what it expects and why, and run none
    #[arg(long)]
    pub(super) list: bool,

    /// Run the slow ones, too: how long an idle connection lives
    #[arg(long)]
    pub(super) slow: bool,

    /// Begin no check after this time; what is not run then is a failure [default: 15s, on a far path 300
    /// round trips; none with --slow or when checks are named]
    #[arg(short = 'w', long, value_name = "DUR", value_parser = echo_cli::positive_duration)]
    pub(super) deadline: Option<Duration>,

    /// A warning fails, too
    #[arg(long)]
    pub(super) strict: bool,

    /// Write the results as JUnit XML, too, for what runs tests
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  echo-client check                              all checks, on 127.0.0.1:65432
  echo-client check 10.0.0.7:7 close conn.burst  one family and one check
  echo-client check udp://10.0.0.7:7             datagrams
  echo-client check --list stream                what the checks of a family do, and why

PASS and FAIL are about promises (levels must and should: the second only warns), INFO tells what
was measured. After each check the service is asked whether it is still well.

Exit codes: 0 no check failed; 1 one did, or with --strict warned; 2 usage or local error";
