//! Whether what came back is what was sent, in one line and in an exit code.

use std::{fmt, time::Duration};

use echo_cli::Endpoint;
use serde::Serialize;

use crate::{bench::nanos, figures};

/// The judgement of one `send`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Payload bytes that were sent, or were about to be when the connection failed.
    pub sent: u64,
    /// Payload bytes that came back.
    pub returned: u64,
    /// Frames that were sent and did not come back; empty ones count, too. 0 without framing.
    pub missing_frames: usize,
    /// The first place where they differ.
    pub mismatch: Option<Mismatch>,
    /// The whole input was sent.
    pub all_sent: bool,
    /// What ended the exchange.
    pub end: End,
    /// From the first byte to the end.
    pub elapsed: Duration,
}

/// The first place where what came back is not what was sent. Offsets count payload bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mismatch {
    /// Another byte.
    Byte {
        /// Its offset.
        offset: u64,
        /// The byte sent.
        sent: u8,
        /// The byte that came back.
        returned: u8,
    },
    /// Bytes, or a frame, that were not sent.
    NotSent {
        /// Where they begin.
        offset: u64,
    },
    /// A frame of another length.
    FrameLength {
        /// Where the shorter one ends.
        offset: u64,
        /// The payload's length as sent.
        sent: usize,
        /// The payload's length as it came back.
        returned: usize,
    },
}

/// What ended an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The peer closed its side.
    PeerClosed,
    /// Everything is back, and the peer keeps the connection open.
    AllReturned,
    /// Bytes are due and nothing came for so long.
    TimedOut(Duration),
    /// The connection failed, or what came is not of this framing.
    Failed(String),
    /// Nobody reads our output any more.
    OutputClosed,
    /// SIGINT.
    Interrupted,
}

impl Verdict {
    /// True when every byte of the input came back, in order, and nothing else.
    #[must_use]
    pub fn is_identical(&self) -> bool {
        self.all_sent
            && self.all_due_is_back()
            && !matches!(self.end, End::Failed(_) | End::TimedOut(_))
    }

    /// True unless the path is at fault: what our own output or user has cut short is judged as far
    /// as it came.
    #[must_use]
    pub fn is_good(&self) -> bool {
        match self.end {
            End::OutputClosed | End::Interrupted => self.mismatch.is_none(),
            _ => self.is_identical(),
        }
    }

    /// The verdict as `--json` prints it.
    pub(super) fn to_json(&self, target: &Endpoint) -> String {
        let offset = self.mismatch.map(|mismatch| match mismatch {
            Mismatch::Byte { offset, .. }
            | Mismatch::NotSent { offset }
            | Mismatch::FrameLength { offset, .. } => offset,
        });
        crate::json_line(&Json {
            schema: 1,
            kind: "send",
            target: target.to_string(),
            good: self.is_good(),
            identical: self.is_identical(),
            sent: self.sent,
            returned: self.returned,
            missing_frames: self.missing_frames,
            mismatch_at: offset,
            end: self.end.to_string(),
            elapsed_ns: nanos(self.elapsed),
        })
    }

    fn all_due_is_back(&self) -> bool {
        self.mismatch.is_none() && self.returned == self.sent && self.missing_frames == 0
    }
}

/// The object, and the order of its fields.
#[derive(Serialize)]
struct Json {
    schema: u32,
    kind: &'static str,
    target: String,
    good: bool,
    identical: bool,
    sent: u64,
    returned: u64,
    missing_frames: usize,
    mismatch_at: Option<u64>,
    end: String,
    elapsed_ns: u64,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, returned, .. } = self;
        if self.is_identical() {
            let elapsed = figures::duration(self.elapsed);
            write!(f, "identical: {sent} bytes sent and returned in {elapsed}")?;
            return match self.end {
                End::AllReturned => f.write_str("; the peer keeps the connection open"),
                _ => Ok(()),
            };
        }
        match self.mismatch {
            Some(Mismatch::Byte { offset, sent, returned }) => write!(
                f,
                "different: at offset {offset}, 0x{sent:02x} was sent and 0x{returned:02x} returned"
            )?,
            Some(Mismatch::NotSent { offset }) => {
                write!(f, "different: from offset {offset} on, more returned than was sent")?;
            }
            Some(Mismatch::FrameLength { offset, sent, returned }) => write!(
                f,
                "different: at offset {offset}, a frame of {sent} bytes returned as one of {returned}"
            )?,
            None if self.is_good() || self.all_due_is_back() => {
                write!(f, "unfinished: identical up to offset {returned}")?;
            }
            None => write!(f, "incomplete: identical up to offset {returned}, then nothing")?,
        }
        write!(f, "; {sent} bytes sent, {returned} returned")?;
        if self.missing_frames > 0 {
            write!(f, ", {} frames missing", self.missing_frames)?;
        }
        match &self.end {
            End::PeerClosed if !self.all_sent => write!(f, "; {} before the input ended", self.end),
            end => write!(f, "; {end}"),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerClosed => f.write_str("the peer closed"),
            Self::AllReturned => f.write_str("the peer keeps the connection open"),
            Self::TimedOut(timeout) => {
                write!(f, "nothing came for {}", figures::duration(*timeout))
            }
            Self::Failed(why) => f.write_str(why),
            Self::OutputClosed => f.write_str("our output was closed"),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docs::{documented, printed};

    #[test]
    fn every_field_of_the_json_is_documented_and_no_other() {
        let verdict = Verdict {
            sent: 5,
            returned: 5,
            missing_frames: 0,
            mismatch: None,
            all_sent: true,
            end: End::PeerClosed,
            elapsed: Duration::ZERO,
        };
        let json = verdict.to_json(&"127.0.0.1:7".parse().unwrap());
        assert_eq!(documented("send"), printed(&json));
    }
}
