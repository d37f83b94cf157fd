//! What all probes together have come to, in words and as JSON.

use std::{fmt, time::Duration};

use echo_cli::Endpoint;
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{
    bench::{histogram, nanos, percentile},
    pattern::NOT_AN_ECHO,
};

/// The sums of a run. Every probe sent is received, lost, late or still on its way.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) sent: u64,
    /// Back in time.
    pub(super) received: u64,
    /// Not back, or not all of it.
    pub(super) lost: u64,
    /// Back, but too late.
    pub(super) late: u64,
    /// Back once more.
    pub(super) duplicated: u64,
    /// Probes that came back with any damage.
    pub(super) corrupt: u64,
    /// The first damage, in words.
    pub(super) first_damage: Option<String>,
    pub(super) rtt: Durations,
    /// How long connecting took, where each probe has its own connection.
    pub(super) connect: Durations,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            sent: 0,
            received: 0,
            lost: 0,
            late: 0,
            duplicated: 0,
            corrupt: 0,
            first_damage: None,
            rtt: Durations::new(),
            connect: Durations::new(),
        }
    }

    /// Every byte of every probe came back, in time and once.
    pub(super) fn is_good(&self) -> bool {
        self.is_unharmed() && self.received > 0
    }

    /// Nothing is known to be wrong.
    pub(super) fn is_unharmed(&self) -> bool {
        self.lost + self.late + self.duplicated + self.corrupt == 0
    }

    fn on_its_way(&self) -> u64 {
        self.sent - self.received - self.lost - self.late
    }

    /// The summary as `--json` prints it.
    pub(super) fn to_json(&self, target: &Endpoint, elapsed: Duration) -> String {
        crate::json_line(&Json {
            schema: 1,
            kind: "ping",
            target: target.to_string(),
            good: self.is_good(),
            sent: self.sent,
            received: self.received,
            lost: self.lost,
            late: self.late,
            in_flight: self.on_its_way(),
            duplicated: self.duplicated,
            corrupt: self.corrupt,
            first_damage: self.first_damage.as_deref(),
            elapsed_ns: nanos(elapsed),
            rtt_ns: self.rtt.to_json(),
            connect_ns: self.connect.to_json(),
        })
    }

    /// The summary as `ping` prints it.
    pub(super) fn in_words(&self, target: &Endpoint, elapsed: Duration) -> String {
        let Self { sent, received, lost, late, .. } = self;
        let percent = *lost as f64 * 100.0 / (*sent).max(1) as f64;
        let mut text = format!(
            "--- {target} ping statistics ---\n{sent} probes transmitted, {received} received"
        );
        for (count, what) in [
            (self.on_its_way(), "on the way"),
            (*late, "late"),
            (self.duplicated, "duplicated"),
            (self.corrupt, "corrupt"),
        ] {
            if count > 0 {
                text += &format!(", {count} {what}");
            }
        }
        text += &format!(", {}% loss, time {}ms\n", rounded(percent), elapsed.as_millis());
        if let Some(damage) = &self.first_damage {
            text += &format!("first damage: {damage}\n");
        }
        // One alone may be bad luck.
        if self.corrupt > 1 && self.corrupt >= self.received {
            text += &format!("{NOT_AN_ECHO}\n");
        }
        for (what, durations) in [("rtt", &self.rtt), ("connect", &self.connect)] {
            if durations.count > 0 {
                text += &format!("{what} {durations}\n");
            }
        }
        text
    }
}

/// The object, and the order of its fields.
#[derive(Serialize)]
struct Json<'a> {
    schema: u32,
    kind: &'a str,
    target: String,
    good: bool,
    sent: u64,
    received: u64,
    lost: u64,
    late: u64,
    in_flight: u64,
    duplicated: u64,
    corrupt: u64,
    first_damage: Option<&'a str>,
    elapsed_ns: u64,
    rtt_ns: Option<JsonDurations>,
    connect_ns: Option<JsonDurations>,
}

/// A percentile with too few samples beyond it is null.
#[derive(Serialize)]
struct JsonDurations {
    min: u64,
    mean: u64,
    max: u64,
    mdev: u64,
    p50: Option<u64>,
    p90: Option<u64>,
    p99: Option<u64>,
}

/// Without digits that say nothing: `0`, `33.3`.
fn rounded(percent: f64) -> String {
    format!("{percent:.1}").trim_end_matches(".0").to_owned()
}

