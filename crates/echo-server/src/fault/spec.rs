//! `--fault SPEC`: which fault, and how much of it.
//!
//! ```text
//! name          with the default, if it takes a value
//! name=VALUE    a size (64KiB), a duration (50ms) or a count (16)
//! list          explains them all
//! ```

use std::{
    fmt,
    io::{self, Write},
    str::FromStr,
};

use echo_cli::Endpoint;
use thiserror::Error;

use super::{
    catalog::{self, Entry, Kind},
    datagrams::DatagramSpoiler,
    spoiler::Spoilers,
};

/// A way to misbehave, on purpose.
///
/// ```
/// let fault: echo_server::Fault = "delay".parse()?;
/// assert_eq!(fault.to_string(), "delay=50ms");
/// # Ok::<(), echo_server::ParseFaultError>(())
/// ```
#[derive(Clone)]
pub struct Fault {
    entry: &'static Entry,
    /// Bytes, a count, or nanoseconds, as the entry has it; 0 for one without a value.
    value: u64,
    /// The value as written, or its default.
    text: String,
}

impl FaultArg {
    pub(crate) fn fault(&self) -> Option<&Fault> {
        match self {
            Self::List => None,
            Self::Fault(fault) => Some(fault),
        }
    }
}

/// The kind of endpoint that a fault is shown on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Needs {
    /// TCP or Unix sockets.
    Connections,
    /// TCP: there is no RST and no delayed ACK elsewhere.
    Tcp,
    /// UDP.
    Datagrams,
}

/// What `--fault` takes.
#[derive(Debug, Clone)]
pub(crate) enum FaultArg {
    List,
    Fault(Fault),
}

/// Why a text is not a [`Fault`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseFaultError {
    /// There is no fault of that name.
    #[error("there is no fault '{}'{}; --fault list explains all", .name.escape_debug(), or_rather(*.near))]
    Unknown {
        /// As it was given.
        name: String,
        /// One of a similar name.
        near: Option<&'static str>,
    },
    /// A value for a fault that takes none.
    #[error("'{name}' takes no value; use --fault {name}")]
    NoValue {
        /// The fault.
        name: &'static str,
    },
    /// A value that cannot be read.
    #[error("{why}; the default of '{name}' is {default}")]
    Value {
        /// The fault.
        name: &'static str,
        /// What it is when it is left out.
        default: &'static str,
        /// What is wrong, and how it is written.
        why: String,
    },
}

fn or_rather(near: Option<&str>) -> String {
    near.map(|near| format!("; a similar one is '{near}'")).unwrap_or_default()
}

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let entry = catalog::all().find(|entry| entry.name == name).ok_or_else(|| {
            ParseFaultError::Unknown { name: name.to_owned(), near: nearest(name) }
        })?;
        let name = entry.name;
        match (entry.kind.parameter(), value) {
            (None, None) => Ok(Self { entry, value: 0, text: String::new() }),
            (None, Some(_)) => Err(ParseFaultError::NoValue { name }),
            (Some(parameter), value) => {
                let default = parameter.default;
                let text = value.unwrap_or(default);
                let value = parameter.unit.parse(text);
                let value = value.map_err(|why| ParseFaultError::Value { name, default, why })?;
                Ok(Self { entry, value, text: text.to_owned() })
            }
        }
    }
}

/// The most similar name, if any is similar.
fn nearest(name: &str) -> Option<&'static str> {
    /// Of names with nothing in common it is 0, of equal ones 1.
    const SIMILAR: f64 = 0.8;
    let rated = catalog::all().map(|entry| (strsim::jaro_winkler(name, entry.name), entry.name));
    let best = rated.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(similarity, _)| *similarity >= SIMILAR).map(|(_, name)| name)
}

