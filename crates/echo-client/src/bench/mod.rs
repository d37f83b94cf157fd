//! `bench`: a load of many connections, measured, verified, and judged, itself included.

mod latency;
mod outcome;
mod settings;

pub use latency::{Counts, DIGITS, MAX_LATENCY, MIN_BEYOND, histogram, percentile};
pub use outcome::{
    Damage, Failure, Interval, MAX_INTERVALS, MAX_STALLS, MAX_TOLD, Outcome, Probe, SloResult,
    Stall, Throughput, Unanswered,
};
pub use settings::{Arrival, Instance, Mode, Settings, Slo, Statistic};
