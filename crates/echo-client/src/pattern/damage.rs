//! What can happen to bytes on their way, in words.

use std::fmt;

/// What to ask when all that came back is damaged.
pub(crate) const NOT_AN_ECHO: &str = "nothing came back as it was sent: is that an echo service?";

/// One thing that has happened to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// What it is.
    pub kind: DamageKind,
    /// Where in the stream as it was sent: of the first byte that is wrong, missing or out of place.
    pub offset: u64,
    /// How many bytes are concerned.
    pub extent: u64,
}

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DamageKind {
    /// Other bytes came in their place, or between them, that nobody has sent.
    Corrupt,
    /// They never came.
    Lost,
    /// They came once more.
    Duplicated,
    /// They came after bytes that were sent later.
    Reordered,
    /// Another connection's bytes came in their place, or between them.
    Crossed {
        /// Whose bytes they are.
        connection: u32,
        /// Where in that connection's stream they belong.
        offset: u64,
    },
}

impl DamageKind {
    /// The kind in one word: `corrupt`, `lost`, `duplicated`, `reordered` or `crossed`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Corrupt => "corrupt",
            Self::Lost => "lost",
            Self::Duplicated => "duplicated",
            Self::Reordered => "reordered",
            Self::Crossed { .. } => "crossed",
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, offset, extent } = self;
        let bytes = if *extent == 1 { "byte" } else { "bytes" };
        match kind {
            DamageKind::Corrupt => write!(f, "corrupt at offset {offset}, {extent} {bytes}"),
            DamageKind::Crossed { connection, offset: theirs } => write!(
                f,
                "crossed: {extent} {bytes} of connection {connection} (its offset {theirs}) at \
                 offset {offset}"
            ),
            _ => write!(f, "{} {extent} {bytes} at offset {offset}", kind.name()),
        }
    }
}
