//! Netstrings (D. J. Bernstein, 1997, <https://cr.yp.to/proto/netstrings.txt>), without I/O.
//!
//! ```text
//! +---------------------+-----+----------------------+-----+
//! | len: decimal digits | `:` | payload: `len` bytes | `,` |   no leading zero, len <= max
//! +---------------------+-----+----------------------+-----+
//! ```
//!
//! The comma is a check that the stream is still in step, so it is verified even after a payload
//! that is skipped as too long.

use alloc::vec::Vec;

use super::{DEFAULT_MAX_PAYLOAD, Decoded, Decoder, Encoder, Span, check_limit, skip::Skip};
use crate::{EncodeError, FrameError, Malformed};

/// The digits of `u64::MAX`.
const MAX_DIGITS: usize = 20;

/// Payloads as netstrings: `5:hello,`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Netstring {
    max: usize,
    skip: Skip,
}

impl Netstring {
    /// Netstrings with payloads of up to [`DEFAULT_MAX_PAYLOAD`] bytes.
    #[must_use]
    pub const fn new() -> Self {
        Self { max: DEFAULT_MAX_PAYLOAD, skip: Skip::NONE }
    }

    /// The largest payload, in bytes.
    #[must_use]
    pub const fn max_payload(mut self, bytes: usize) -> Self {
        self.max = bytes;
        self
    }

    /// Lifts the limit: a payload may be as large as memory allows. For trusted peers only.
    #[must_use]
    pub const fn unlimited(self) -> Self {
        self.max_payload(usize::MAX)
    }
}

impl Default for Netstring {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder for Netstring {
    fn decode(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        if let Some(skipped) = self.skip.advance(src, 1) {
            return Ok(skipped);
        }
        if self.skip.is_active() {
            let Some(comma) = src.first() else {
                return Ok(Decoded::NeedMore(1));
            };
            check_comma(*comma)?;
            self.skip = Skip::NONE;
            return Ok(Decoded::Discard(1));
        }
        let Some((claim, header)) = length(src)? else {
            return Ok(Decoded::NeedMore(1));
        };
        let Some(len) = usize::try_from(claim).ok().filter(|len| *len <= self.max) else {
            self.skip = Skip::start(header as u128 + u128::from(claim) + 1);
            return Err(FrameError::TooLong { max: self.max, len: Some(claim) });
        };
        let end = header.saturating_add(len);
        let Some(comma) = src.get(end) else {
            return Ok(Decoded::NeedMore(end.saturating_add(1) - src.len()));
        };
        check_comma(*comma)?;
        Ok(Decoded::Frame(Span { payload: header..end, consumed: end + 1 }))
    }

    fn decode_eof(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        match self.decode(src)? {
            Decoded::NeedMore(_) if self.skip.is_active() => Err(self.skip.truncated()),
            Decoded::NeedMore(missing) if !src.is_empty() => {
                let got = src.len() as u64;
                let expected = length(src)?.and_then(|_| got.checked_add(missing as u64));
                Err(FrameError::Truncated { got, expected })
            }
            decoded => Ok(decoded),
        }
    }

    fn is_skipping(&self) -> bool {
        self.skip.is_active()
    }

    fn max_buffered(&self) -> Option<usize> {
        self.max.checked_add(MAX_DIGITS + 2)
    }
}

impl Encoder for Netstring {
    fn encode(&self, payload: &[u8], header: &mut Vec<u8>) -> Result<&[u8], EncodeError> {
        check_limit(payload, self.max)?;
        let start = header.len();
        let mut rest = payload.len();
        loop {
            header.push(b"0123456789"[rest % 10]);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        header[start..].reverse();
        header.push(b':');
        Ok(b",")
    }
}

fn check_comma(byte: u8) -> Result<(), FrameError> {
    if byte != b',' {
        return Err(FrameError::Malformed(Malformed::NetstringComma(byte)));
    }
    Ok(())
}

/// The length at the front of `src` and the size of its digits and colon; `None` while incomplete.
fn length(src: &[u8]) -> Result<Option<(u64, usize)>, FrameError> {
    let mut value = 0_u64;
    // A length that fits ends within MAX_DIGITS + 1 bytes, or has overflowed by then.
    for (i, byte) in src.iter().enumerate().take(MAX_DIGITS + 1) {
        match byte {
            b':' if i > 0 => return Ok(Some((value, i + 1))),
            b'0'..=b'9' if i == 1 && src[0] == b'0' => {
                return Err(FrameError::Malformed(Malformed::NetstringLeadingZero));
            }
            b'0'..=b'9' => {
                value = value
                    .checked_mul(10)
                    .and_then(|value| value.checked_add(u64::from(byte - b'0')))
                    .ok_or(FrameError::Malformed(Malformed::NetstringOverflow))?;
            }
            other => return Err(FrameError::Malformed(Malformed::NetstringLength(*other))),
        }
    }
    Ok(None)
}
