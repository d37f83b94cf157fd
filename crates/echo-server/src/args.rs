//! The command line as typed. [`Config`](crate::Config) is what is made of it.

use std::time::Duration;

use clap::Parser;
use echo_cli::{Endpoint, FramingArgs, LogFormat, Verbosity};

use crate::{EngineChoice, fault::FaultArg};

/// Send back whatever comes in, byte for byte (RFC 862).
///
/// Prints one line per endpoint on stdout once it is bound; logs go to stderr. Ends on SIGTERM or
/// SIGINT when every connection is finished, a second signal ends it at once.
#[derive(Debug, Clone, Parser)]
#[command(name = "echo-server", version, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Listen here: tcp://HOST:PORT, HOST:PORT, unix:/PATH or udp://HOST:PORT; port 0 takes a free
    /// port; may be given several times
    #[arg(short, long, value_name = "ENDPOINT", default_value = "tcp://127.0.0.1:65432")]
    pub(crate) listen: Vec<Endpoint>,

    /// What moves the bytes
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    pub(crate) engine: EngineChoice,

    /// Workers of the epoll and uring engines, with listeners of their own [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MAX_WORKERS))]
    pub(crate) workers: Option<u16>,

    #[command(flatten)]
    pub(crate) framing: FramingArgs,

    /// Connections served at once; more wait until one ends
    #[arg(long, value_name = "N", default_value = "1024", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_connections: u32,

    /// Connections served at once for one IPv4 address or IPv6 /64; more are closed at once. Peers on
    /// Unix sockets are not counted
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_per_peer: Option<u32>,

    /// Datagrams a second answered of one IPv4 address or IPv6 /64; 0 is no limit [default: 1000]
    #[arg(long, value_name = "N")]
    pub(crate) udp_rate: Option<u32>,

    /// Datagrams a second answered of all together; 0 is no limit [default: 100000]
    #[arg(long, value_name = "N")]
    pub(crate) udp_rate_total: Option<u32>,

    /// End a connection on which nothing moves for so long; 0s never does
    #[arg(long, value_name = "DUR", default_value = "5m", value_parser = echo_cli::duration)]
    pub(crate) idle_timeout: Duration,

    /// Cut a connection whose peer reads nothing for so long while we have bytes for it; 0s never does
    #[arg(long, value_name = "DUR", default_value = "5m", value_parser = echo_cli::duration)]
    pub(crate) stall_timeout: Duration,

    /// Poll so long for more work before sleeping: less delay, for CPU time; 0s sleeps at once
    #[arg(long, value_name = "DUR", default_value = "0s", value_parser = echo_cli::duration)]
    pub(crate) spin: Duration,

    /// How long connections may take to finish when we end
    #[arg(long, value_name = "DUR", default_value = "5s", value_parser = echo_cli::duration)]
    pub(crate) drain_timeout: Duration,

    /// Serve one connection, then end
    #[arg(long)]
    pub(crate) once: bool,

    /// Misbehave on purpose, as in lose-tail or delay=50ms, to test who talks to us; "list" explains
    /// all faults; may be given several times
    #[arg(long, value_name = "SPEC")]
    pub(crate) fault: Vec<FaultArg>,

    /// How log lines look
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,

    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
}

/// More than any machine has cores for: each takes a thread, a poll set or ring, and listeners.
const MAX_WORKERS: i64 = 1024;

const EXAMPLES: &str = "\
Examples:
  echo-server                           on 127.0.0.1:65432, until Ctrl-C
  echo-server -v --once                 show one connection, as the guide's server does
  echo-server -l [::]:7                 the port of RFC 862, on every address, IPv4 too
  echo-server -l unix:/run/echo.sock    a Unix socket, removed at the end
  echo-server -l 0.0.0.0:7 -l udp://0.0.0.0:7
                                        datagrams, too: each whole, to who sent it
  echo-server --framing line            whole lines only
  echo-server --fault reset-after=1MiB  a bad one: RST after a mebibyte

Exit codes: 0 done; 1 connections were cut or the server failed; 2 usage or bind error";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::udp;

    #[test]
    fn the_help_names_the_defaults_that_it_cannot_take_from_the_code() {
        let help = Args::command().render_long_help().to_string();
        for rate in [udp::RATE, udp::RATE_TOTAL] {
            assert!(help.contains(&format!("0 is no limit [default: {rate}]")), "{help}");
        }
    }
}
