//! Writing a log.

use std::{
    io::{self, Write},
    time::{Duration, SystemTime},
};

use hdrhistogram::Histogram;

use super::{LEGEND, MAX_COLUMN_UNIT, Tag, encode};

/// A log that is being written.
pub(crate) struct LogWriter<'a> {
    output: &'a mut dyn Write,
    intervals: u64,
}

impl<'a> LogWriter<'a> {
    /// Writes the header. `run` is what `--json` prints, on one line; intervals count from `started`.
    pub(crate) fn begin(
        output: &'a mut dyn Write,
        run: &str,
        started: SystemTime,
    ) -> io::Result<Self> {
        let since_epoch = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let seconds = since_epoch.as_secs_f64();
        let date = humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + since_epoch);
        writeln!(output, "#[Histogram log format version 1.3]")?;
        writeln!(output, "#[Run: {run}]")?;
        writeln!(output, "#[StartTime: {seconds:.3} (seconds since epoch), {date}]")?;
        writeln!(output, "#[BaseTime: {seconds:.3} (seconds since epoch)]")?;
        writeln!(output, "{LEGEND}")?;
        Ok(Self { output, intervals: 0 })
    }

    /// Writes one line: what was measured from `start` on, for `length`.
    pub(crate) fn interval(
        &mut self,
        tag: Tag,
        start: Duration,
        length: Duration,
        samples: &Histogram<u64>,
    ) -> io::Result<()> {
        self.intervals += 1;
        let (tag, start, length) = (tag.name(), start.as_secs_f64(), length.as_secs_f64());
        let max = samples.max() as f64 / MAX_COLUMN_UNIT;
        let encoded = encode(samples);
        writeln!(self.output, "Tag={tag},{start:.6},{length:.6},{max:.3},{encoded}")
    }

    /// Writes the last line, which tells that no other is missing.
    pub(crate) fn end(self) -> io::Result<()> {
        writeln!(self.output, "#[End: {} intervals]", self.intervals)
    }
}