/// Durations: exact sums, and a histogram for the percentiles.
#[derive(Debug)]
pub(super) struct Durations {
    count: u64,
    min: Duration,
    max: Duration,
    /// Of nanoseconds.
    sum: f64,
    sum_of_squares: f64,
    histogram: Histogram<u64>,
}

impl Durations {
    fn new() -> Self {
        Self {
            count: 0,
            min: Duration::MAX,
            max: Duration::ZERO,
            sum: 0.0,
            sum_of_squares: 0.0,
            histogram: histogram(),
        }
    }

    pub(super) fn record(&mut self, duration: Duration) {
        let ns = nanos(duration);
        self.count += 1;
        self.min = self.min.min(duration);
        self.max = self.max.max(duration);
        self.sum += ns as f64;
        self.sum_of_squares += ns as f64 * ns as f64;
        self.histogram.saturating_record(ns);
    }

    fn mean(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }

    /// The standard deviation, which `ping` calls mdev.
    fn mdev(&self) -> f64 {
        let mean = self.mean();
        (self.sum_of_squares / self.count.max(1) as f64 - mean * mean).max(0.0).sqrt()
    }

    fn percentile(&self, percent: f64) -> Option<u64> {
        percentile(&self.histogram, percent)
    }

    fn to_json(&self) -> Option<JsonDurations> {
        (self.count > 0).then(|| JsonDurations {
            min: nanos(self.min),
            mean: whole(self.mean()),
            max: nanos(self.max),
            mdev: whole(self.mdev()),
            p50: self.percentile(50.0),
            p90: self.percentile(90.0),
            p99: self.percentile(99.0),
        })
    }
}

/// `min/avg/max/mdev = 0.033/0.041/0.055/0.008 ms, p50/p99 = 0.040/- ms`
impl fmt::Display for Durations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [min, max] = [self.min, self.max].map(Millis);
        let [mean, mdev] = [self.mean(), self.mdev()].map(|ns| ns / 1e6);
        write!(f, "min/avg/max/mdev = {min}/{mean:.3}/{max}/{mdev:.3} ms, p50/p99 = ")?;
        for (percent, after) in [(50.0, "/"), (99.0, " ms")] {
            match self.percentile(percent) {
                Some(ns) => write!(f, "{}{after}", Millis(Duration::from_nanos(ns)))?,
                None => write!(f, "-{after}")?,
            }
        }
        Ok(())
    }
}

/// Milliseconds to the microsecond, as `ping` prints them.
pub(super) struct Millis(pub(super) Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0.as_secs_f64() * 1e3)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a duration is not negative, and centuries may be cut short"
)]
fn whole(ns: f64) -> u64 {
    ns.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docs::{documented, printed};

    fn durations(micros: impl IntoIterator<Item = u64>) -> Durations {
        let mut durations = Durations::new();
        micros.into_iter().for_each(|micros| durations.record(Duration::from_micros(micros)));
        durations
    }

    #[test]
    fn every_field_of_the_json_is_documented_and_no_other() {
        let mut tally = Tally::new();
        (tally.rtt, tally.connect) = (durations([20]), durations([30]));
        let target = "127.0.0.1:7".parse().unwrap();
        let json = tally.to_json(&target, Duration::from_secs(1));
        assert_eq!(documented("ping"), printed(&json));
    }

    #[test]
    fn the_summary_is_that_of_ping() {
        let few = durations([20, 40, 40, 60]);
        assert_eq!(
            few.to_string(),
            "min/avg/max/mdev = 0.020/0.040/0.060/0.014 ms, p50/p99 = -/- ms"
        );
        let many = durations(1..=1000).to_string();
        assert!(many.ends_with("p50/p99 = 0.500/0.990 ms"), "{many}");
        let mut tally = Tally::new();
        (tally.sent, tally.received, tally.lost, tally.duplicated) = (4, 3, 1, 2);
        tally.rtt = few;
        let target = "127.0.0.1:7".parse().unwrap();
        assert_eq!(
            tally.in_words(&target, Duration::from_millis(3004)),
            "--- tcp://127.0.0.1:7 ping statistics ---\n\
             4 probes transmitted, 3 received, 2 duplicated, 25% loss, time 3004ms\n\
             rtt min/avg/max/mdev = 0.020/0.040/0.060/0.014 ms, p50/p99 = -/- ms\n"
        );
    }
}
