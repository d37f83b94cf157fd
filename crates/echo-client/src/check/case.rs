//! What a check is, what it can see, and what that counts for.

use std::time::Duration;

use super::trial::Trial;

/// One check: what it does, and everything that is to be known about it.
#[derive(Debug)]
pub(super) struct Check {
    /// `family.name`, the same for ever: people write it into scripts.
    pub(super) id: &'static str,
    pub(super) level: Level,
    /// What it does, in a sentence.
    pub(super) does: &'static str,
    /// What is to come of it, in a sentence.
    pub(super) expected: &'static str,
    /// Where to look when that is not what came.
    pub(super) hint: &'static str,
    /// The RFC section, or the defect that is known to be behind it.
    pub(super) source: &'static str,
    /// It runs with `--slow` only.
    pub(super) slow: bool,
    pub(super) run: Run,
}

/// Does what the check does.
pub(super) type Run = fn(&Trial<'_>) -> Result<Seen, Broken>;

/// How much is meant by a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// Broken, bytes are lost or programs hang: FAIL.
    Must,
    /// Broken, things are slower or stranger than they should be: WARN.
    Should,
    /// No promise; it tells what the path is like: INFO.
    Info,
}

/// What a check has seen of a promise that was kept, in words.
#[derive(Debug)]
pub(super) enum Seen {
    /// It is as expected.
    Kept(String),
    /// Nothing is lost, but it is not as it should be.
    Odd(String),
    /// There was nothing to be seen, for this reason.
    Nothing(String),
}

/// Why a check could not see what it expected.
#[derive(Debug)]
pub(super) enum Broken {
    /// The path does otherwise, in words.
    Promise(String),
    /// The path still did as it should when the check's time was over, in words.
    Slow(String),
    /// We could not do what the check does, for a reason on our side, in words.
    Ours(String),
    /// SIGINT.
    Interrupted,
}

/// What became of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    Pass,
    Info,
    Skip,
    Warn,
    Fail,
}

/// A check that is done with.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) check: &'static Check,
    pub(super) outcome: Outcome,
    pub(super) seen: String,
    pub(super) took: Duration,
}

impl Check {
    /// The part of the id before the dot.
    pub(super) fn family(&self) -> &'static str {
        self.id.split('.').next().unwrap_or(self.id)
    }

    /// What that counts for which it has seen.
    pub(super) fn judge(&self, seen: Result<Seen, Broken>) -> (Outcome, String) {
        let broken = match self.level {
            Level::Must => Outcome::Fail,
            Level::Should => Outcome::Warn,
            Level::Info => Outcome::Info,
        };
        match seen {
            Ok(Seen::Kept(words)) if self.level == Level::Info => (Outcome::Info, words),
            Ok(Seen::Kept(words)) => (Outcome::Pass, words),
            Ok(Seen::Odd(words)) | Err(Broken::Slow(words)) => (broken.min(Outcome::Warn), words),
            Ok(Seen::Nothing(words)) | Err(Broken::Ours(words)) => (Outcome::Skip, words),
            Err(Broken::Promise(words)) => (broken, words),
            Err(Broken::Interrupted) => (Outcome::Skip, "interrupted".to_owned()),
        }
    }
}

impl Broken {
    /// The same, and where or when it was.
    pub(super) fn at(self, place: &str) -> Self {
        match self {
            Self::Promise(words) => Self::Promise(format!("{place}: {words}")),
            Self::Slow(words) => Self::Slow(format!("{place}: {words}")),
            Self::Ours(words) => Self::Ours(format!("{place}: {words}")),
            Self::Interrupted => Self::Interrupted,
        }
    }
}

impl Level {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Must => "must",
            Self::Should => "should",
            Self::Info => "info",
        }
    }
}

impl Outcome {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Info => "INFO",
            Self::Skip => "SKIP",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        }
    }

    /// Whether it is to be told why, and what to do about it.
    pub(super) fn is_bad(self) -> bool {
        matches!(self, Self::Warn | Self::Fail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(level: Level) -> Check {
        Check {
            id: "family.name",
            level,
            does: "",
            expected: "",
            hint: "",
            source: "",
            slow: false,
            run: |_| Err(Broken::Interrupted),
        }
    }

    #[test]
    fn what_is_seen_counts_as_the_level_says() {
        use Level::{Info, Must, Should};
        let words = String::new;
        for (level, kept, odd, broken) in [
            (Must, Outcome::Pass, Outcome::Warn, Outcome::Fail),
            (Should, Outcome::Pass, Outcome::Warn, Outcome::Warn),
            (Info, Outcome::Info, Outcome::Info, Outcome::Info),
        ] {
            let judged = |seen| check(level).judge(seen).0;
            assert_eq!(judged(Ok(Seen::Kept(words()))), kept, "{level:?}");
            assert_eq!(judged(Ok(Seen::Odd(words()))), odd, "{level:?}");
            assert_eq!(judged(Err(Broken::Promise(words()))), broken, "{level:?}");
            assert_eq!(judged(Err(Broken::Slow(words()))), odd, "{level:?}");
            assert_eq!(judged(Ok(Seen::Nothing(words()))), Outcome::Skip, "{level:?}");
            assert_eq!(judged(Err(Broken::Ours(words()))), Outcome::Skip, "{level:?}");
        }
    }
}
