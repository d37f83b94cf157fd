//! What carries the load: `echo-client bench`, or the minimal loop that it is held against.
//!
//! ```text
//! time ────────▶ connect | warm-up | measuring, as the load tells | drain
//! looks            ·   ·   ·   ·   ·   ·   ·   ·   ·   ·   ·   ·   ·
//! server's CPU                     └─── read between two looks ───┘
//! ```
//!
//! Both are programs of their own on the load's core, and end with one JSON object that says when
//! they measured. What the server took in that time lies between two looks at its clock.

use std::{
    fs,
    io::Read,
    path::PathBuf,
    process::{Child, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::{
    cell::Cell,
    contender::Contender,
    server::{self, LOAD_CORE, Server},
};

/// Between two looks, unless looking itself takes more than a hundredth of that; but there are at
/// least so many while it is measured.
const LOOK: Duration = Duration::from_millis(5);
const LOOK_SHARE: u32 = 100;
const MIN_LOOKS: u32 = 20;

/// How long missing messages are waited for.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest that a load may take beside warming up and measuring: connecting, and waiting for
/// what is missing.
const PATIENCE: Duration = Duration::from_secs(60);

/// The most that is read of what a load says.
const MAX_WORDS: u64 = 1 << 20;

/// How long the load runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) warm_up: Duration,
    pub(crate) measure: Duration,
}

/// A program that carries a load.
#[derive(Debug, Clone)]
pub(crate) enum Loader {
    /// Our client, with flags of its own.
    Client { program: PathBuf, flags: Vec<String> },
    /// The loop in this program.
    Minimal,
}

/// What the load has measured, and the server's part in it.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) messages_per_s: f64,
    /// Of the server, all its threads and children, per message.
    pub(crate) cpu_us: f64,
    /// Service times; not a number where there are too few to tell, or nobody took them.
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// The share of its core that the load took: near 1, it may be the load that is measured.
    pub(crate) load_cpu: f64,
    /// The share of the time that others kept the load from its core: disturbed, if it is much.
    pub(crate) load_waited: f64,
    /// What the server had in memory after it, of its own: heap, stacks, and no pages of files.
    pub(crate) own_bytes: f64,
    /// Why the load says that its figures are invalid.
    pub(crate) invalid: Option<String>,
    /// Everything that the load said.
    pub(crate) said: Value,
}

impl Loader {
    pub(crate) fn client(program: &std::path::Path, flags: &[&str]) -> Self {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Self::Client { program: program.to_owned(), flags }
    }

    fn command(&self, server: &Server, cell: Cell, times: Times) -> anyhow::Result<Vec<String>> {
        let time = |time: Duration| format!("{}us", time.as_micros());
        let Times { warm_up, measure } = times;
        Ok(match self {
            Self::Client { program, flags } => {
                let (connections, bytes) = (cell.connections.to_string(), cell.bytes.to_string());
                let mut words = vec![program.to_string_lossy().into_owned()];
                words.extend(["bench", "--json", "--threads", "1"].map(String::from));
                words.extend(["-c".into(), connections, "-s".into(), bytes]);
                // In an open loop, the depth is the client's own.
                if !flags.iter().any(|flag| flag == "--rate") {
                    words.extend(["-p".into(), cell.depth.to_string()]);
                }
                words.extend(["--warmup".into(), time(warm_up), "-d".into(), time(measure)]);
                words.extend(["--timeout".into(), time(TIMEOUT)]);
                words.extend(flags.iter().cloned());
                words.push(format!("tcp://{}", server.address));
                words
            }
            Self::Minimal => {
                let mut words = vec![server::this_program()?, "load".into()];
                words.extend(["--warm-up", &warm_up.as_secs_f64().to_string()].map(String::from));
                words.extend(["--seconds", &measure.as_secs_f64().to_string()].map(String::from));
                words.extend([server.address.to_string(), cell.to_string()]);
                words
            }
        })
    }

    /// Loads a server, and looks at it meanwhile.
    pub(crate) fn load(&self, server: &Server, cell: Cell, times: Times) -> anyhow::Result<Sample> {
        let command = self.command(server, cell, times)?;
        let mut load = Running::start(&command)?;
        let mut looks = Vec::new();
        let deadline = Instant::now() + times.warm_up + times.measure + PATIENCE;
        let status = loop {
            let begin = Instant::now();
            if let Some(status) = load.0.try_wait()? {
                break status;
            }
            looks.push(Look::at(server, &load)?);
            ensure!(begin < deadline, "the load does not end");
            let rarely = (begin.elapsed() * LOOK_SHARE).min(times.measure / MIN_LOOKS);
            thread::sleep(LOOK.max(rarely));
        };
        Sample::of(cell, load.said(status)?, &looks)
    }
}

