//! HdrHistogram logs: latencies over time, exact, in the format that every HdrHistogram reads.
//!
//! ```text
//! #[Histogram log format version 1.3]
//! #[Run: {"schema":1,"kind":"bench",...}]                       what `--json` prints, on one line
//! #[StartTime: 1795380000.123 (seconds since epoch), 2026-11-22T20:40:00Z]
//! #[BaseTime: 1795380000.123 (seconds since epoch)]             starts below count from here
//! "StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"
//! Tag=service,0.000000,1.000000,2.769,HISTFAAA...               seconds, seconds, ms, V2 deflate
//! Tag=response,0.000000,1.000000,3.145,HISTFAAA...
//! Tag=send-lag,0.000000,10.000000,0.101,HISTFAAA...
//! #[End: 3 intervals]                                           nothing was cut off
//! ```
//!
//! Values are nanoseconds; the maximum is told in milliseconds, as the Java implementation does.
//! Every sample of a tag is in exactly one line of that tag, so that adding up lines, of one log or
//! of many, loses and invents nothing.

mod codec;
mod read;
mod write;

pub(crate) use codec::{DecodeError, decode, encode};
pub(crate) use read::{Interval, LogError, read};
pub(crate) use write::LogWriter;

use std::fmt;

/// What was measured, as a line of the log names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Tag {
    /// From a message's intended time to its last byte back.
    Response,
    /// From its first byte written to its last byte back.
    Service,
    /// From when it was due to its first byte written.
    SendLag,
    /// Round trips of a lone flow beside the load.
    Probe,
}

impl Tag {
    pub(crate) const ALL: [Self; 4] = [Self::Response, Self::Service, Self::SendLag, Self::Probe];

    /// As in the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Service => "service",
            Self::SendLag => "send-lag",
            Self::Probe => "probe",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tag| tag.name() == name)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Response => "response time",
            Self::Service => "service time",
            Self::SendLag => "send lag",
            Self::Probe => "probe",
        })
    }
}

const LEGEND: &str =
    r#""StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram""#;

/// Nanoseconds in the unit of the column of maxima.
const MAX_COLUMN_UNIT: f64 = 1e6;