impl Fault {
    /// What it does, and what does the same in real life.
    #[must_use]
    pub fn explanation(&self) -> &'static str {
        self.entry.does
    }

    pub(crate) fn is_of_datagrams(&self) -> bool {
        matches!(self.entry.kind, Kind::Datagrams(_))
    }

    /// What it is shown on.
    pub(crate) fn needs(&self) -> Needs {
        match self.entry.kind {
            Kind::Stream(_) => Needs::Connections,
            Kind::Tcp(_) => Needs::Tcp,
            Kind::Datagrams(_) => Needs::Datagrams,
        }
    }

    /// For a relay, if it is a fault of connections.
    pub(super) fn spoilers(&self) -> Option<Spoilers> {
        match &self.entry.kind {
            Kind::Stream(value) | Kind::Tcp(value) => Some(value.make(self.value)),
            Kind::Datagrams(_) => None,
        }
    }

    /// For an endpoint, if it is a fault of datagrams.
    pub(super) fn datagram_spoiler(&self) -> Option<Box<dyn DatagramSpoiler>> {
        match &self.entry.kind {
            Kind::Datagrams(value) => Some(value.make(self.value)),
            Kind::Stream(_) | Kind::Tcp(_) => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.entry.name)?;
        if !self.text.is_empty() {
            write!(f, "={}", self.text)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fault").field(&self.to_string()).finish()
    }
}

impl Needs {
    /// Whether it is shown on such an endpoint.
    pub(crate) fn is_met_by(self, endpoint: &Endpoint) -> bool {
        match endpoint {
            Endpoint::Tcp { .. } => self != Self::Datagrams,
            Endpoint::Udp { .. } => self == Self::Datagrams,
            _ => self == Self::Connections,
        }
    }
}

impl fmt::Display for Needs {
    /// What to listen on for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connections | Self::Tcp => "tcp://HOST:PORT",
            Self::Datagrams => "udp://HOST:PORT",
        })
    }
}

impl FromStr for FaultArg {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "list" { Ok(Self::List) } else { text.parse().map(Self::Fault) }
    }
}

/// Explains every fault in a line: its name, its value with the default, what it does.
pub(crate) fn list(to: &mut impl Write) -> io::Result<()> {
    for entry in catalog::all() {
        let mut name = entry.name.to_owned();
        if let Some(parameter) = entry.kind.parameter() {
            name += &format!("={} [{}]", parameter.unit, parameter.default);
        }
        writeln!(to, "{name:<31} {}", entry.does)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn error(spec: &str) -> String {
        spec.parse::<Fault>().unwrap_err().to_string()
    }

    #[test]
    fn a_value_has_its_unit_and_its_default() {
        for (spec, shown, value) in [
            ("delay=2s", "delay=2s", 2_000_000_000),
            ("delay", "delay=50ms", 50_000_000),
            ("close-after=1KiB", "close-after=1KiB", 1024),
            ("leak=0", "leak=0", 0),
            ("never-close", "never-close", 0),
        ] {
            let fault: Fault = spec.parse().unwrap();
            assert_eq!((&*fault.to_string(), fault.value), (shown, value));
        }
    }

    #[test]
    fn what_is_not_a_fault_is_refused_with_cause_and_fix() {
        assert_eq!(
            error("dely=5ms"),
            "there is no fault 'dely'; a similar one is 'delay'; --fault list explains all"
        );
        assert_eq!(error("xyzzy"), "there is no fault 'xyzzy'; --fault list explains all");
        assert_eq!(error(""), "there is no fault ''; --fault list explains all");
        assert_eq!(error("crlf=1"), "'crlf' takes no value; use --fault crlf");
        for (spec, example) in [("delay=5", "250ms"), ("cap=much", "64KiB"), ("leak=-1", "16")] {
            let said = error(spec);
            assert!(said.contains(example) && said.contains("the default of"), "{said}");
        }
        assert!(error("delay=").contains("not a duration"));
    }

    #[test]
    fn every_fault_has_a_name_of_its_own_a_good_default_and_a_line() {
        let mut list = Vec::new();
        super::list(&mut list).unwrap();
        let list = String::from_utf8(list).unwrap();
        let mut names = HashSet::new();
        for (entry, line) in catalog::all().zip(list.lines()) {
            let name = entry.name;
            assert!(names.insert(name), "{name} is there twice");
            assert!(name != "list" && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-'));
            name.parse::<Fault>().unwrap();
            assert!(line.starts_with(name) && line.ends_with(entry.does), "{line}");
            assert!(line.len() <= 130, "too long to be read: {line}");
        }
        assert!(names.len() >= 30, "{}", names.len());
    }
}
