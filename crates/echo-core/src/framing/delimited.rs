//! Delimited framing, without I/O: lines, any byte string, any of several.
//!
//! ```text
//! +----------------------+-----------+----------------------+-----------+
//! | payload, 0..=max     | delimiter | payload, 0..=max     | delimiter |
//! +----------------------+-----------+----------------------+-----------+
//! ```
//!
//! The earliest match end wins, on a tie the longest delimiter. So a search need only look for the
//! last byte of a delimiter and compare what stands before it; every byte is looked at once, however
//! the stream is cut, and a delimiter cut in two by a read is found like any other.
//!
//! The limit counts the payload only. A frame is too long as soon as no continuation can make it
//! fit: when each delimiter that is half received would begin beyond `max`.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use super::{
    DEFAULT_MAX_DELIMITED, Decoded, Decoder, Encoder, Span, check_limit, delimiters::Delimiters,
};
use crate::{EncodeError, FrameError, OptionError};

/// Every payload is followed by a delimiter.
///
/// ```
/// use echo_core::{Delimited, Deframer, Polled};
///
/// let mut lines = Deframer::new(Delimited::lines());
/// lines.push(b"unix\nwindows\r\n");
/// assert_eq!(lines.poll(), Ok(Polled::Frame(b"unix")));
/// assert_eq!(lines.poll(), Ok(Polled::Frame(b"windows")));
/// ```
#[derive(Debug, Clone)]
pub struct Delimited {
    /// Shared by clones: a server has one for each connection.
    delimiters: Arc<Delimiters>,
    max: usize,
    allow_unterminated: bool,
    /// No delimiter ends in `src[..searched]`. 0 whenever something was consumed to a boundary.
    searched: usize,
    /// Where in the stream `searched` counts from, see [`Decoder::resume_at`].
    offset: u64,
    /// How much of a frame that is too long has been discarded.
    skipped: Option<u64>,
}

impl Delimited {
    /// Lines ended by LF or CRLF, sent with LF. A lone CR is data.
    #[must_use]
    pub fn lines() -> Self {
        Self::with(Delimiters::new(&[&b"\n"[..], b"\r\n"]))
    }

    /// Frames ended by `delimiter`.
    ///
    /// # Errors
    /// [`OptionError::EmptyDelimiter`].
    pub fn by(delimiter: &[u8]) -> Result<Self, OptionError> {
        Self::by_any(&[delimiter])
    }

    /// Frames ended by any of `delimiters`, sent with the first. Where several end at the same
    /// byte, the longest counts.
    ///
    /// # Errors
    /// [`OptionError::NoDelimiter`], [`OptionError::EmptyDelimiter`].
    pub fn by_any<B: AsRef<[u8]>>(delimiters: &[B]) -> Result<Self, OptionError> {
        if delimiters.is_empty() {
            return Err(OptionError::NoDelimiter);
        }
        if delimiters.iter().any(|delimiter| delimiter.as_ref().is_empty()) {
            return Err(OptionError::EmptyDelimiter);
        }
        Ok(Self::with(Delimiters::new(delimiters)))
    }

    /// The largest payload, in bytes. Default [`DEFAULT_MAX_DELIMITED`].
    #[must_use]
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max = bytes;
        self
    }

    /// Lifts the limit: a payload may be as large as memory allows. For trusted peers only.
    #[must_use]
    pub fn unlimited(self) -> Self {
        self.max_payload(usize::MAX)
    }

    /// Takes what stands between the last delimiter and the end of the stream as a frame, too,
    /// unless it is empty. Without this it is [`FrameError::Truncated`].
    #[must_use]
    pub fn allow_unterminated(mut self) -> Self {
        self.allow_unterminated = true;
        self
    }

    /// The delimiter that is sent.
    #[must_use]
    pub fn delimiter(&self) -> &[u8] {
        &self.delimiters.sent
    }

    /// As [`by_any`](Self::by_any), for a list that is known to be sound.
    pub(super) fn of_list(delimiters: &[Box<[u8]>]) -> Self {
        Self::with(Delimiters::new(delimiters))
    }

    fn with(delimiters: Delimiters) -> Self {
        Self {
            delimiters: Arc::new(delimiters),
            max: DEFAULT_MAX_DELIMITED,
            allow_unterminated: false,
            searched: 0,
            offset: 0,
            skipped: None,
        }
    }

    /// All that `decode` has to deal with.
    #[inline(never)]
    fn decode_any(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        let Some((payload, consumed)) = self.delimiters.find(src, self.searched) else {
            return self.unfinished(src);
        };
        if self.skipped.is_some() {
            (self.skipped, self.searched) = (None, 0);
            return Ok(Decoded::Discard(consumed));
        }
        if payload > self.max {
            // Found again by the next call, which discards it.
            self.searched = consumed - 1;
            return Err(self.too_long());
        }
        self.searched = 0;
        Ok(Decoded::Frame(Span { payload: 0..payload, consumed }))
    }

    /// No delimiter ends in `src`: waits for more, or gives the frame up.
    fn unfinished(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        self.searched = src.len();
        if self.skipped.is_some() {
            // What may be the front of a delimiter stays.
            return Ok(match self.delimiters.half_received(src) {
                0 => Decoded::NeedMore(1),
                n => self.discard(src, n),
            });
        }
        if src.len() > self.max && self.delimiters.half_received(src) > self.max {
            return Err(self.too_long());
        }
        Ok(Decoded::NeedMore(1))
    }

    fn too_long(&mut self) -> FrameError {
        self.skipped = Some(0);
        FrameError::TooLong { max: self.max, len: None }
    }

    fn discard(&mut self, src: &[u8], n: usize) -> Decoded {
        self.skipped = self.skipped.map(|skipped| skipped.saturating_add(n as u64));
        self.searched = src.len() - n;
        Decoded::Discard(n)
    }
}

