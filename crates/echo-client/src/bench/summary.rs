//! A run in figures, as `--json` prints it and as a log carries it along.
//!
//! Every field, with its unit, is documented in `docs/json.md`; a test holds that page to what is
//! printed here.

use std::time::SystemTime;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::{Arrival, Instance, Mode, Outcome, Settings, Verdict, clock::nanos, percentile};
use crate::hlog;

/// The version of the schema. It grows when a field goes or means something else; fields that come
/// do not change it.
pub(crate) const SCHEMA: u32 = 1;

/// What is told of a distribution.
pub(crate) const PERCENTILES: [f64; 7] = [50.0, 75.0, 90.0, 99.0, 99.9, 99.99, 99.999];

/// One run of `bench`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) schema: u32,
    pub(crate) kind: String,
    /// The version of the program.
    pub(crate) version: String,
    pub(crate) target: String,
    pub(crate) mode: String,
    pub(crate) settings: Asked,
    pub(crate) started_unix_ns: u64,
    pub(crate) elapsed_ns: u64,
    pub(crate) drained_ns: u64,
    pub(crate) interrupted: bool,
    pub(crate) valid: bool,
    pub(crate) reasons: Vec<String>,
    pub(crate) good: bool,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) corrupt: u64,
    pub(crate) unanswered: u64,
    pub(crate) oldest_unanswered_ns: Option<u64>,
    pub(crate) unsent: u64,
    pub(crate) held: u64,
    pub(crate) datagrams: Option<Datagrams>,
    pub(crate) damage: Damage,
    pub(crate) connections: u32,
    pub(crate) failed: Vec<Failure>,
    pub(crate) throughput: Throughput,
    pub(crate) service_ns: Latency,
    pub(crate) response_ns: Option<Latency>,
    pub(crate) send_lag_ns: Option<Latency>,
    pub(crate) probe: Option<Probe>,
    pub(crate) stalls: Vec<Stall>,
    pub(crate) cpu: Vec<f64>,
    pub(crate) slo: Vec<Objective>,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) connections: u32,
    pub(crate) size: u64,
    pub(crate) depth: u32,
    pub(crate) rate: Option<f64>,
    pub(crate) arrival: Option<String>,
    pub(crate) warmup_ns: u64,
    pub(crate) duration_ns: u64,
    pub(crate) threads: u32,
    pub(crate) wait_ns: Option<u64>,
    pub(crate) max_loss: Option<f64>,
    pub(crate) verify: bool,
    pub(crate) probe: bool,
    pub(crate) timeout_ns: u64,
    pub(crate) connect_timeout_ns: u64,
    pub(crate) start_at_unix_ns: Option<u64>,
    pub(crate) instance: Option<String>,
}

/// What happens to datagrams only.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Datagrams {
    pub(crate) lost: u64,
    pub(crate) late: u64,
    pub(crate) duplicated: u64,
    pub(crate) reordered: u64,
    pub(crate) dropped: Option<u64>,
    /// The share that is lost or late.
    pub(crate) loss: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Damage {
    pub(crate) count: u64,
    pub(crate) first: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    pub(crate) count: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Throughput {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) messages_per_s: f64,
    pub(crate) bytes_per_s: f64,
}

