//! `ping` as typed.

use std::time::Duration;

use clap::Args;
use echo_cli::Endpoint;

use crate::message;

/// `ping`
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PingArgs {
    /// Where the echo service is: HOST:PORT, udp://HOST:PORT or unix:/PATH
    #[arg(value_name = "TARGET", env = "ECHO_TARGET", default_value = "tcp://127.0.0.1:65432")]
    pub(super) target: Endpoint,

    /// Stop after so many probes
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,

    /// From one probe to the next; 0s sends the next one as soon as the last one is back
    #[arg(short, long, value_name = "DUR", default_value = "1s", value_parser = echo_cli::duration)]
    pub(super) interval: Duration,

    /// Bytes of a probe, up to 64MiB, over UDP up to 65507
    #[arg(short, long, value_name = "SIZE", default_value = "64", value_parser = message::size)]
    pub(super) size: usize,

    /// A probe that is not back by then is lost [default: --timeout]
    #[arg(short = 'W', long, value_name = "DUR", value_parser = echo_cli::positive_duration)]
    pub(super) wait: Option<Duration>,

    /// Stop after this time; with -c, what is still missing is lost
    #[arg(short = 'w', long, value_name = "DUR", value_parser = echo_cli::positive_duration)]
    pub(super) deadline: Option<Duration>,

    /// Send each probe on a connection of its own, and tell how long connecting takes
    #[arg(long)]
    pub(super) reconnect: bool,
}

const EXAMPLES: &str = "\
Examples:
  echo-client ping                          once a second, until Ctrl-C
  echo-client ping -q -c 100000 -i 0s       one after the other: what a round trip costs
  echo-client ping -s 1MiB -c 5 10.0.0.7:7  large probes
  echo-client ping -c 10 udp://10.0.0.7:7   datagrams: lost, duplicated, late

A line per probe, then a summary; -q leaves out the lines, --json turns the summary into an object.
kernel_rtt is what TCP itself has measured for the connection, smoothed.

Exit codes: 0 every byte of every probe came back in time; 1 the path failed; 2 usage or local error";
