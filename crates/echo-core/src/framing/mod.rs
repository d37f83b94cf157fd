//! Where frames begin and end in a byte stream, without I/O.
//!
//! A [`Decoder`] is shown the bytes received so far and answers with positions in them; it copies
//! nothing, stores nothing and waits for nothing. An [`Encoder`] says what to write around a payload.
//! [`Deframer`](crate::Deframer) does the buffering, and the drivers do the I/O:
//!
//! ```text
//!  received, not yet consumed            Decoder::decode(src)
//! +---+-----------------+-------...      -> Frame(Span { payload: 4..9, consumed: 9 })
//! | 5 | h e l l o       |                -> NeedMore(n)   at least n more bytes
//! +---+-----------------+-------...      -> Discard(n)    drop n bytes of a frame that is too long
//! ```

mod delimited;
mod delimiters;
mod fixed;
mod length;
mod netstring;
mod raw;
mod skip;
mod text;

pub use delimited::Delimited;
#[cfg(test)]
pub(crate) use delimiters::SCANNED;
#[cfg(feature = "std")]
pub(crate) use fixed::Exactly;
pub use fixed::FixedLength;
pub use length::LengthDelimited;
pub use netstring::Netstring;
pub use raw::Raw;
pub use text::{Codec, Framing, ParseFramingError};

use alloc::{boxed::Box, vec::Vec};
use core::ops::Range;

use crate::{EncodeError, FrameError};

/// The payload limit of length prefixes, netstrings and "to the end" unless set: 8 MiB.
pub const DEFAULT_MAX_PAYLOAD: usize = 8 << 20;

/// The payload limit of delimited frames unless set: 64 KiB.
pub const DEFAULT_MAX_DELIMITED: usize = 64 << 10;

/// A frame's place at the front of the bytes a decoder was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The payload, without header and delimiter.
    pub payload: Range<usize>,
    /// The whole frame: how many bytes to drop once the payload has been used.
    pub consumed: usize,
}

/// A decoder's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// A frame is complete.
    Frame(Span),
    /// Drop so many bytes (at least 1) and ask again: they belong to a frame that is skipped.
    Discard(usize),
    /// No frame yet; at least so many more bytes (at least 1) are needed. A hint, never a promise
    /// that so many will come: nothing may be allocated for it.
    NeedMore(usize),
}

/// Finds the next frame at the front of the received bytes.
///
/// Own decoders work with every driver of this crate. Only [`decode`](Self::decode) is required;
/// override [`decode_eof`](Self::decode_eof) when a closing peer may end a frame, and
/// [`max_buffered`](Self::max_buffered) to have the buffer bounded.
///
/// ```
/// use echo_core::{Decoded, Decoder, Deframer, FrameError, Polled, Span};
///
/// /// One frame per pair of bytes.
/// struct Pairs;
///
/// impl Decoder for Pairs {
///     fn decode(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
///         if src.len() < 2 {
///             return Ok(Decoded::NeedMore(2 - src.len()));
///         }
///         Ok(Decoded::Frame(Span { payload: 0..2, consumed: 2 }))
///     }
/// }
///
/// let mut deframer = Deframer::new(Pairs);
/// deframer.push(b"abc");
/// assert_eq!(deframer.poll(), Ok(Polled::Frame(b"ab")));
/// assert_eq!(deframer.poll(), Ok(Polled::NeedRead));
/// deframer.close();
/// assert_eq!(deframer.poll(), Err(FrameError::Truncated { got: 1, expected: None }));
/// ```
pub trait Decoder {
    /// Looks for a frame at the front of `src`.
    ///
    /// `src` starts at the first unconsumed byte and only grows between calls until something is
    /// consumed, so a decoder may remember how far it has looked.
    ///
    /// # Errors
    /// An error consumes nothing. After [`FrameError::TooLong`] the next call answers
    /// [`Decoded::Discard`] as bytes of that frame arrive; other errors are final.
    fn decode(&mut self, src: &[u8]) -> Result<Decoded, FrameError>;

