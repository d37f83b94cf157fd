//! `bench` as typed, and what is made of it.

use std::{
    path::PathBuf,
    str::FromStr,
    thread::available_parallelism,
    time::{Duration, SystemTime},
};

use clap::{Args, ValueEnum};
use echo_cli::Endpoint;

use crate::{args::Globals, message};

use super::{Arrival, Instance, Mode, Settings, Slo, Statistic};

/// The most connections: what the load's pattern tells apart, less the probe's.
const MAX_CONNECTIONS: i64 = (1 << 24) - 1;

/// The most messages in flight on one connection, and how many there may be in an open loop if not
/// said otherwise.
const MAX_DEPTH: u32 = 65_536;
const OPEN_DEPTH: u32 = 1024;

/// The highest rate: one message per nanosecond.
const MAX_RATE: f64 = 1e9;

/// The longest a run lasts, warm-up included: within it, a float holds any time to the nanosecond.
const MAX_RUN: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// `bench`
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BenchArgs {
    /// Where the echo service is: HOST:PORT, unix:/PATH or udp://HOST:PORT
    #[arg(value_name = "TARGET", env = "ECHO_TARGET", default_value = "tcp://127.0.0.1:65432")]
    target: Endpoint,

    /// Connections
    #[arg(short, long, value_name = "N", default_value = "50",
          value_parser = clap::value_parser!(u32).range(1..=MAX_CONNECTIONS))]
    connections: u32,

    /// Bytes of a message, up to 64MiB; of a datagram, up to 65507
    #[arg(short, long, value_name = "SIZE", default_value = "64", value_parser = message::size)]
    size: usize,

    /// How long to measure
    #[arg(short, long, value_name = "DUR", default_value = "10s", value_parser = echo_cli::positive_duration)]
    duration: Duration,

    /// Messages in flight per connection [default: 1; with --rate, at most 1024]
    #[arg(short = 'p', long, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_DEPTH)))]
    depth: Option<u32>,

    /// Messages per second of all connections together, sent when they are due, whatever comes back
    #[arg(short, long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,

    /// How messages are spaced
    #[arg(long, value_name = "HOW", default_value = "even", requires = "rate")]
    arrival: Arrival,

    /// Load before measuring
    #[arg(long, value_name = "DUR", default_value = "1s", value_parser = echo_cli::duration)]
    warmup: Duration,

    /// Threads that carry the load [default: half of the cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,

    /// Fail unless a latency is within a limit, as in p99=5ms, mean=1ms, max=1s; may be repeated
    #[arg(long, value_name = "WHAT=DUR")]
    slo: Vec<Slo>,

    /// A datagram that is not back by then is lost
    #[arg(short = 'W', long, value_name = "DUR", default_value = "1s", value_parser = echo_cli::positive_duration)]
    wait: Duration,

    /// The share of datagrams that may be lost or late before the path has failed, as in 0.1%
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = share)]
    max_loss: f64,

    /// Whether to compare what returns with what was sent
    #[arg(long, value_name = "HOW", default_value = "full")]
    verify: Verify,

    /// Send one message at a time beside the load, and tell how long it takes
    #[arg(long)]
    probe: bool,

    /// Begin the load at this time, as in 2026-01-31T12:00:00Z; connections are opened before
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_rfc3339_weak)]
    start_at: Option<SystemTime>,

    /// Carry part I, from 0, of a load that N instances carry together
    #[arg(long, value_name = "I/N")]
    instance: Option<Instance>,

    /// Write every latency to an HdrHistogram log, for 'report' and others; stdout when it is -
    #[arg(long, value_name = "FILE")]
    pub(super) hlog: Option<PathBuf>,

    /// Write one page with plots, which needs no network; stdout when it is -
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  echo-client bench                                 how many messages 50 connections exchange
  echo-client bench -c 200 -r 20k --slo p99=5ms     response time at a fixed rate, judged
  echo-client bench -c 4 -s 1MiB -p 2 10.0.0.7:7    large messages
  echo-client bench -r 900 udp://10.0.0.7:7         loss, duplicates and order of datagrams

echo-server answers 1000 datagrams per second of one source; start it with --udp-rate 0 to bench it.
At the end, what is missing is waited for as long as --timeout says.

Exit codes: 0 good; 1 the path failed or missed an objective; 2 usage or local error; 3 the figures
are invalid, for the reasons told";

/// `--verify`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Verify {
    /// Every byte
    Full,
    /// Count bytes only
    Off,
}

