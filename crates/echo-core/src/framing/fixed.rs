//! Frames of one fixed size.
//!
//! ```text
//! +-------------------+-------------------+
//! | payload: n bytes  | payload: n bytes  |   n >= 1, its own limit
//! +-------------------+-------------------+
//! ```

use alloc::vec::Vec;
use core::num::NonZeroUsize;

use super::{Decoded, Decoder, Encoder, Span};
use crate::{EncodeError, FrameError, OptionError};

/// Every frame has the same number of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedLength {
    len: usize, // >= 1
}

impl FixedLength {
    /// Frames of `len` bytes each.
    ///
    /// # Errors
    /// [`OptionError::ZeroLength`] when `len` is 0.
    pub const fn new(len: usize) -> Result<Self, OptionError> {
        if len == 0 {
            return Err(OptionError::ZeroLength);
        }
        Ok(Self { len })
    }

    pub(super) const fn of(len: NonZeroUsize) -> Self {
        Self { len: len.get() }
    }
}

impl Decoder for FixedLength {
    #[inline]
    fn decode(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        exactly(self.len, src)
    }

    #[inline(always)]
    fn decode_whole(&mut self, src: &[u8]) -> Option<Span> {
        (self.len <= src.len()).then_some(Span { payload: 0..self.len, consumed: self.len })
    }

    fn decode_eof(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        match exactly(self.len, src)? {
            Decoded::NeedMore(_) if !src.is_empty() => Err(short(self.len, src)),
            decoded => Ok(decoded),
        }
    }

    fn max_buffered(&self) -> Option<usize> {
        Some(self.len)
    }
}

impl Encoder for FixedLength {
    fn encode(&self, payload: &[u8], _header: &mut Vec<u8>) -> Result<&[u8], EncodeError> {
        if payload.len() != self.len {
            return Err(EncodeError::WrongLength { expected: self.len, len: payload.len() });
        }
        Ok(&[])
    }
}

/// One request for exactly `len` bytes, where 0 is fine and the end of the stream never is.
#[cfg(feature = "std")]
pub(crate) struct Exactly(pub(crate) usize);

#[cfg(feature = "std")]
impl Decoder for Exactly {
    fn decode(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        exactly(self.0, src)
    }

    fn decode_eof(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        match exactly(self.0, src)? {
            Decoded::NeedMore(_) => Err(short(self.0, src)),
            decoded => Ok(decoded),
        }
    }

    fn max_buffered(&self) -> Option<usize> {
        Some(self.0)
    }
}

#[inline]
fn exactly(len: usize, src: &[u8]) -> Result<Decoded, FrameError> {
    if src.len() < len {
        return Ok(Decoded::NeedMore(len - src.len()));
    }
    Ok(Decoded::Frame(Span { payload: 0..len, consumed: len }))
}

fn short(len: usize, src: &[u8]) -> FrameError {
    FrameError::Truncated { got: src.len() as u64, expected: Some(len as u64) }
}
