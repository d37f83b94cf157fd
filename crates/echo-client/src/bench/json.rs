//! An outcome for programs, as `--json` prints it.

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use super::{Mode, Outcome, clock::nanos, percentile};

/// The version of the object; it grows when a field changes its meaning or goes.
const SCHEMA: u32 = 1;

/// The percentiles that are told.
const PERCENTILES: [f64; 6] = [50.0, 75.0, 90.0, 99.0, 99.9, 99.99];

impl Outcome {
    /// One object, with durations in nanoseconds; what cannot be told is null.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let settings = &self.settings;
        let (rate, arrival) = match settings.mode {
            Mode::Closed => (None, None),
            Mode::Open { rate, arrival } => (Some(rate), Some(arrival.to_string())),
        };
        json!({
            "schema": SCHEMA,
            "kind": "bench",
            "target": settings.target.to_string(),
            "mode": settings.mode.name(),
            "settings": {
                "connections": settings.connections,
                "size": settings.size,
                "depth": settings.depth,
                "rate": rate,
                "arrival": arrival,
                "warmup_ns": nanos(settings.warmup),
                "duration_ns": nanos(settings.duration),
                "threads": settings.threads,
                "verify": settings.verify,
                "instance": settings.instance.map(|instance| instance.to_string()),
            },
            "elapsed_ns": nanos(self.elapsed),
            "drained_ns": nanos(self.drained),
            "interrupted": self.interrupted,
            "valid": self.is_valid(),
            "reasons": self.invalid,
            "good": self.is_good(),
            "sent": self.sent,
            "received": self.received,
            "corrupt": self.corrupt,
            "unanswered": self.unanswered.count,
            "oldest_unanswered_ns": self.unanswered.oldest.map(nanos),
            "unsent": self.unsent,
            "held": self.held,
            "damage": { "count": self.damage.count, "first": self.damage.first },
            "connections": self.connections,
            "failed": self.failed.iter().map(|failure| {
                json!({ "reason": failure.reason, "count": failure.count })
            }).collect::<Vec<_>>(),
            "throughput": {
                "messages_per_s": self.throughput.messages_per_s,
                "bytes_per_s": self.throughput.bytes_per_s,
            },
            "service_ns": latency(&self.service),
            "response_ns": self.response.as_ref().map(latency),
            "send_lag_ns": self.send_lag.as_ref().map(latency),
            "probe": self.probe.as_ref().map(|probe| {
                json!({
                    "sent": probe.sent,
                    "received": probe.received,
                    "failed": probe.failed,
                    "rtt_ns": latency(&probe.rtt),
                })
            }),
            "stalls": self.stalls.iter().map(|stall| {
                json!({
                    "start_ns": nanos(stall.start),
                    "length_ns": nanos(stall.length),
                    "connections": stall.connections,
                })
            }).collect::<Vec<_>>(),
            "cpu": self.cpu,
            "slo": self.slo.iter().map(|result| {
                json!({
                    "what": result.slo.what.to_string(),
                    "limit_ns": nanos(result.slo.limit),
                    "measured_ns": result.measured.map(nanos),
                    "met": result.met,
                })
            }).collect::<Vec<_>>(),
        })
    }
}

fn latency(latency: &Histogram<u64>) -> Value {
    let some = |value: Value| if latency.is_empty() { Value::Null } else { value };
    let mut object = Map::new();
    object.insert("samples".to_owned(), latency.len().into());
    object.insert("min".to_owned(), some(latency.min().into()));
    object.insert("mean".to_owned(), some(latency.mean().into()));
    object.insert("max".to_owned(), some(latency.max().into()));
    for percent in PERCENTILES {
        object.insert(format!("p{percent}"), percentile(latency, percent).into());
    }
    object.into()
}