/// A distribution of latencies, in nanoseconds. What too few samples tell is null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) samples: u64,
    pub(crate) min: Option<u64>,
    pub(crate) mean: Option<f64>,
    pub(crate) max: Option<u64>,
    pub(crate) p50: Option<u64>,
    pub(crate) p75: Option<u64>,
    pub(crate) p90: Option<u64>,
    pub(crate) p99: Option<u64>,
    #[serde(rename = "p99.9")]
    pub(crate) p999: Option<u64>,
    #[serde(rename = "p99.99")]
    pub(crate) p9999: Option<u64>,
    #[serde(rename = "p99.999")]
    pub(crate) p99999: Option<u64>,
    /// The whole distribution, exact. Not in a log, whose lines are just that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hdr: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Probe {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) rtt_ns: Latency,
    pub(crate) failed: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stall {
    pub(crate) start_ns: u64,
    pub(crate) length_ns: u64,
    pub(crate) connections: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Objective {
    pub(crate) what: String,
    pub(crate) limit_ns: u64,
    pub(crate) measured_ns: Option<u64>,
    pub(crate) met: bool,
}

impl Latency {
    /// The figures, with the whole distribution.
    pub(crate) fn of(samples: &Histogram<u64>) -> Self {
        Self { hdr: Some(hlog::encode(samples)), ..Self::figures_of(samples) }
    }

    /// The figures alone.
    pub(crate) fn figures_of(samples: &Histogram<u64>) -> Self {
        let any = |value| (!samples.is_empty()).then_some(value);
        let at = |percent| percentile(samples, percent);
        Self {
            samples: samples.len(),
            min: any(samples.min()),
            mean: (!samples.is_empty()).then(|| samples.mean()),
            max: any(samples.max()),
            p50: at(50.0),
            p75: at(75.0),
            p90: at(90.0),
            p99: at(99.0),
            p999: at(99.9),
            p9999: at(99.99),
            p99999: at(99.999),
            hdr: None,
        }
    }
}

impl Outcome {
    /// One object on one line, with durations in nanoseconds; what cannot be told is null.
    #[must_use]
    pub fn to_json(&self) -> String {
        Summary::from(self).to_json()
    }
}

impl From<&Outcome> for Summary {
    fn from(outcome: &Outcome) -> Self {
        Self {
            schema: SCHEMA,
            kind: "bench".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            target: outcome.settings.target.to_string(),
            mode: outcome.settings.mode.name().to_owned(),
            settings: Asked::from(&outcome.settings),
            started_unix_ns: unix_ns(outcome.started),
            elapsed_ns: nanos(outcome.elapsed),
            drained_ns: nanos(outcome.drained),
            interrupted: outcome.interrupted,
            valid: outcome.is_valid(),
            reasons: outcome.invalid.clone(),
            good: outcome.is_good(),
            sent: outcome.sent,
            received: outcome.received,
            corrupt: outcome.corrupt,
            unanswered: outcome.unanswered.count,
            oldest_unanswered_ns: outcome.unanswered.oldest.map(nanos),
            unsent: outcome.unsent,
            held: outcome.held,
            datagrams: outcome.datagrams.map(|datagrams| Datagrams {
                lost: datagrams.lost,
                late: datagrams.late,
                duplicated: datagrams.duplicated,
                reordered: datagrams.reordered,
                dropped: datagrams.dropped,
                loss: outcome.loss(),
            }),
            damage: Damage { count: outcome.damage.count, first: outcome.damage.first.clone() },
            connections: outcome.connections,
            failed: outcome
                .failed
                .iter()
                .map(|failure| Failure { reason: failure.reason.clone(), count: failure.count })
                .collect(),
            throughput: Throughput {
                messages: outcome.throughput.messages,
                bytes: outcome.throughput.bytes,
                messages_per_s: outcome.throughput.messages_per_s,
                bytes_per_s: outcome.throughput.bytes_per_s,
            },
            service_ns: Latency::of(&outcome.service),
            response_ns: outcome.response.as_ref().map(Latency::of),
            send_lag_ns: outcome.send_lag.as_ref().map(Latency::of),
            probe: outcome.probe.as_ref().map(|probe| Probe {
                sent: probe.sent,
                received: probe.received,
                rtt_ns: Latency::of(&probe.rtt),
                failed: probe.failed.clone(),
            }),
            stalls: outcome
                .stalls
                .iter()
                .map(|stall| Stall {
                    start_ns: nanos(stall.start),
                    length_ns: nanos(stall.length),
                    connections: stall.connections,
                })
                .collect(),
            cpu: outcome.cpu.clone(),
            slo: outcome
                .slo
                .iter()
                .map(|slo| Objective {
                    what: slo.slo.what.to_string(),
                    limit_ns: nanos(slo.slo.limit),
                    measured_ns: slo.measured.map(nanos),
                    met: slo.met,
                })
                .collect(),
        }
    }
}

impl From<&Settings> for Asked {
    fn from(settings: &Settings) -> Self {
        let (rate, arrival) = match settings.mode {
            Mode::Closed => (None, None),
            Mode::Open { rate, arrival } => (Some(rate), Some(arrival)),
        };
        let arrival = arrival.map(|arrival| match arrival {
            Arrival::Even => "even".to_owned(),
            Arrival::Poisson => "poisson".to_owned(),
        });
        Self {
            connections: settings.connections,
            size: settings.size as u64,
            depth: settings.depth,
            rate,
            arrival,
            warmup_ns: nanos(settings.warmup),
            duration_ns: nanos(settings.duration),
            threads: settings.threads,
            wait_ns: settings.is_datagrams().then(|| nanos(settings.wait)),
            max_loss: settings.is_datagrams().then_some(settings.max_loss),
            verify: settings.verify,
            probe: settings.probe,
            timeout_ns: nanos(settings.timeout),
            connect_timeout_ns: nanos(settings.connector.connect_timeout),
            start_at_unix_ns: settings.start_at.map(unix_ns),
            instance: settings.instance.map(|instance| instance.to_string()),
        }
    }
}

impl Summary {
    /// What the run comes to; see [`Outcome::verdict`].
    pub(crate) fn verdict(&self) -> Verdict {
        let probe_failed = self.probe.as_ref().is_some_and(|probe| probe.failed.is_some());
        let is_intact = self.corrupt == 0
            && self.damage.count == 0
            && self.unanswered == 0
            && self.failed.is_empty()
            && self.datagrams.is_none_or(|datagrams| datagrams.duplicated == 0)
            && !self.lost_too_many()
            && !probe_failed;
        match self.valid {
            _ if !is_intact => Verdict::Failed,
            false => Verdict::Invalid,
            true if self.good => Verdict::Good,
            true => Verdict::Failed,
        }
    }

    /// Whether the path lost more datagrams than it may.
    pub(crate) fn lost_too_many(&self) -> bool {
        self.datagrams.is_some_and(|datagrams| {
            let Datagrams { lost, late, duplicated, reordered, dropped, .. } = datagrams;
            let told = super::Datagrams { lost, late, duplicated, reordered, dropped };
            told.loss_on_path(self.sent) > self.settings.max_loss.unwrap_or(0.0)
        })
    }

    /// Which part of a load this is, when it is one of several.
    pub(crate) fn instance(&self) -> Option<Instance> {
        let instance: Instance = self.settings.instance.as_ref()?.parse().ok()?;
        (instance.count > 1).then_some(instance)
    }

    /// The same without whole distributions, on one line.
    pub(crate) fn without_distributions(mut self) -> Self {
        let probe = self.probe.as_mut().map(|probe| &mut probe.rtt_ns);
        let all =
            [Some(&mut self.service_ns), self.response_ns.as_mut(), self.send_lag_ns.as_mut()];
        all.into_iter().chain([probe]).flatten().for_each(|latency| latency.hdr = None);
        self
    }

    /// One line.
    pub(crate) fn to_json(&self) -> String {
        crate::json_line(self)
    }
}

fn unix_ns(time: SystemTime) -> u64 {
    nanos(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}
