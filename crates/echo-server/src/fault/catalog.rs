//! Every fault there is, by family; each family has a file, and a fault is a row in its table.

use std::{fmt, time::Duration};

use super::{
    buffering, content, crowd,
    datagrams::{self, DatagramSpoiler},
    ending,
    spoiler::Spoilers,
    timing,
};

const FAMILIES: [&[Entry]; 6] = [
    timing::FAULTS,
    content::FAULTS,
    buffering::FAULTS,
    ending::FAULTS,
    crowd::FAULTS,
    datagrams::FAULTS,
];

/// One fault, as it is listed.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// What it does, and what does the same in real life; in one line.
    pub(super) does: &'static str,
}

/// What a fault is shown on.
pub(super) enum Kind {
    /// Connections, TCP or Unix.
    Stream(Value<Spoilers>),
    /// As `Stream`, for what only TCP has, such as RST.
    Tcp(Value<Spoilers>),
    Datagrams(Value<Box<dyn DatagramSpoiler>>),
}

/// Makes a `T`, from a value with a default or from nothing.
pub(super) enum Value<T> {
    Plain(fn() -> T),
    Bytes(&'static str, fn(u64) -> T),
    Count(&'static str, fn(u64) -> T),
    Time(&'static str, fn(Duration) -> T),
}

/// How a value is written, and what it is when it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) unit: Unit,
    pub(super) default: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Bytes,
    Count,
    Time,
}

pub(super) fn all() -> impl Iterator<Item = &'static Entry> {
    FAMILIES.into_iter().flatten()
}

impl Kind {
    /// `None` for a fault that takes no value.
    pub(super) fn parameter(&self) -> Option<Parameter> {
        match self {
            Self::Stream(value) | Self::Tcp(value) => value.parameter(),
            Self::Datagrams(value) => value.parameter(),
        }
    }
}

impl<T> Value<T> {
    fn parameter(&self) -> Option<Parameter> {
        let (unit, default) = match self {
            Self::Plain(_) => return None,
            Self::Bytes(default, _) => (Unit::Bytes, default),
            Self::Count(default, _) => (Unit::Count, default),
            Self::Time(default, _) => (Unit::Time, default),
        };
        Some(Parameter { unit, default })
    }

    /// Of bytes, a count, or nanoseconds.
    pub(super) fn make(&self, value: u64) -> T {
        match self {
            Self::Plain(make) => make(),
            Self::Bytes(_, make) | Self::Count(_, make) => make(value),
            Self::Time(_, make) => make(Duration::from_nanos(value)),
        }
    }
}

impl Unit {
    /// In bytes, a count, or nanoseconds.
    pub(super) fn parse(self, text: &str) -> Result<u64, String> {
        match self {
            Self::Bytes => {
                echo_cli::size(text).map(|bytes| u64::try_from(bytes).unwrap_or(u64::MAX))
            }
            Self::Count => {
                text.parse().map_err(|_| "not a count; use a number, as in 16".to_owned())
            }
            // Ten years, the longest that is taken, have room.
            Self::Time => echo_cli::duration(text)
                .map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "SIZE",
            Self::Count => "N",
            Self::Time => "DUR",
        })
    }
}
