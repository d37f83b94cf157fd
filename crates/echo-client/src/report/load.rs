//! From files to parts.

use std::{
    collections::BTreeMap,
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use thiserror::Error;

use super::part::{Growing, Part, Series, Slice};
use crate::{
    bench::{Latency, SCHEMA, Summary},
    hlog::{self, DecodeError, LogError, Tag},
};

/// The longest line of JSON taken.
const MAX_LINE: u64 = 4 << 20;

/// Runs taken in all: a night of one a minute.
pub(crate) const MAX_PARTS: usize = 512;

/// A file that no report can be made of.
#[derive(Debug, Error)]
#[error("{}: {cause}", path.display())]
pub struct InputError {
    path: PathBuf,
    cause: Cause,
}

#[derive(Debug, Error)]
enum Cause {
    #[error("cannot open it: {0}")]
    Open(io::Error),
    #[error("cannot read it: {0}")]
    Read(io::Error),
    #[error("{0}")]
    Log(LogError),
    #[error("the log's [Run] line: {0}")]
    Run(JsonError),
    #[error("line {line}: {cause}")]
    Json { line: u64, cause: JsonError },
    #[error("more than {MAX_PARTS} runs in all")]
    TooMany,
    #[error("the same run as in {}", .0.display())]
    Twice(PathBuf),
}

#[derive(Debug, Error)]
enum JsonError {
    #[error("longer than {MAX_LINE} bytes")]
    TooLong,
    #[error("not UTF-8")]
    NotText,
    #[error("not JSON: {0}")]
    NotJson(serde_json::Error),
    #[error("not a result of echo-client: {0}")]
    NotOurs(serde_json::Error),
    #[error("schema {0}; schema {SCHEMA} can be read")]
    Schema(u64),
    #[error("a result of '{}'", .0.escape_debug())]
    Kind(String),
    #[error("{tag}: {cause}", tag = .0.name(), cause = .1)]
    Histogram(Tag, DecodeError),
    #[error("{0}: no distribution ('hdr'), so nothing can be merged")]
    NoDistribution(&'static str),
}

impl InputError {
    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        const AGAIN: &str = "copy it again, or write it again with 'echo-client bench --hlog FILE'";
        const OTHER: &str =
            "give logs of 'echo-client bench --hlog FILE', or lines of 'bench --json'";
        match &self.cause {
            Cause::Open(_) | Cause::Read(_) => "check its name, and that it can be read",
            Cause::Twice(_) => "give each run once",
            Cause::TooMany => "merge fewer at a time",
            Cause::Json { cause: JsonError::Schema(_), .. } | Cause::Run(JsonError::Schema(_)) => {
                "read it with the version of echo-client that wrote it"
            }
            Cause::Log(LogError::NotALog | LogError::NoSamples)
            | Cause::Json { cause: JsonError::Kind(_) | JsonError::NotOurs(_), .. } => OTHER,
            _ => AGAIN,
        }
    }
}

/// Reads files in order; none may hold what another holds.
///
/// # Errors
/// [`InputError`] for the first that is at fault.
#[derive(Default)]
pub(crate) struct Loader {
    /// Of each part read: what it is, and in which file.
    seen: BTreeMap<u64, PathBuf>,
}

impl Loader {
    pub(crate) fn load(&mut self, paths: &[PathBuf]) -> Result<Vec<Part>, InputError> {
        let mut parts = Vec::new();
        for path in paths {
            let failed = |cause| InputError { path: path.clone(), cause };
            for part in read(path).map_err(failed)? {
                let twice = self.seen.insert(fingerprint(&part), path.clone());
                if let Some(other) = twice {
                    return Err(failed(Cause::Twice(other)));
                }
                if self.seen.len() > MAX_PARTS {
                    return Err(failed(Cause::TooMany));
                }
                parts.push(part);
            }
        }
        Ok(parts)
    }
}

fn read(path: &Path) -> Result<Vec<Part>, Cause> {
    let mut input: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(path).map_err(Cause::Open)?;
        if file.metadata().map_err(Cause::Open)?.is_dir() {
            return Err(Cause::Open(io::ErrorKind::IsADirectory.into()));
        }
        Box::new(BufReader::new(file))
    };
    let name = path.display().to_string();
    let first = input.fill_buf().map_err(Cause::Read)?.first().copied();
    match first {
        Some(b'{') => read_lines(&mut *input, &name),
        _ => read_log(&mut *input, name).map(|part| vec![part]),
    }
}

