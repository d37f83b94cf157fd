//! Reading a log, line by line, with a bound on everything.

use std::{
    io::{self, BufRead, Read},
    time::Duration,
};

use thiserror::Error;

use super::{DecodeError, LEGEND, Tag, codec::MAX_SAMPLES, decode};
use crate::bench::Counts;

/// The longest line of a log: far more than a histogram or a run's settings take.
const MAX_LINE: u64 = 4 << 20;

/// Lines of a log: two weeks of seconds with every tag are half of it.
const MAX_LINES: u64 = 1 << 20;

/// The latest time taken, in seconds: the year 2500 or so, when it is one of a calendar.
const MAX_SECONDS: f64 = 2e10;

const A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What stands in a log besides its intervals.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Header {
    /// What `--json` printed; only logs of ours have it.
    pub(crate) run: Option<String>,
    /// From when on the intervals count, since the epoch, where it is said.
    base: Option<Duration>,
    start: Option<Duration>,
    intervals: u64,
    /// Of all of them.
    samples: u64,
    end: Option<u64>,
}

/// One line of samples.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Interval {
    pub(crate) tag: Tag,
    pub(crate) start: Duration,
    pub(crate) length: Duration,
    pub(crate) samples: Counts,
}

/// What is wrong with a log, and where.
#[derive(Debug, Error)]
pub(crate) enum LogError {
    #[error("cannot read it")]
    Unreadable(#[source] io::Error),
    #[error("it is empty")]
    Empty,
    #[error("it holds no samples")]
    NoSamples,
    #[error("line 1: not an HdrHistogram log, nor a line of JSON")]
    NotALog,
    #[error("it was cut short: its last line is missing")]
    NoEnd,
    #[error("line {line}: {cause}")]
    Line { line: u64, cause: LineError },
}

/// What is wrong with a line.
#[derive(Debug, Error)]
pub(crate) enum LineError {
    #[error("longer than {MAX_LINE} bytes")]
    TooLong,
    #[error("more lines than {MAX_LINES}")]
    TooMany,
    #[error("not UTF-8")]
    NotText,
    #[error("the log was cut short in the middle of a line")]
    CutShort,
    #[error("log format version {0}; 1.0 to 1.3 can be read")]
    Version(String),
    #[error("not an interval: Tag=NAME,START,LENGTH,MAX,HISTOGRAM")]
    NotAnInterval,
    #[error("an interval without a tag: nothing tells what was measured")]
    NoTag,
    #[error("unknown tag '{}'; known are response, service, send-lag and probe", .0.escape_debug())]
    UnknownTag(String),
    #[error("'{}' is not a time in seconds", .0.escape_debug())]
    NotATime(String),
    #[error("the log says that it has {said} intervals, and has {read}")]
    Missing { said: u64, read: u64 },
    #[error("{0}")]
    Histogram(#[from] DecodeError),
}

/// Reads a log and hands on its intervals as they come.
pub(crate) fn read(
    input: &mut dyn BufRead,
    mut on_interval: impl FnMut(Interval),
) -> Result<Header, LogError> {
    let mut header = Header::default();
    let mut buffer = Vec::new();
    let mut line = 0;
    loop {
        line += 1;
        let failed = |cause| LogError::Line { line, cause };
        buffer.clear();
        let read = input.take(MAX_LINE + 1).read_until(b'\n', &mut buffer);
        if read.map_err(LogError::Unreadable)? == 0 {
            return header.judged(line);
        }
        if buffer.len() as u64 > MAX_LINE {
            return Err(failed(LineError::TooLong));
        }
        if line > MAX_LINES {
            return Err(failed(LineError::TooMany));
        }
        let text = std::str::from_utf8(&buffer).map_err(|_| failed(LineError::NotText));
        let is_whole = buffer.ends_with(b"\n");
        let text = text?.trim_end_matches(['\r', '\n']);
        if line == 1 && !text.starts_with("#") && text != LEGEND && !looks_like_interval(text) {
            return Err(LogError::NotALog);
        }
        if !is_whole {
            return Err(failed(LineError::CutShort));
        }
        if let Some(interval) = header.take(text).map_err(failed)? {
            on_interval(interval);
        }
    }
}

impl Header {
    /// Takes one line in: an interval, or what it says about the log.
    fn take(&mut self, text: &str) -> Result<Option<Interval>, LineError> {
        let bracketed = |name: &str| {
            text.strip_prefix("#[")?.strip_prefix(name)?.strip_prefix(": ")?.strip_suffix(']')
        };
        if text.is_empty() || text == LEGEND {
            return Ok(None);
        }
        if !text.starts_with('#') {
            self.intervals += 1;
            let interval = interval(text)?;
            self.samples = self.samples.saturating_add(interval.samples.total());
            if self.samples > MAX_SAMPLES {
                return Err(DecodeError::TooMany.into());
            }
            return Ok(Some(interval));
        }
        if let Some(version) = text.strip_prefix("#[Histogram log format version ") {
            let version = version.trim_end_matches(']');
            if !matches!(version, "1.0" | "1.1" | "1.2" | "1.3") {
                return Err(LineError::Version(version.into()));
            }
        } else if let Some(run) = bracketed("Run") {
            self.run = Some(run.to_owned());
        } else if let Some(time) = bracketed("StartTime") {
            self.start = Some(first_seconds(time)?);
        } else if let Some(time) = bracketed("BaseTime") {
            self.base = Some(first_seconds(time)?);
        } else if let Some(said) = bracketed("End") {
            let said = said.split(' ').next().and_then(|said| said.parse().ok());
            let read = self.intervals;
            match said {
                Some(said) if said == read => self.end = Some(said),
                said => return Err(LineError::Missing { said: said.unwrap_or(0), read }),
            }
        }
        Ok(None)
    }