impl BenchArgs {
    /// What is to be run.
    ///
    /// # Errors
    /// A sentence, when flags contradict each other.
    pub(super) fn settings(&self, globals: &Globals) -> anyhow::Result<Settings> {
        message::check_size(&self.target, self.size)?;
        if self.max_loss > 0.0 && !matches!(self.target, Endpoint::Udp { .. }) {
            anyhow::bail!("a stream may lose nothing; leave out --max-loss, or use udp://");
        }
        if self.start_at.is_some_and(|start| start < SystemTime::now()) {
            anyhow::bail!(
                "--start-at is over; use a time to come, in UTC, as in 2026-01-31T12:00:00Z"
            );
        }
        let mode = match self.rate {
            None => Mode::Closed,
            Some(rate) => Mode::Open { rate, arrival: self.arrival },
        };
        let depth = self.depth.unwrap_or(match mode {
            Mode::Closed => 1,
            Mode::Open { .. } => OPEN_DEPTH,
        });
        let cores = available_parallelism().map_or(1, |cores| cores.get() / 2);
        let cores = u32::try_from(cores).unwrap_or(u32::MAX).max(1);
        if self.duration + self.warmup > MAX_RUN {
            anyhow::bail!("--warmup and --duration are more than a week together; make it shorter");
        }
        if let Some(Instance { count, .. }) = self.instance.filter(|i| i.index >= self.connections)
        {
            anyhow::bail!(
                "{} connections are too few for {count} instances; use -c {count} or more",
                self.connections
            );
        }
        Ok(Settings {
            target: self.target.clone(),
            connections: self.connections,
            size: self.size,
            depth,
            mode,
            warmup: self.warmup,
            duration: self.duration,
            threads: self.threads.unwrap_or(cores).min(self.connections),
            wait: self.wait,
            max_loss: self.max_loss,
            verify: self.verify == Verify::Full,
            slo: self.slo.clone(),
            probe: self.probe,
            start_at: self.start_at,
            instance: self.instance,
            timeout: globals.timeout,
            connector: globals.connector,
        })
    }
}

/// Parses a share of the whole: `0.1%`.
fn share(text: &str) -> Result<f64, String> {
    let percent = text.strip_suffix('%').and_then(|digits| digits.parse::<f64>().ok());
    let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
    Ok(percent.ok_or("not a share; use percent, 0% to 100%, as in 0.1%")? / 100.0)
}

/// Parses `500`, `0.5`, `20k` or `1.5M`.
fn rate(text: &str) -> Result<f64, String> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1e3),
        Some((at, 'm' | 'M')) => (&text[..at], 1e6),
        _ => (text, 1.0),
    };
    let number =
        digits.parse::<f64>().ok().filter(|_| digits.starts_with(|c: char| c.is_ascii_digit()));
    let rate = number.ok_or("not a rate; use messages per second, as in 500, 20k or 1.5M")? * unit;
    if rate > MAX_RATE {
        return Err("more than one message per nanosecond".to_owned());
    }
    // One message in more than a week is none.
    if rate * MAX_RUN.as_secs_f64() < 1.0 { Err("too few".to_owned()) } else { Ok(rate) }
}

impl FromStr for Slo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let how = "use a percentile, mean or max, and a limit, as in p99=5ms or max=1s";
        let (what, limit) = text.split_once('=').ok_or(how)?;
        let what = match what {
            "mean" => Statistic::Mean,
            "max" => Statistic::Max,
            _ => {
                let percent = what.strip_prefix('p').and_then(|digits| digits.parse().ok());
                let percent = percent.filter(|percent| *percent > 0.0 && *percent < 100.0);
                Statistic::Percentile(percent.ok_or(how)?)
            }
        };
        Ok(Self { what, limit: echo_cli::positive_duration(limit)? })
    }
}

impl FromStr for Instance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let how = "use I/N with I counted from 0, as in 0/4 to 3/4";
        let (index, count) = text.split_once('/').ok_or(how)?;
        let (Ok(index), Ok(count)) = (index.parse(), count.parse()) else {
            return Err(how.to_owned());
        };
        if index < count { Ok(Self { index, count }) } else { Err(how.to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_take_units_and_say_how() {
        assert_eq!(rate("500"), Ok(500.0));
        assert_eq!(rate("0.5"), Ok(0.5));
        assert_eq!(rate("20k"), Ok(20_000.0));
        assert_eq!(rate("1.5M"), Ok(1_500_000.0));
        for bad in ["", "k", "-1", "0", "nan", "inf", "1e-12", "2000M", "1 k"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shares_are_percent() {
        assert_eq!(share("0%"), Ok(0.0));
        assert_eq!(share("0.5%"), Ok(0.005));
        assert_eq!(share("100%"), Ok(1.0));
        for bad in ["", "1", "%", "-1%", "101%", "nan%", "0.5 %"] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn objectives_and_instances_go_there_and_back_or_say_how() {
        let slo: Slo = "p99.9=5ms".parse().unwrap();
        assert_eq!((slo.what.to_string(), slo.limit), ("p99.9".into(), Duration::from_millis(5)));
        assert_eq!("max=1s".parse::<Slo>().unwrap().what, Statistic::Max);
        for bad in ["p99", "p100=1s", "p0=1s", "median=1s", "p99=5", "pnan=1s"] {
            assert!(bad.parse::<Slo>().is_err(), "{bad}");
        }
        assert_eq!("3/4".parse::<Instance>().unwrap().to_string(), "3/4");
        for bad in ["4/4", "1", "0/0", "-1/2"] {
            assert!(bad.parse::<Instance>().unwrap_err().contains("0/4"), "{bad}");
        }
    }
}
