//! Frames out of bytes, without I/O.
//!
//! ```text
//! loop: poll() -> Frame(payload)   use it, poll again
//!              -> NeedRead         read into space(), tell filled(n); at EOF tell close()
//!              -> Closed           the peer closed between frames: done
//! ```
//!
//! Any runtime can drive this in a few lines; [`Receiver`](crate::Receiver) does so for blocking
//! readers.

use alloc::vec::Vec;
use core::ops::Range;

use thiserror::Error;

use crate::{Decoded, Decoder, FrameError, Malformed, Span, buffer::Buffer};

/// How much room a read gets unless said otherwise, and what a buffer shrinks back to: 16 KiB.
pub const DEFAULT_READ_SIZE: usize = 16 << 10;

/// Buffers received bytes and takes frames from them with a [`Decoder`].
///
/// ```
/// use echo_core::{Deframer, LengthDelimited, Polled};
///
/// let mut deframer = Deframer::new(LengthDelimited::u32());
/// deframer.push(b"\0\0\0\x05hel"); // a read that ends inside the frame
/// assert_eq!(deframer.poll(), Ok(Polled::NeedRead));
/// deframer.push(b"lo\0\0");
/// assert_eq!(deframer.poll(), Ok(Polled::Frame(b"hello")));
/// assert_eq!(deframer.partial(), b"\0\0");
/// ```
#[derive(Debug)]
pub struct Deframer<D> {
    decoder: D,
    buffer: Buffer,
    closed: bool,
    /// The final error that ended the stream for `decoder`.
    failed: Option<FrameError>,
}

/// What [`Deframer::poll`] has to offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polled<'a> {
    /// The next frame's payload, lent until the next call.
    Frame(&'a [u8]),
    /// More bytes are needed: fill [`space`](Deframer::space), or [`close`](Deframer::close).
    NeedRead,
    /// The peer closed at a frame boundary; asked again, the same answer comes.
    Closed,
}

/// More bytes were reported than there was room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{claimed} bytes were reported read into a buffer of {room}")]
pub struct Overfilled {
    /// The bytes reported.
    pub claimed: usize,
    /// The bytes that there was room for.
    pub room: usize,
}

/// The framing cannot be switched while a frame that is too long is being skipped: the new decoder
/// would start inside it. Receive until the skip is over, then switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the framing cannot be switched inside a frame that is being skipped")]
pub struct SwitchError;

impl<D: Decoder> Deframer<D> {
    /// Starts at a frame boundary, reading up to [`DEFAULT_READ_SIZE`] bytes at once.
    #[must_use]
    pub fn new(decoder: D) -> Self {
        Self::with_read_size(decoder, DEFAULT_READ_SIZE)
    }

    /// The same with reads of up to `read_size` bytes (at least 1), which is also the memory kept
    /// between frames.
    #[must_use]
    pub fn with_read_size(decoder: D, read_size: usize) -> Self {
        Self { decoder, buffer: Buffer::new(read_size), closed: false, failed: None }
    }

