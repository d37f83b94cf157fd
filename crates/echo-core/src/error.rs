//! What can go wrong with a frame, whoever moves its bytes.
//!
//! [`FrameError`] is the decoders' and [`EncodeError`] the encoders'. The blocking drivers wrap them
//! in [`RecvError`](crate::RecvError) and [`SendError`](crate::SendError), which add I/O.

use thiserror::Error;

/// Why no further frame can be taken from the bytes received so far.
///
/// The same bytes give the same errors in the same order, however reads cut them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The peer closed inside a frame. Final: asked again, the same error comes.
    ///
    /// The bytes received are in `partial()`, unless the frame was being skipped as too long.
    #[error("stream ended after {got} bytes of an unfinished frame{}", Expected(*expected))]
    Truncated {
        /// Every byte of the unfinished frame that arrived, header and skipped bytes included.
        got: u64,
        /// The full size of the frame, header included, where it is known.
        expected: Option<u64>,
    },
    /// A frame's payload is over the limit. Resumable: ask again, and the rest of that frame is
    /// skipped, then the next frame comes.
    #[error("frame{} is over the limit of {max} bytes", Claim(*len))]
    TooLong {
        /// The largest payload allowed, in bytes.
        max: usize,
        /// The payload's claimed length, where the framing has one.
        len: Option<u64>,
    },
    /// The bytes are not of this framing. Final: where the next frame would begin is unknown.
    #[error("malformed frame: {0}")]
    Malformed(Malformed),
}

impl FrameError {
    /// True when the next call may succeed: only [`TooLong`](Self::TooLong) leaves the stream in step.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        matches!(self, Self::TooLong { .. })
    }
}

/// How a frame breaks the rules of its framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The length field and the adjustment add up to less than nothing or more than `u64`.
    #[error("length field {field} with adjustment {adjustment} is out of range")]
    Adjustment {
        /// The length field as received.
        field: u64,
        /// The configured adjustment.
        adjustment: i64,
    },
    /// A varint goes on after its tenth byte, or its value is over `u64`.
    #[error("varint does not fit in 64 bits")]
    Varint,
    /// A netstring's length starts with a zero but is not `0`.
    #[error("netstring length has a leading zero")]
    NetstringLeadingZero,
    /// A byte that cannot stand in a netstring's length, or no digit before the colon.
    #[error("netstring length has the byte '{}' where a digit or colon belongs", .0.escape_ascii())]
    NetstringLength(u8),
    /// A netstring's length is over `u64`.
    #[error("netstring length does not fit in 64 bits")]
    NetstringOverflow,
    /// A netstring's payload is followed by something else than a comma.
    #[error("netstring payload is followed by '{}' instead of a comma", .0.escape_ascii())]
    NetstringComma(u8),
    /// The decoder answered with a span outside the bytes it was given: a defect of that decoder.
    #[error("the decoder answered with a span outside the received bytes")]
    DecoderSpan,
}

/// Why a payload cannot be sent in this framing. Nothing has been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The payload is over the limit, so the same framing would refuse it at the other end.
    #[error("payload of {len} bytes is over the limit of {max} bytes")]
    TooLong {
        /// The largest payload allowed, in bytes.
        max: usize,
        /// The payload's length, in bytes.
        len: usize,
    },
    /// The length field cannot hold this payload's length.
    #[error("a payload of {len} bytes does not fit the length field")]
    LengthField {
        /// The payload's length, in bytes.
        len: usize,
    },
    /// A fixed-length frame has to be of its one size.
    #[error("payload of {len} bytes where every frame has {expected}")]
    WrongLength {
        /// The size of every frame, in bytes.
        expected: usize,
        /// The payload's length, in bytes.
        len: usize,
    },
    /// The receiver would find a delimiter before the one that ends this frame.
    #[error("payload holds, or together with the delimiter forms, a delimiter at byte {at}")]
    Delimiter {
        /// Where that delimiter begins, counted from the payload's first byte. Beyond its last one
        /// where the delimiter that is sent holds another.
        at: usize,
    },
}

/// A framing option that makes no sense, refused when the codec is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OptionError {
    /// Frames of zero bytes would never use up the stream.
    #[error("a fixed length has to be at least 1 byte")]
    ZeroLength,
    /// No delimiter, so no frame would ever end.
    #[error("at least one delimiter is needed")]
    NoDelimiter,
    /// An empty delimiter would end every frame at once.
    #[error("a delimiter has to be at least 1 byte")]
    EmptyDelimiter,
}

struct Expected(Option<u64>);

impl core::fmt::Display for Expected {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            Some(expected) => write!(f, " of {expected}"),
            None => Ok(()),
        }
    }
}

struct Claim(Option<u64>);

impl core::fmt::Display for Claim {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            Some(len) => write!(f, " of {len} bytes"),
            None => Ok(()),
        }
    }
}