    /// The frame at the front of `src`, if it is whole and nothing about it is out of the ordinary:
    /// what a driver asks first. `None` says nothing yet; [`decode`](Self::decode), or
    /// [`decode_eof`](Self::decode_eof), is asked then.
    ///
    /// Overriding this brings speed and nothing else: it is inlined where frames are received, and
    /// spares them all that `decode` has to think of. It may only answer what both others would.
    #[inline(always)]
    fn decode_whole(&mut self, src: &[u8]) -> Option<Span> {
        let _ = src;
        None
    }

    /// As [`decode`](Self::decode) when the peer has closed and `src` is all there will be; asked
    /// again until it answers [`Decoded::NeedMore`] with `src` empty, which is the orderly end.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), and [`FrameError::Truncated`] when `src` ends inside a frame.
    fn decode_eof(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        match self.decode(src)? {
            Decoded::NeedMore(_) if !src.is_empty() => {
                Err(FrameError::Truncated { got: src.len() as u64, expected: None })
            }
            decoded => Ok(decoded),
        }
    }

    /// Says that the next `src` begins `offset` bytes into the stream.
    ///
    /// Called where several decoders take turns on one stream, so only a decoder that remembers how
    /// far it has looked needs it: unless `offset` is the one it was told last, another decoder has
    /// consumed bytes in between, and what it remembers is about others.
    fn resume_at(&mut self, offset: u64) {
        let _ = offset;
    }

    /// True while the rest of a frame that was too long is being discarded.
    fn is_skipping(&self) -> bool {
        false
    }

    /// The most bytes this decoder leaves unconsumed before it answers with a frame or an error:
    /// the payload limit plus header or longest delimiter. `None` when nothing bounds it.
    fn max_buffered(&self) -> Option<usize> {
        None
    }
}

/// Says what goes before and after a payload on the wire.
pub trait Encoder {
    /// Appends the frame's header to `header` and returns the trailer that follows the payload.
    ///
    /// The payload itself is not copied: a driver writes header, payload and trailer in one
    /// vectored write.
    ///
    /// # Errors
    /// [`EncodeError`] when no receiver with the same settings would get this payload back.
    /// `header` is unchanged then.
    fn encode(&self, payload: &[u8], header: &mut Vec<u8>) -> Result<&[u8], EncodeError>;

    /// Appends the whole frame to `wire`.
    ///
    /// # Errors
    /// As [`encode`](Self::encode); `wire` is unchanged then.
    fn encode_to(&self, payload: &[u8], wire: &mut Vec<u8>) -> Result<(), EncodeError> {
        let trailer = self.encode(payload, wire)?;
        wire.extend_from_slice(payload);
        wire.extend_from_slice(trailer);
        Ok(())
    }
}

/// A pointer to a decoder is one. Every method is handed on: a default in its place would forget
/// what the decoder itself remembers.
macro_rules! decoder_behind {
    ($($pointer:ty),*) => {$(
        impl<D: Decoder + ?Sized> Decoder for $pointer {
            fn decode(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
                (**self).decode(src)
            }

            #[inline(always)]
            fn decode_whole(&mut self, src: &[u8]) -> Option<Span> {
                (**self).decode_whole(src)
            }

            fn decode_eof(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
                (**self).decode_eof(src)
            }

            fn resume_at(&mut self, offset: u64) {
                (**self).resume_at(offset);
            }

            fn is_skipping(&self) -> bool {
                (**self).is_skipping()
            }

            fn max_buffered(&self) -> Option<usize> {
                (**self).max_buffered()
            }
        }
    )*};
}

decoder_behind!(&mut D, Box<D>);

/// The limit check that every encoder shares.
fn check_limit(payload: &[u8], max: usize) -> Result<(), EncodeError> {
    if payload.len() > max {
        return Err(EncodeError::TooLong { max, len: payload.len() });
    }
    Ok(())
}