    /// The next frame, if the bytes received so far complete one.
    ///
    /// # Errors
    /// [`FrameError`]. After `TooLong`, poll again: the frame is skipped. Other errors are final
    /// and come again.
    #[inline(always)]
    pub fn poll(&mut self) -> Result<Polled<'_>, FrameError> {
        let payload = match self.whole() {
            Some(payload) => payload,
            None => match self.step()? {
                Step::Frame(payload) => payload,
                Step::NeedRead => return Ok(Polled::NeedRead),
                Step::Closed => return Ok(Polled::Closed),
            },
        };
        Ok(Polled::Frame(self.buffer.slice(payload)))
    }

    /// Room for received bytes, never empty: a read of 0 bytes into it means EOF.
    pub fn space(&mut self) -> &mut [u8] {
        self.buffer.space(self.decoder.max_buffered())
    }

    /// Reports that `n` bytes were written to the front of [`space`](Self::space).
    ///
    /// # Errors
    /// [`Overfilled`] when there was not that much room; nothing is taken in then.
    pub fn filled(&mut self, n: usize) -> Result<(), Overfilled> {
        self.buffer.filled(n)
    }

    /// Reports that the peer has closed: what is buffered is all there will be.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Copies `bytes` in as received, for callers that have them in a buffer of their own.
    ///
    /// Poll between pushes: what is pushed is held, whatever the decoder's limit.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.push(bytes, None);
    }

    /// The received bytes of the frame that is not complete yet, or that was cut off by the end of
    /// the stream. Empty while a frame is being skipped.
    #[must_use]
    pub fn partial(&self) -> &[u8] {
        if self.decoder.is_skipping() { &[] } else { self.buffer.pending() }
    }

    /// The decoder, for settings that may change between frames.
    pub fn decoder_mut(&mut self) -> &mut D {
        &mut self.decoder
    }

    /// Goes on with another framing from the first byte not consumed.
    ///
    /// # Errors
    /// [`SwitchError`] inside a frame that is being skipped; `self` comes back unchanged.
    pub fn switch<E: Decoder>(self, mut decoder: E) -> Result<Deframer<E>, (Self, SwitchError)> {
        if self.decoder.is_skipping() {
            return Err((self, SwitchError));
        }
        let Self { buffer, closed, failed, .. } = self;
        decoder.resume_at(buffer.offset());
        Ok(Deframer { decoder, buffer, closed, failed })
    }

    /// The decoder and every byte received but not consumed.
    ///
    /// The decoder may be used for another stream, unless it is skipping the rest of a frame.
    #[must_use]
    pub fn into_parts(mut self) -> (D, Vec<u8>) {
        // No stream is that long, so it remembers nothing of where it has looked in this one.
        self.decoder.resume_at(u64::MAX);
        (self.decoder, self.buffer.into_pending())
    }

    /// The place of the next frame's payload, if the frame is whole and nothing is out of the
    /// ordinary; see [`frame`](Self::frame). `None` says nothing yet: [`step`](Self::step) tells.
    ///
    /// This much and no more is inlined where frames are received.
    #[inline(always)]
    pub(crate) fn whole(&mut self) -> Option<Range<usize>> {
        if self.failed.is_some() {
            return None;
        }
        let src = self.buffer.pending();
        let len = src.len();
        let Span { payload, consumed } = self.decoder.decode_whole(src)?;
        let is_in_src = consumed <= len && payload.end <= len && payload.start <= payload.end;
        is_in_src.then(|| self.buffer.take(payload, consumed))
    }

    /// [`poll`](Self::poll) with positions instead of a borrow.
    #[cold]
    pub(crate) fn step(&mut self) -> Result<Step, FrameError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        step(&mut self.buffer, self.closed, &mut self.decoder).inspect_err(|error| {
            if !error.is_resumable() {
                self.failed = Some(*error);
            }
        })
    }

    /// [`step`](Self::step) with another decoder for one request.
    ///
    /// Its errors are not kept: nothing was consumed, so another request may fare better.
    #[cfg(feature = "std")]
    pub(crate) fn step_as(&mut self, decoder: &mut impl Decoder) -> Result<Step, FrameError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        decoder.resume_at(self.buffer.offset());
        let step = step(&mut self.buffer, self.closed, decoder);
        self.decoder.resume_at(self.buffer.offset());
        step
    }

    /// The payload that a step has found.
    #[cfg(feature = "std")]
    #[inline]
    pub(crate) fn frame(&self, payload: Range<usize>) -> &[u8] {
        self.buffer.slice(payload)
    }

    /// [`space`](Self::space) for another decoder's request.
    #[cfg(feature = "std")]
    pub(crate) fn space_for(&mut self, decoder: &impl Decoder) -> &mut [u8] {
        self.buffer.space(decoder.max_buffered())
    }

    #[cfg(feature = "std")]
    pub(crate) fn is_skipping(&self) -> bool {
        self.decoder.is_skipping()
    }
}

/// A [`Polled`] whose payload is a position in the buffer.
pub(crate) enum Step {
    Frame(Range<usize>),
    NeedRead,
    Closed,
}

/// Asks `decoder` until it has a frame or needs more. Every turn but the last drops at least a byte.
fn step(buffer: &mut Buffer, closed: bool, decoder: &mut impl Decoder) -> Result<Step, FrameError> {
    loop {
        let src = buffer.pending();
        let len = src.len();
        let decoded = if closed { decoder.decode_eof(src)? } else { decoder.decode(src)? };
        match decoded {
            Decoded::Frame(Span { payload, consumed })
                if consumed <= len && payload.end <= len && payload.start <= payload.end =>
            {
                return Ok(Step::Frame(buffer.take(payload, consumed)));
            }
            Decoded::Discard(n) if 0 < n && n <= len => buffer.discard(n),
            Decoded::NeedMore(_) if !closed => return Ok(Step::NeedRead),
            Decoded::NeedMore(_) if len == 0 => return Ok(Step::Closed),
            // A decoder that wants more after the end leaves its frame unfinished.
            Decoded::NeedMore(_) => {
                return Err(FrameError::Truncated { got: len as u64, expected: None });
            }
            Decoded::Frame(_) | Decoded::Discard(_) => {
                return Err(FrameError::Malformed(Malformed::DecoderSpan));
            }
        }
    }
}
