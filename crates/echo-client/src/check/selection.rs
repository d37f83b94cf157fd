//! Which checks to run, and on what.

use anyhow::bail;
use echo_cli::Endpoint;

use super::{args::CheckArgs, case::Check, family::BATTERY};

/// The family whose checks send datagrams; all others need a stream.
const DATAGRAMS: &str = "udp";

/// Checks of the battery, and where to run them.
#[derive(Debug)]
pub(super) struct Selection {
    target: Endpoint,
    checks: Vec<&'static Check>,
    /// All that the target allows, and no slow one.
    is_default: bool,
}

impl Selection {
    /// What the words ask for. Without an id, all checks that the target allows.
    ///
    /// # Errors
    /// Usage errors: no such check, two targets, or no check that suits the target.
    pub(super) fn of(args: &CheckArgs) -> anyhow::Result<Self> {
        let (mut targets, mut ids) = (Vec::new(), Vec::new());
        for word in &args.words {
            if word.contains(':') {
                let target = word.parse::<Endpoint>();
                targets.push(target.map_err(|why| anyhow::anyhow!("target '{word}': {why}"))?);
            } else if battery().any(|check| names(word, check)) {
                ids.push(word.as_str());
            } else {
                bail!("no check is called '{word}'{}", instead_of(word));
            }
        }
        if targets.len() > 1 {
            bail!("two targets; check one at a time");
        }
        let target = targets.pop().unwrap_or_else(|| args.default_target.clone());
        let suits = |check: &&Check| args.list || suits(&target, check);
        let is_meant = |check: &&Check| match &ids[..] {
            [] => args.slow || args.list || !check.slow,
            // Who names a slow check wants it; a family's are run with --slow.
            ids => ids.iter().any(|id| {
                names(id, check) && (args.slow || args.list || !check.slow || *id == check.id)
            }),
        };
        let checks: Vec<_> = battery().filter(suits).filter(is_meant).collect();
        if checks.is_empty() {
            let fix = match target {
                Endpoint::Udp { .. } => "name a TCP port, as in HOST:PORT",
                _ => "name a UDP port, as in udp://HOST:PORT, or add --slow",
            };
            bail!("none of these checks can be run on {target}; {fix}");
        }
        Ok(Self { target, checks, is_default: ids.is_empty() && !args.slow })
    }

    /// Whether it is what is run when no check is named.
    pub(super) fn is_default(&self) -> bool {
        self.is_default
    }

    pub(super) fn target(&self) -> &Endpoint {
        &self.target
    }

    /// It leaves out none.
    pub(super) fn is_whole(&self) -> bool {
        self.checks.len() == battery().count()
    }

    /// In the order in which they run.
    pub(super) fn checks(&self) -> &[&'static Check] {
        &self.checks
    }
}

/// All checks, in order.
pub(super) fn battery() -> impl Iterator<Item = &'static Check> {
    BATTERY.into_iter().flatten()
}

/// Whether `word` is the check's id or its family's.
fn names(word: &str, check: &Check) -> bool {
    word == check.id || word == check.family()
}

fn suits(target: &Endpoint, check: &Check) -> bool {
    matches!(target, Endpoint::Udp { .. }) == (check.family() == DATAGRAMS)
}

/// What might have been meant.
fn instead_of(word: &str) -> String {
    let same_name = battery().find(|check| check.id.split('.').nth(1) == Some(word));
    match same_name {
        Some(check) => format!("; did you mean '{}'?", check.id),
        None => "; --list names them all, and a target has a port, as in HOST:PORT".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: CheckArgs,
    }

    fn select(line: &str) -> anyhow::Result<Selection> {
        let words = ["x"].into_iter().chain(line.split_whitespace());
        Selection::of(&Line::parse_from(words).args)
    }

    fn ids(line: &str) -> Vec<&'static str> {
        select(line).unwrap().checks().iter().map(|check| check.id).collect()
    }

    #[test]
    fn ids_are_unlike_each_other_and_of_one_form() {
        let mut seen = std::collections::HashSet::new();
        for check in battery() {
            let (family, name) = check.id.split_once('.').unwrap();
            let is_word = |word: &str| {
                !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
            };
            assert!(is_word(family) && is_word(name), "{}", check.id);
            assert!(seen.insert(check.id), "{} twice", check.id);
            for text in [check.does, check.expected, check.hint] {
                assert!(text.ends_with('.'), "{}: not a sentence: {text}", check.id);
            }
            assert!(!check.source.is_empty(), "{}", check.id);
        }
    }

    #[test]
    fn ids_and_the_target_stand_in_any_order() {
        assert_eq!(ids("basic.hello"), ["basic.hello"]);
        assert_eq!(ids("basic.silent 127.0.0.1:7 basic.hello"), ["basic.hello", "basic.silent"]);
        assert!(ids("basic").len() > 1);
        let selection = select("basic.hello 127.0.0.1:7").unwrap();
        assert_eq!(selection.target().to_string(), "tcp://127.0.0.1:7");
    }

    #[test]
    fn what_cannot_be_selected_is_said_with_a_fix() {
        for (line, said) in [
            ("hello", "did you mean 'basic.hello'?"),
            ("basic.helo", "no check is called 'basic.helo'; --list"),
            ("localhost", "a target has a port"),
            ("h:1 h:2", "two targets"),
            ("h:x", "target 'h:x'"),
            ("udp://h:1 basic", "name a TCP port"),
        ] {
            let error = select(line).unwrap_err().to_string();
            assert!(error.contains(said), "{line}: {error}");
        }
    }
}