fn read_log(input: &mut dyn BufRead, name: String) -> Result<Part, Cause> {
    let mut growing: BTreeMap<Tag, Growing> = BTreeMap::new();
    let header = hlog::read(input, |interval| {
        let hlog::Interval { tag, start, length, samples } = interval;
        growing.entry(tag).or_insert_with(Growing::new).push(Slice { start, length, samples });
    });
    let header = header.map_err(Cause::Log)?;
    let summary = header.run.as_deref().map(summary).transpose().map_err(Cause::Run)?;
    let mut series: BTreeMap<Tag, Series> =
        growing.into_iter().map(|(tag, growing)| (tag, growing.done())).collect();
    let all = series.values_mut().flat_map(|series| &mut series.slices);
    let earliest = all.map(|slice| slice.start).min().unwrap_or_default();
    let base = header.base_for(earliest);
    if base.is_none() {
        // Times of the calendar: what we want is how long after the first.
        let all = series.values_mut().flat_map(|series| &mut series.slices);
        all.for_each(|slice| slice.start -= earliest);
    }
    Ok(Part { name, summary, base: base.or(Some(earliest)), series })
}

/// Lines of JSON, one run each. Empty ones do not count.
fn read_lines(input: &mut dyn BufRead, name: &str) -> Result<Vec<Part>, Cause> {
    let mut parts = Vec::new();
    let mut buffer = Vec::new();
    let mut line = 0;
    loop {
        line += 1;
        buffer.clear();
        let read = input.take(MAX_LINE + 1).read_until(b'\n', &mut buffer).map_err(Cause::Read)?;
        if read == 0 {
            break;
        }
        let failed = |cause| Cause::Json { line, cause };
        if buffer.len() as u64 > MAX_LINE {
            return Err(failed(JsonError::TooLong));
        }
        if parts.len() > MAX_PARTS {
            return Err(Cause::TooMany);
        }
        let text = std::str::from_utf8(&buffer).map_err(|_| failed(JsonError::NotText))?.trim();
        if !text.is_empty() {
            parts.push(from_json(text, format!("{name}:{line}")).map_err(failed)?);
        }
    }
    if let [part] = &mut parts[..] {
        part.name = name.to_owned();
    }
    Ok(parts)
}

fn from_json(text: &str, name: String) -> Result<Part, JsonError> {
    let summary = summary(text)?;
    let base = Some(Duration::from_nanos(summary.started_unix_ns));
    let probe = summary.probe.as_ref().map(|probe| &probe.rtt_ns);
    let told = [
        (Tag::Service, Some(&summary.service_ns)),
        (Tag::Response, summary.response_ns.as_ref()),
        (Tag::SendLag, summary.send_lag_ns.as_ref()),
        (Tag::Probe, probe),
    ];
    let mut series = BTreeMap::new();
    for (tag, latency) in told {
        if let Some(Latency { hdr, .. }) = latency {
            let text = hdr.as_ref().ok_or(JsonError::NoDistribution(tag.name()))?;
            let whole = hlog::decode(text).map_err(|cause| JsonError::Histogram(tag, cause))?;
            series.insert(tag, Series { whole, slices: Vec::new() });
        }
    }
    Ok(Part { name, summary: Some(summary), base, series })
}

/// A run's figures, if they are of a kind and version that is known.
fn summary(text: &str) -> Result<Summary, JsonError> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(JsonError::NotJson)?;
    if let Some(schema) = value.get("schema").and_then(serde_json::Value::as_u64) {
        if schema != u64::from(SCHEMA) {
            return Err(JsonError::Schema(schema));
        }
    }
    match value.get("kind").and_then(serde_json::Value::as_str) {
        Some(kind) if kind != "bench" => Err(JsonError::Kind(kind.into())),
        _ => serde_json::from_value(value).map_err(JsonError::NotOurs),
    }
}

/// Tells runs apart by when they began and all their samples. As a log and as JSON, a run is the
/// same.
fn fingerprint(part: &Part) -> u64 {
    let mut hasher = DefaultHasher::new();
    let started = part.summary.as_ref().map(|summary| summary.started_unix_ns);
    (started.map(Duration::from_nanos).or(part.base)).hash(&mut hasher);
    for (tag, series) in &part.series {
        tag.hash(&mut hasher);
        series.whole.iter().for_each(|bucket| bucket.hash(&mut hasher));
    }
    hasher.finish()
}
