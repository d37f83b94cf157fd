//! `bench`: a load of many connections, measured, verified, and judged, itself included.

mod args;
mod clock;
mod command;
mod connect;
mod drops;
mod flow;
mod judge;
mod latency;
mod outcome;
mod pace;
mod plan;
mod probe;
mod run;
mod settings;
mod stall;
mod status;
mod stream;
mod summary;
mod table;
mod tally;
mod wait;
mod worker;

pub(crate) use args::BenchArgs;
pub(crate) use clock::nanos;
pub(crate) use command::bench;
pub(crate) use judge::Invalid;
pub use latency::{Counts, DIGITS, MAX_LATENCY, MIN_BEYOND, histogram, percentile};
pub use outcome::{
    Damage, Datagrams, Failure, Interval, MAX_INTERVALS, MAX_STALLS, MAX_TOLD, Outcome, Probe,
    SloResult, Stall, Throughput, Unanswered, Verdict,
};
pub use run::{Progress, run};
pub use settings::{Arrival, Instance, Mode, Settings, Slo, Statistic};
pub(crate) use summary::{Latency, PERCENTILES, SCHEMA, Summary};