impl Decoder for Delimited {
    #[inline]
    fn decode(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        match self.decode_whole(src) {
            Some(span) => Ok(Decoded::Frame(span)),
            None => self.decode_any(src),
        }
    }

    #[inline(always)]
    fn decode_whole(&mut self, src: &[u8]) -> Option<Span> {
        if self.searched != 0 || self.skipped.is_some() {
            return None;
        }
        // What is not for here is left to `decode`, which goes on at `searched`.
        match self.delimiters.find_first(src) {
            Ok((payload, consumed)) if payload <= self.max => {
                Some(Span { payload: 0..payload, consumed })
            }
            Ok((_, consumed)) => {
                self.searched = consumed - 1;
                None
            }
            Err(searched) => {
                self.searched = searched;
                None
            }
        }
    }

    fn decode_eof(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        let decoded = self.decode(src)?;
        if !matches!(decoded, Decoded::NeedMore(_)) {
            return Ok(decoded);
        }
        let got = src.len() as u64;
        match self.skipped {
            Some(_) if self.allow_unterminated && !src.is_empty() => {
                (self.skipped, self.searched) = (None, 0);
                Ok(Decoded::Discard(src.len()))
            }
            Some(_) if self.allow_unterminated => {
                self.skipped = None;
                Ok(decoded)
            }
            Some(skipped) => {
                Err(FrameError::Truncated { got: skipped.saturating_add(got), expected: None })
            }
            None if src.is_empty() => Ok(decoded),
            None if !self.allow_unterminated => Err(FrameError::Truncated { got, expected: None }),
            None if src.len() > self.max => Err(self.too_long()),
            None => {
                self.searched = 0;
                Ok(Decoded::Frame(Span { payload: 0..src.len(), consumed: src.len() }))
            }
        }
    }

    fn resume_at(&mut self, offset: u64) {
        // Nobody else consumes anything while a frame is being skipped.
        if self.offset != offset && self.skipped.is_none() {
            self.searched = 0;
        }
        self.offset = offset;
    }

    fn is_skipping(&self) -> bool {
        self.skipped.is_some()
    }

    fn max_buffered(&self) -> Option<usize> {
        self.max.checked_add(self.delimiters.longest)
    }
}

impl Encoder for Delimited {
    fn encode(&self, payload: &[u8], _header: &mut Vec<u8>) -> Result<&[u8], EncodeError> {
        check_limit(payload, self.max)?;
        match self.delimiters.first_match_of(payload) {
            Some(at) => Err(EncodeError::Delimiter { at }),
            None => Ok(&self.delimiters.sent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Deframer, framing::SCANNED};

    /// Feeds `wire` byte by byte and counts what the search has looked at.
    fn bytes_scanned(decoder: Delimited, wire: &[u8]) -> usize {
        SCANNED.with(|scanned| scanned.set(0));
        let mut deframer = Deframer::new(decoder);
        for byte in wire {
            deframer.push(&[*byte]);
            while !matches!(deframer.poll(), Ok(crate::Polled::NeedRead)) {}
        }
        SCANNED.with(core::cell::Cell::get)
    }

    #[test]
    fn guide_mistake_3_no_byte_is_scanned_twice_however_it_drips_in() {
        let mut wire = alloc::vec![b'x'; 100_000];
        wire.extend_from_slice(b"\r\n");
        let limit = |decoder: Delimited| decoder.max_payload(200_000);
        for decoder in [Delimited::lines(), Delimited::by(b"\r\n").unwrap()] {
            assert_eq!(bytes_scanned(limit(decoder), &wire), wire.len());
        }
        // A frame that is skipped costs no more, but for the byte that ends it.
        assert!(bytes_scanned(Delimited::lines().max_payload(9), &wire) <= wire.len() + 1);
    }
}
