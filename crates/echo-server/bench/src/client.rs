//! `client`: our load generator beside the minimal loop, what verifying costs it, how well it keeps a
//! rate, and ping beside a bare round trip. All of them on bare epoll, the server that asks for least.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};

use crate::{
    args::{ClientArgs, Effort},
    cell::Cell,
    contender::{Contender, Field},
    loader::{self, Loader, Sample, Times},
    machine::Machine,
    report::{DISTURBED, Lines, shown, shown_or_dash, spread},
    server::{self, Server},
    spread::Spread,
    turns::{Rounds, Series, in_turns},
};

/// In a closed loop: the two that the client is held to, large messages, and bulk.
const CELLS: [Cell; 4] =
    [Cell::new(50, 64, 1), Cell::new(50, 64, 16), Cell::new(50, 4096, 1), Cell::new(4, 65536, 4)];

/// Of [`CELLS`], those with a target against the minimal loop.
const HELD: usize = 2;

/// At least so many times as fast as the minimal loop.
const AT_LEAST: f64 = 1.0;

/// The most that verifying may take of the messages per second.
const VERIFYING: f64 = 0.03;

/// In an open loop at half the capacity: the share of the rate that is reached, and how late the
/// latest hundredth is sent.
const REACHED: f64 = 0.99;
const LAG_US: f64 = 100.0;

/// ping's median may be longer than the bare one by a share, or by so much.
const PING_SHARE: f64 = 1.03;
const PING_NS: f64 = 500.0;

/// Round trips in a turn, and the longest that they may take.
const PINGS: usize = 10_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// True when nobody failed; what is missed is only said, for it may be the machine's doing.
pub(crate) fn run(args: &ClientArgs) -> anyhow::Result<bool> {
    server::prepare()?;
    let server = Field::bare_epoll()?;
    let mut report = Report { lines: Lines::create(&args.output.json)?, all_well: true };
    let machine = Machine::here();
    report
        .lines
        .write(&json!({"schema": 2, "kind": "bench-client", "machine": machine.to_json()}))?;
    println!("{}\nserver: {}, on a core of its own", machine.told(), server.name);
    let (times, rounds) = (args.effort.times(1.0), args.effort.rounds_of(7));
    let mut capacity = f64::NAN;
    for (at, &cell) in CELLS.iter().enumerate() {
        let all = closed(&server, &args.client, cell, times, rounds);
        if at == 0 {
            capacity = all[1].median(rate);
        }
        report.closed(cell, &all, at < HELD)?;
    }
    if capacity.is_finite() {
        report.open(capacity, &open(&server, &args.client, capacity, &args.effort))?;
    }
    report.ping(&ping(&server, &args.client, args.effort.quick, rounds))?;
    println!(
        "\nload: of its core, ~ others kept it from there for over {:.0} % of the time; what is missed \
         then is no\nfault of the client",
        DISTURBED * 100.0
    );
    Ok(report.all_well)
}

const LOADS: [&str; 3] = ["minimal loop", "echo-client bench", "echo-client, --verify off"];

fn closed(
    server: &Contender,
    client: &Path,
    cell: Cell,
    times: Times,
    rounds: Rounds,
) -> Vec<Series<Sample>> {
    let unverified = Loader::client(client, &["--verify", "off"]);
    let loads = [Loader::Minimal, Loader::client(client, &[]), unverified];
    in_turns(loads.len(), rounds, |i| loader::measure(server, &loads[i], cell, times))
}

fn open(server: &Contender, client: &Path, capacity: f64, effort: &Effort) -> Series<Sample> {
    // A percentile wants many samples.
    let times = effort.times(3.0);
    let load = Loader::client(client, &["--rate", &format!("{:.0}", capacity / 2.0)]);
    let mut all =
        in_turns(1, effort.rounds_of(3), |_| loader::measure(server, &load, CELLS[0], times));
    all.remove(0)
}

/// Medians in ns: the bare loop's, and ping's.
fn ping(server: &Contender, client: &Path, quick: bool, rounds: Rounds) -> Vec<Series<f64>> {
    let count = if quick { PINGS / 5 } else { PINGS }.to_string();
    in_turns(2, rounds, |i| {
        let server = Server::start(server)?;
        let address = server.address.to_string();
        let command = match i {
            0 => vec![
                server::this_program()?,
                "ping-pong".into(),
                address,
                "--count".into(),
                count.clone(),
            ],
            _ => {
                let words =
                    ["ping", "--json", "-q", "-i", "0s", "-s", "64", "-c", &count, &address];
                let program = client.to_string_lossy().into_owned();
                [program].into_iter().chain(words.map(String::from)).collect()
            }
        };
        let said = loader::ask(&command, PATIENCE)?;
        let ns = if i == 0 {
            said.as_f64()
        } else {
            said.pointer("/rtt_ns/p50").and_then(Value::as_f64)
        };
        ns.ok_or_else(|| anyhow::anyhow!("no median in {said}"))
    })
}

/// What is printed, and written as JSON.
struct Report {
    lines: Lines,
    all_well: bool,
}