    /// The whole log is read, and ended before `line`.
    fn judged(self, line: u64) -> Result<Self, LogError> {
        match () {
            () if line == 1 => Err(LogError::Empty),
            // Logs of ours end with a line that says so.
            () if self.run.is_some() && self.end.is_none() => Err(LogError::NoEnd),
            () if self.intervals == 0 => Err(LogError::NoSamples),
            () => Ok(self),
        }
    }

    /// From when on the intervals count, since the epoch, when the earliest begins at `earliest`;
    /// none when their times are those of the calendar. As other readers guess it: without a base
    /// time, what is a year before the start time counts from that.
    pub(crate) fn base_for(&self, earliest: Duration) -> Option<Duration> {
        let relative = self.start.filter(|start| earliest + A_YEAR < *start);
        self.base.or(relative)
    }
}

fn looks_like_interval(text: &str) -> bool {
    text.starts_with("Tag=") || text.split(',').count() == 4
}

fn interval(text: &str) -> Result<Interval, LineError> {
    let tagged = text.strip_prefix("Tag=").and_then(|rest| rest.split_once(','));
    let (tag, rest) = match tagged {
        Some((tag, rest)) => {
            (Tag::named(tag).ok_or_else(|| LineError::UnknownTag(tag.into()))?, rest)
        }
        None if looks_like_interval(text) => return Err(LineError::NoTag),
        None => return Err(LineError::NotAnInterval),
    };
    let mut columns = rest.split(',');
    let mut next = || columns.next().ok_or(LineError::NotAnInterval);
    let (start, length, _max, histogram) = (next()?, next()?, next()?, next()?);
    if columns.next().is_some() {
        return Err(LineError::NotAnInterval);
    }
    Ok(Interval {
        tag,
        start: seconds(start)?,
        length: seconds(length)?,
        samples: decode(histogram)?,
    })
}

/// As in `1795380000.123 (seconds since epoch)`.
fn first_seconds(text: &str) -> Result<Duration, LineError> {
    seconds(text.split(' ').next().unwrap_or_default())
}

fn seconds(text: &str) -> Result<Duration, LineError> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..MAX_SECONDS).contains(&seconds) => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err(LineError::NotATime(text.into())),
    }
}
