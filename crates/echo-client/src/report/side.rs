//! One side of a comparison: runs, of one part each or of the parts of a fleet.
//!
//! ```text
//! parts     0/2  1/2      0/2  1/2       alone
//!            └─┬──┘        └─┬──┘          │
//! runs        run           run           run        one load, repeated: each has its own figures
//!              └─────────────┼─────────────┘
//! merged                    all                      every sample, counted once
//! ```

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;

use super::part::{Part, Slice, add};
use crate::{
    bench::{Counts, Summary, histogram, percentile},
    hlog::Tag,
};

/// Runs of one load.
#[derive(Debug, Clone)]
pub(crate) struct Side {
    pub(crate) runs: Vec<Run>,
}

/// One load, from one process or from several at once.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) parts: Vec<Part>,
}

impl Side {
    /// Finds out which parts belong together: different instances of the same number, at the same
    /// time.
    pub(crate) fn of(parts: Vec<Part>) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        for part in parts {
            match runs.iter_mut().find(|run| run.takes(&part)) {
                Some(run) => run.parts.push(part),
                None => runs.push(Run { parts: vec![part] }),
            }
        }
        for run in &mut runs {
            run.parts.sort_by_key(|part| instance(part).map(|(index, _)| index));
        }
        Self { runs }
    }

    pub(crate) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.runs.iter().flat_map(|run| &run.parts)
    }

    /// What users see: response time when every part has it, else service time.
    pub(crate) fn main_tag(&self) -> Tag {
        let responds = self.parts().all(|part| part.series.contains_key(&Tag::Response));
        if responds { Tag::Response } else { Tag::Service }
    }

    /// The tags that any part has, the main one first.
    pub(crate) fn tags(&self) -> Vec<Tag> {
        let main = self.main_tag();
        let mut tags: Vec<Tag> = Tag::ALL
            .into_iter()
            .filter(|tag| self.parts().any(|part| part.series.contains_key(tag)))
            .collect();
        tags.sort_by_key(|tag| *tag != main);
        tags
    }

    /// Every sample of every run.
    pub(crate) fn merged(&self, tag: Tag) -> Histogram<u64> {
        merged(self.parts(), tag)
    }

    /// The least and the greatest figure of any run, or for a lone fleet of any instance; none
    /// where there is only one, or one has too few samples to tell.
    pub(crate) fn spread(&self, figure: impl Fn(&[&Part]) -> Option<f64>) -> Option<(f64, f64)> {
        let groups = self.groups();
        let figures: Option<Vec<f64>> = groups.iter().map(|group| figure(group)).collect();
        let figures = figures.filter(|figures| figures.len() > 1)?;
        let (low, high) = (f64::INFINITY, f64::NEG_INFINITY);
        Some(figures.iter().fold((low, high), |(l, h), &figure| (l.min(figure), h.max(figure))))
    }

    /// What a spread is over: runs, or the instances of one run.
    pub(crate) fn spread_over(&self) -> &'static str {
        if self.runs.len() > 1 { "runs" } else { "instances" }
    }

    pub(crate) fn groups(&self) -> Vec<Vec<&Part>> {
        match &self.runs[..] {
            [run] => run.parts.iter().map(|part| vec![part]).collect(),
            runs => runs.iter().map(|run| run.parts.iter().collect()).collect(),
        }
    }

    /// Messages per second: the mean of the runs.
    pub(crate) fn rate(&self) -> Option<f64> {
        let rates: Option<Vec<f64>> = self.runs.iter().map(Run::rate).collect();
        let rates = rates.filter(|rates| !rates.is_empty())?;
        Some(rates.iter().sum::<f64>() / rates.len() as f64)
    }

    /// What a reader has to know before the figures.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for part in self.parts() {
            let name = &part.name;
            match &part.summary {
                Some(run) if run.interrupted => warnings.push(format!("{name} was interrupted")),
                Some(_) => {}
                None => warnings.push(format!(
                    "{name} is of another program: its values are taken for nanoseconds"
                )),
            }
        }
        for run in &self.runs {
            warnings.extend(run.missing_instances());
        }
        warnings.extend(self.differing_settings());
        warnings
    }

    /// False when a part's own figures are worthless.
    pub(crate) fn is_valid(&self) -> bool {
        self.parts().all(|part| part.summary.as_ref().is_none_or(|run| run.valid))
    }

    /// How this side's load is not that of the baseline, told in words.
    pub(crate) fn differs_from(&self, baseline: &Self) -> Option<String> {
        let told = difference(&baseline.loads().next()?, &self.loads().next()?)?;
        Some(format!("the baseline is of another load: {told}"))
    }

    fn differing_settings(&self) -> Option<String> {
        let mut loads = self.loads();
        let first = loads.next()?;
        let told = loads.find_map(|other| difference(&first, &other))?;
        Some(format!("runs of different loads are merged: {told}"))
    }

    fn loads(&self) -> impl Iterator<Item = Load> {
        self.parts().filter_map(|part| part.summary.as_ref()).map(load_of)
    }
}