/// Starts a server, loads it, and ends it.
pub(crate) fn measure(
    contender: &Contender,
    loader: &Loader,
    cell: Cell,
    times: Times,
) -> anyhow::Result<Sample> {
    let server = Server::start(contender)?;
    match loader.load(&server, cell, times) {
        Ok(sample) => Ok(Sample { own_bytes: server.memory()?.anonymous as f64, ..sample }),
        Err(error) => Err(server.end(error)),
    }
}

/// Runs a program on the load's core until it ends, for at most so long, and reads its last line.
pub(crate) fn ask(command: &[String], at_most: Duration) -> anyhow::Result<Value> {
    let mut load = Running::start(command)?;
    let deadline = Instant::now() + at_most;
    loop {
        if let Some(status) = load.0.try_wait()? {
            return load.said(status);
        }
        ensure!(Instant::now() < deadline, "the load does not end");
        thread::sleep(LOOK);
    }
}

/// A load that runs; killed when dropped.
struct Running(Child);

impl Running {
    fn start(command: &[String]) -> anyhow::Result<Self> {
        let mut pinned = server::pinned(LOAD_CORE, command)?;
        // What it says fits into a pipe, so that it can be read when all is over.
        let pinned = pinned.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(Self(pinned.spawn()?))
    }

    /// The object on its last line.
    ///
    /// # Errors
    /// When there is none: what it said instead.
    fn said(&mut self, status: ExitStatus) -> anyhow::Result<Value> {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        if let (Some(out), Some(err)) = (self.0.stdout.take(), self.0.stderr.take()) {
            out.take(MAX_WORDS).read_to_string(&mut stdout)?;
            err.take(MAX_WORDS).read_to_string(&mut stderr)?;
        }
        match stdout.lines().last().and_then(|line| serde_json::from_str(line).ok()) {
            Some(said) => Ok(said),
            None => bail!("{}", stderr.lines().next().unwrap_or(&format!("the load: {status}"))),
        }
    }

