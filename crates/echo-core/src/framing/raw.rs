//! No framing: bytes as they come.
//!
//! Only the concatenation of the frames is invariant; where they are cut depends on the reads.

use alloc::vec::Vec;

use super::{Decoded, Decoder, Encoder, Span};
use crate::{EncodeError, FrameError};

/// Hands on whatever has been received. There is no limit and no empty frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Raw;

impl Decoder for Raw {
    #[inline]
    fn decode(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        Ok(match src.len() {
            0 => Decoded::NeedMore(1),
            n => Decoded::Frame(Span { payload: 0..n, consumed: n }),
        })
    }

    fn max_buffered(&self) -> Option<usize> {
        Some(0)
    }
}

impl Encoder for Raw {
    fn encode(&self, _payload: &[u8], _header: &mut Vec<u8>) -> Result<&[u8], EncodeError> {
        Ok(&[])
    }
}