/// Settings, by name.
type Load = Vec<(&'static str, String)>;

fn difference(one: &Load, other: &Load) -> Option<String> {
    let pairs = one.iter().zip(other).filter(|(one, other)| one != other);
    let told: Vec<String> =
        pairs.map(|((name, one), (_, other))| format!("{name} {one} and {other}")).collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// What has to be the same in runs that are to be taken together.
fn load_of(run: &Summary) -> Load {
    let asked = &run.settings;
    let rate = asked.rate.map_or_else(|| "none".to_owned(), |rate| rate.to_string());
    vec![
        ("mode", run.mode.clone()),
        ("connections", asked.connections.to_string()),
        ("size", asked.size.to_string()),
        ("depth", asked.depth.to_string()),
        ("rate", rate),
        ("arrival", asked.arrival.clone().unwrap_or_default()),
        ("verify", asked.verify.to_string()),
    ]
}

impl Run {
    pub(crate) fn name(&self) -> String {
        let names: Vec<&str> = self.parts.iter().map(|part| &*part.name).collect();
        names.join(" + ")
    }

    pub(crate) fn merged(&self, tag: Tag) -> Histogram<u64> {
        merged(&self.parts, tag)
    }

    /// Messages per second, of all instances together.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.parts.iter().map(rate_of).sum()
    }

    /// Over time; instances counted from the first of them on, and put together second by second.
    pub(crate) fn slices(&self, tag: Tag) -> Vec<Slice> {
        if let [part] = &self.parts[..] {
            return part.series.get(&tag).map(|series| series.slices.clone()).unwrap_or_default();
        }
        let first = self.parts.iter().filter_map(|part| part.base).min().unwrap_or_default();
        let series = || self.parts.iter().filter_map(|part| Some((part, part.series.get(&tag)?)));
        let lengths = series().flat_map(|(_, series)| &series.slices).map(|slice| slice.length);
        let Some(width) = lengths.max().filter(|width| !width.is_zero()) else {
            return Vec::new();
        };
        let mut sums: BTreeMap<u128, (Duration, Histogram<u64>)> = BTreeMap::new();
        for (part, series) in series() {
            let offset = part.base.unwrap_or(first).saturating_sub(first);
            for slice in &series.slices {
                // The nearest: clocks of different machines never agree to the millisecond.
                let at = (slice.start + offset + width / 2).as_nanos() / width.as_nanos();
                let sum = sums.entry(at).or_insert_with(|| (Duration::ZERO, histogram()));
                sum.0 = sum.0.max(slice.length);
                add(&mut sum.1, &slice.samples);
            }
        }
        let merged = sums.into_iter().map(|(at, (length, sum))| Slice {
            start: Duration::from_secs_f64(width.as_secs_f64() * at as f64),
            length,
            samples: Counts::from(&sum),
        });
        merged.collect()
    }

    /// Whether `part` is another instance of this run.
    fn takes(&self, part: &Part) -> bool {
        let Some((index, count)) = instance(part) else { return false };
        self.parts.iter().all(|own| {
            instance(own).is_some_and(|(own, of)| own != index && of == count) && overlap(own, part)
        })
    }

    fn missing_instances(&self) -> Option<String> {
        let (_, count) = instance(self.parts.first()?)?;
        let here: Vec<u32> = self.parts.iter().filter_map(instance).map(|(at, _)| at).collect();
        let missing: Vec<String> = (0..count)
            .filter(|index| !here.contains(index))
            .take(8)
            .map(|index| format!("{index}/{count}"))
            .collect();
        let name = self.name();
        let told = missing.join(", ");
        (!missing.is_empty()).then(|| format!("{name}: instances are missing: {told}"))
    }
}

/// Which of how many, for one of several.
fn instance(part: &Part) -> Option<(u32, u32)> {
    let instance = part.summary.as_ref()?.instance()?;
    Some((instance.index, instance.count))
}

/// Whether two parts were recorded at the same time, for most of it.
fn overlap(one: &Part, other: &Part) -> bool {
    let begin = |part: &Part| part.base.unwrap_or_default();
    let long = |part: &Part| part.summary.as_ref().map_or(0, |run| run.elapsed_ns);
    let apart = begin(one).abs_diff(begin(other));
    apart < Duration::from_nanos(long(one).min(long(other)) / 2)
}

/// Every sample of some parts.
pub(crate) fn merged<'a>(parts: impl IntoIterator<Item = &'a Part>, tag: Tag) -> Histogram<u64> {
    let mut sum = histogram();
    let series = parts.into_iter().filter_map(|part| part.series.get(&tag));
    series.for_each(|series| add(&mut sum, &series.whole));
    sum
}

/// The latency within which `percent` of the samples of some parts lie, unless too few lie beyond.
pub(crate) fn percentile_of(parts: &[&Part], tag: Tag, percent: f64) -> Option<f64> {
    let merged = merged(parts.iter().copied(), tag);
    percentile(&merged, percent).map(|ns| ns as f64)
}

/// Messages per second of one part: as it was told, or as its slices show.
pub(crate) fn rate_of(part: &Part) -> Option<f64> {
    if let Some(run) = &part.summary {
        return Some(run.throughput.messages_per_s);
    }
    let series = part.series.get(&Tag::Response).or(part.series.get(&Tag::Service))?;
    let end = series.slices.iter().map(|slice| slice.start + slice.length).max()?;
    let took = end.saturating_sub(series.slices.first()?.start).as_secs_f64();
    (took > 0.0).then(|| series.whole.total() as f64 / took)
}