    /// How long its threads were ready to run and their core was taken; nothing where the kernel
    /// does not tell.
    fn waited(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0.id()));
        let nanos = tasks.into_iter().flatten().flatten().filter_map(|task| {
            let schedstat = fs::read_to_string(task.path().join("schedstat")).ok()?;
            schedstat.split_whitespace().nth(1)?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanos.sum())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What was to be seen at one time.
struct Look {
    /// Nanoseconds since 1970.
    at: f64,
    /// Seconds.
    server: f64,
    waited: f64,
}

impl Look {
    fn at(server: &Server, load: &Running) -> anyhow::Result<Self> {
        let server = server.cpu()?.as_secs_f64();
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos() as f64;
        Ok(Self { at, server, waited: load.waited().as_secs_f64() })
    }
}

/// A figure that grows, at a time between two looks, or at the nearest of them.
fn between(looks: &[Look], at: f64, figure: impl Fn(&Look) -> f64) -> f64 {
    let after = looks.partition_point(|look| look.at < at);
    match (after.checked_sub(1).and_then(|before| looks.get(before)), looks.get(after)) {
        (Some(before), Some(after)) => {
            let share = (at - before.at) / (after.at - before.at);
            figure(before) + share * (figure(after) - figure(before))
        }
        (Some(only), None) | (None, Some(only)) => figure(only),
        (None, None) => f64::NAN,
    }
}

impl Sample {
    /// The load's figures and the server's, in the time that the load tells.
    ///
    /// # Errors
    /// When the server did not do what was asked of it: bytes that are wrong or missing,
    /// connections that broke.
    fn of(cell: Cell, said: Value, looks: &[Look]) -> anyhow::Result<Self> {
        if let Some(fault) = fault(&said) {
            bail!("{fault}");
        }
        let number = |pointer: &str| said.pointer(pointer).and_then(Value::as_f64);
        let needed = |name: &str| number(name).with_context(|| format!("the load tells no {name}"));
        let (start, elapsed) = (needed("/started_unix_ns")?, needed("/elapsed_ns")?);
        // Not only whole ones: of the largest there are few.
        let messages = needed("/throughput/bytes")? / cell.bytes as f64;
        ensure!(messages > 0.0, "nothing came back while it was measured; try more --seconds");
        let grown = |figure: fn(&Look) -> f64| {
            between(looks, start + elapsed, figure) - between(looks, start, figure)
        };
        let us = |pointer| number(pointer).map_or(f64::NAN, |ns| ns / 1e3);
        Ok(Self {
            messages_per_s: messages / (elapsed / 1e9),
            cpu_us: grown(|look| look.server) * 1e6 / messages,
            p50_us: us("/service_ns/p50"),
            p99_us: us("/service_ns/p99"),
            load_cpu: needed("/cpu/0")?,
            load_waited: grown(|look| look.waited) / (elapsed / 1e9),
            own_bytes: f64::NAN,
            invalid: (said["valid"] != true).then(|| sentences(&said["reasons"])),
            said,
        })
    }

    /// The load's own CPU time per message.
    pub(crate) fn load_us(&self) -> f64 {
        self.load_cpu * 1e6 / self.messages_per_s
    }
}

/// What the path did wrong, in words; figures that are only invalid are none of that.
fn fault(said: &Value) -> Option<String> {
    let count = |name: &str| said[name].as_u64().unwrap_or(0);
    if let Some(first) = said.pointer("/damage/first/0").and_then(Value::as_str) {
        return Some(format!("bytes were damaged: {first}"));
    }
    if let Some(reason) = said.pointer("/failed/0/reason").and_then(Value::as_str) {
        return Some(format!("connections failed: {reason}"));
    }
    let missing = ["corrupt", "unanswered"].into_iter().find(|name| count(name) > 0);
    missing.map(|name| format!("{} messages {name}", count(name)))
}

fn sentences(reasons: &Value) -> String {
    let all = reasons.as_array().into_iter().flatten().filter_map(Value::as_str);
    all.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CELL: Cell = Cell { connections: 1, bytes: 10, depth: 1 };

    /// One look per millisecond; the server takes half of the time until 50 ms, then all of it.
    fn looks() -> Vec<Look> {
        let server = |ms: f64| (ms / 2.0).max(ms - 25.0) / 1e3;
        let at = |ms: i32| Look { at: f64::from(ms) * 1e6, server: server(ms.into()), waited: 0.0 };
        (0..100).map(at).collect()
    }

    fn said() -> Value {
        json!({
            "valid": true, "reasons": [], "started_unix_ns": 40_500_000, "elapsed_ns": 20_000_000,
            "throughput": {"bytes": 1000}, "cpu": [0.5], "service_ns": {"p50": 2000, "p99": null},
        })
    }

    #[test]
    fn the_servers_time_is_that_between_the_loads_beginning_and_its_end() {
        let sample = Sample::of(CELL, said(), &looks()).expect("a sample");
        // 9.5 ms at a half and 10.5 ms in full, over 100 messages.
        assert!((sample.cpu_us - 152.5).abs() < 1e-6, "{}", sample.cpu_us);
        assert!((sample.messages_per_s - 5000.0).abs() < 1e-6);
        assert!((sample.load_us() - 100.0).abs() < 1e-6);
        assert!((sample.p50_us - 2.0).abs() < 1e-6 && sample.p99_us.is_nan());
    }

    #[test]
    fn what_is_invalid_says_why_and_what_is_broken_is_no_sample() {
        let with = |name: &str, value: Value| {
            let mut said = said();
            said[name] = value;
            said
        };
        let mut invalid = with("valid", json!(false));
        invalid["reasons"] = json!(["busy", "late"]);
        let sample = Sample::of(CELL, invalid, &looks()).expect("invalid figures are figures");
        assert_eq!(sample.invalid.as_deref(), Some("busy; late"));
        for (broken, found) in [
            (with("unanswered", json!(3)), "3 messages unanswered"),
            (with("damage", json!({"first": ["lost 1 byte"]})), "lost 1 byte"),
            (with("failed", json!([{"reason": "reset", "count": 1}])), "reset"),
            (with("throughput", json!({"bytes": 0})), "nothing came back"),
        ] {
            let error = Sample::of(CELL, broken, &looks()).expect_err(found).to_string();
            assert!(error.contains(found), "{error}");
        }
    }
}
