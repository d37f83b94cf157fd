//! What one log, one line of JSON, or the run just done has recorded.

use std::{
    collections::BTreeMap,
    io,
    time::{Duration, SystemTime},
};

use hdrhistogram::Histogram;

use crate::{
    bench::{Counts, Interval, Outcome, Summary, histogram},
    hlog::{LogWriter, Tag},
};

/// Slices of time kept of one series; beyond, neighbours become one. Sums stay exact.
const MAX_SLICES: usize = 1024;

/// Buckets kept in the slices of one series; beyond, neighbours become one.
const MAX_BUCKETS: usize = 1 << 20;

/// What was recorded together, in one process.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// The file, with the line where it holds several.
    pub(crate) name: String,
    /// Only what echo-client has written tells it.
    pub(crate) summary: Option<Summary>,
    /// From when on slices count, since the epoch.
    pub(crate) base: Option<Duration>,
    pub(crate) series: BTreeMap<Tag, Series>,
}

/// The samples of one tag.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Series {
    pub(crate) whole: Counts,
    /// In order of time. Together they are `whole`; none when time was not recorded.
    pub(crate) slices: Vec<Slice>,
}

/// A stretch of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Slice {
    pub(crate) start: Duration,
    pub(crate) length: Duration,
    pub(crate) samples: Counts,
}

impl Part {
    /// The run just done.
    pub(crate) fn of(outcome: &Outcome) -> Self {
        let over_time = |samples: fn(&Interval) -> Option<&Counts>| {
            let slices = outcome.timeline.iter().filter_map(|interval| {
                let Interval { start, length, .. } = *interval;
                samples(interval).map(|samples| Slice { start, length, samples: samples.clone() })
            });
            slices.collect::<Vec<_>>()
        };
        let whole = |histogram: &Histogram<u64>| Series {
            whole: Counts::from(histogram),
            slices: vec![Slice {
                start: Duration::ZERO,
                length: outcome.elapsed,
                samples: Counts::from(histogram),
            }],
        };
        let slices = over_time(|interval| Some(&interval.service));
        let mut series =
            BTreeMap::from([(Tag::Service, Series { slices, ..whole(&outcome.service) })]);
        if let Some(response) = &outcome.response {
            let slices = over_time(|interval| interval.response.as_ref());
            series.insert(Tag::Response, Series { slices, ..whole(response) });
        }
        series.extend(outcome.send_lag.iter().map(|lag| (Tag::SendLag, whole(lag))));
        series.extend(outcome.probe.iter().map(|probe| (Tag::Probe, whole(&probe.rtt))));
        let base = outcome.started.duration_since(SystemTime::UNIX_EPOCH).ok();
        let name = outcome.settings.target.to_string();
        Self { name, summary: Some(Summary::from(outcome)), base, series }
    }

    /// Writes it as a log.
    pub(crate) fn write_log(&self, output: &mut dyn io::Write) -> io::Result<()> {
        let summary = self.summary.clone().map(|run| run.without_distributions().to_json());
        let started = SystemTime::UNIX_EPOCH + self.base.unwrap_or_default();
        let mut log = LogWriter::begin(output, &summary.unwrap_or_default(), started)?;
        let mut lines: Vec<(&Slice, Tag)> = Vec::new();
        for (tag, series) in &self.series {
            lines.extend(series.slices.iter().map(|slice| (slice, *tag)));
        }
        // Readers expect them in order of time.
        lines.sort_by_key(|(slice, tag)| (slice.start, *tag));
        for (slice, tag) in lines {
            log.interval(tag, slice.start, slice.length, &slice.samples.to_histogram())?;
        }
        log.end()
    }
}

/// A series that grows, in bounded memory.
pub(crate) struct Growing {
    whole: Histogram<u64>,
    slices: Vec<Slice>,
    buckets: usize,
}

impl Growing {
    pub(crate) fn new() -> Self {
        Self { whole: histogram(), slices: Vec::new(), buckets: 0 }
    }

    pub(crate) fn push(&mut self, slice: Slice) {
        add(&mut self.whole, &slice.samples);
        self.buckets += slice.samples.iter().count();
        self.slices.push(slice);
        if self.slices.len() > MAX_SLICES || self.buckets > MAX_BUCKETS {
            self.slices.sort_by_key(|slice| slice.start);
            self.slices = coarser(&self.slices, 2);
            self.buckets = self.slices.iter().map(|slice| slice.samples.iter().count()).sum();
        }
    }

    pub(crate) fn done(mut self) -> Series {
        self.slices.sort_by_key(|slice| slice.start);
        Series { whole: Counts::from(&self.whole), slices: self.slices }
    }
}

/// `by` neighbours each become one.
pub(crate) fn coarser(slices: &[Slice], by: usize) -> Vec<Slice> {
    let mut sum = histogram();
    let merged = slices.chunks(by.max(1)).map(|neighbours| {
        sum.reset();
        neighbours.iter().for_each(|slice| add(&mut sum, &slice.samples));
        let start = neighbours.first().map(|slice| slice.start).unwrap_or_default();
        let length = neighbours.iter().map(|slice| slice.length).sum();
        Slice { start, length, samples: Counts::from(&sum) }
    });
    merged.collect()
}

/// Adds samples to a histogram of the same buckets: nothing is rounded.
pub(crate) fn add(histogram: &mut Histogram<u64>, samples: &Counts) {
    for (value, count) in samples.iter() {
        histogram.saturating_record_n(value, count);
    }
}