impl Report {
    fn closed(&mut self, cell: Cell, all: &[Series<Sample>], is_held: bool) -> anyhow::Result<()> {
        println!("\n{}, closed loop", cell.told());
        println!(
            "  {:<28} {:>8} {:>18} {:>16} {:>12} {:>6}",
            "", "k msg/s", "to the minimal", "load's CPU us", "server's", "load"
        );
        for (name, series) in LOADS.iter().zip(all) {
            let Some(rates) = series.spread(rate) else {
                self.failed(name, series.failure.as_deref());
                continue;
            };
            let to = series.ratio(&all[0], rate);
            println!(
                "  {name:<28} {:>8.1} {:>18} {:>16.2} {:>12.2} {:>5.0}%{}",
                rates.median / 1e3,
                shown(to),
                series.median(Sample::load_us),
                series.median(|s| s.cpu_us),
                series.median(|s| s.load_cpu) * 100.0,
                if series.median(|s| s.load_waited) > DISTURBED { "~" } else { "" },
            );
            self.lines.write(&json!({
                "schema": 2, "kind": "closed", "cell": cell.to_string(), "name": name,
                "messages_per_s": spread(Some(rates)),
                "messages_per_s_to_minimal": spread(to),
                "load_cpu_us_per_message": spread(series.spread(Sample::load_us)),
                "server_cpu_us_per_message": spread(series.spread(|s| s.cpu_us)),
                "failure": series.failure,
            }))?;
        }
        if is_held {
            let ratio = all[1].ratio(&all[0], rate);
            judge("messages/s to the minimal loop, at least 1.00", ratio, |r| r >= AT_LEAST);
        }
        let verifying = all[1].ratio(&all[2], rate);
        judge("messages/s to --verify off, at least 0.97", verifying, |r| r >= 1.0 - VERIFYING);
        Ok(())
    }

    fn open(&mut self, capacity: f64, series: &Series<Sample>) -> anyhow::Result<()> {
        let asked = capacity / 2.0;
        println!("\n{}, open loop at half of {:.1} k msg/s", CELLS[0].told(), capacity / 1e3);
        if let Some(why) = &series.failure {
            self.failed("echo-client bench --rate", Some(why));
        }
        let said = |pointer: &'static str| {
            move |s: &Sample| {
                s.said.pointer(pointer).and_then(Value::as_f64).unwrap_or(f64::NAN) / 1e3
            }
        };
        let reached = series.spread(|s| s.messages_per_s / asked);
        let lag = series.spread(said("/send_lag_ns/p99"));
        let response =
            (series.median(said("/response_ns/p50")), series.median(said("/response_ns/p99")));
        let told = [response.0, response.1].map(shown_or_dash);
        println!("  response time p50 {} us, p99 {} us", told[0], told[1]);
        for why in series.rounds.iter().flatten().filter_map(|s| s.invalid.as_deref()) {
            println!("  INVALID: {why}");
        }
        judge("share of the rate that is reached, at least 0.99", reached, |r| r >= REACHED);
        judge("send lag p99 in us, under 100", lag, |us| us < LAG_US);
        self.lines.write(&json!({
            "schema": 2, "kind": "open", "cell": CELLS[0].to_string(), "rate": asked,
            "reached": spread(reached), "send_lag_p99_us": spread(lag),
            "response_p50_us": response.0, "response_p99_us": response.1, "failure": series.failure,
        }))
    }

    fn ping(&mut self, all: &[Series<f64>]) -> anyhow::Result<()> {
        println!("\none message of 64 B there and back, median");
        for (name, series) in ["bare loop", "echo-client ping"].iter().zip(all) {
            match series.spread(|ns| ns / 1e3) {
                None => self.failed(name, series.failure.as_deref()),
                Some(Spread { min, median, max }) => {
                    println!("  {name:<28} {median:>8.2} us ({min:.2}-{max:.2})");
                }
            }
        }
        let (bare, ours) = (all[0].median(|ns| *ns), all[1].median(|ns| *ns));
        let ratio = all[1].ratio(&all[0], |ns| *ns);
        let told = "to the bare loop, at most 1.03 or 0.5 us more";
        judge(told, ratio, |ratio| ratio <= PING_SHARE || ours - bare <= PING_NS);
        self.lines.write(&json!({
            "schema": 2, "kind": "ping", "bare_ns": spread(all[0].spread(|ns| *ns)),
            "ping_ns": spread(all[1].spread(|ns| *ns)), "ping_to_bare": spread(ratio),
        }))
    }

    fn failed(&mut self, name: &str, why: Option<&str>) {
        self.all_well = false;
        println!("  {name:<28} FAILED: {}", why.unwrap_or("not measured"));
    }
}

/// Says whether a target is met.
fn judge(what: &str, value: Option<Spread>, is_met: impl Fn(f64) -> bool) {
    if let Some(spread) = value {
        let mark = if is_met(spread.median) { "met " } else { "MISS" };
        println!("  {mark} {what}: {}", shown(value));
    }
}

fn rate(sample: &Sample) -> f64 {
    sample.messages_per_s
}
