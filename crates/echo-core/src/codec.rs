//! Every codec of this crate in `tokio_util::codec::Framed`, `FramedRead` and `FramedWrite`.
//!
//! An existing program changes the line that makes its codec:
//!
//! ```
//! use echo_core::{Delimited, codec::Compat};
//! use futures_util::{SinkExt, StreamExt};
//! use tokio_util::codec::Framed;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (stream, mut peer) = tokio::io::duplex(64);
//! // was: Framed::new(stream, LinesCodec::new())
//! let mut framed = Framed::new(stream, Compat::new(Delimited::lines()));
//! framed.send("hello").await?;
//! # tokio::io::AsyncWriteExt::write_all(&mut peer, b"world\r\n").await?;
//! assert_eq!(framed.next().await.transpose()?.as_deref(), Some(&b"world"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! # What `Framed` takes away
//! After an error, `Framed` ends its stream once (`None`) and does not look at what it has buffered
//! until more bytes arrive. So with [`Compat`] a frame that is too long ends a `while let` loop: the
//! connection is over, which is what most programs want. To skip that frame and go on - at once, even
//! when the next frame is buffered - use [`Resumable`], whose items are
//! `Result<BytesMut, FrameError>` inside the stream's own `Result`. Deadlines, exact amounts and
//! switching without loss are in `echo_core::tokio::Receiver` (feature `tokio`), not here.

use std::io;

use bytes::{Buf, BytesMut};
use thiserror::Error;
use tokio_util::codec;

use crate::{Decoded, Decoder, EncodeError, Encoder, FrameError, Malformed};

/// A codec of this crate as a [`tokio_util::codec::Decoder`] and [`tokio_util::codec::Encoder`].
///
/// Frames are split off the read buffer, not copied: one that is kept keeps that buffer's memory. Every [`FrameError`] is an error of the stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compat<C> {
    codec: C,
    header: Vec<u8>,
    failed: Option<FrameError>,
}

/// A [`Compat`] that goes on after a frame that is too long.
///
/// Its items are `Ok(frame)` and `Err(`[`FrameError::TooLong`]`)`; other errors end the stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resumable<C>(Compat<C>);

/// What ends a stream of frames, or refuses one to be sent.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CompatError {
    /// The bytes received do not make a frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The payload cannot be sent in this framing; nothing was written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// Reading or writing failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
}

impl<C> Compat<C> {
    /// Adapts `codec`.
    pub fn new(codec: C) -> Self {
        Self { codec, header: Vec::new(), failed: None }
    }

    /// Hands on a frame that is too long as an item, and goes on behind it.
    #[must_use]
    pub fn resumable(self) -> Resumable<C> {
        Resumable(self)
    }

    /// The codec.
    pub fn into_inner(self) -> C {
        self.codec
    }
}

impl<C: Decoder> Compat<C> {
    fn next(&mut self, src: &mut BytesMut, closed: bool) -> Result<Option<BytesMut>, FrameError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        self.step(src, closed).inspect_err(|error| {
            if !error.is_resumable() {
                self.failed = Some(*error);
            }
        })
    }

    fn step(&mut self, src: &mut BytesMut, closed: bool) -> Result<Option<BytesMut>, FrameError> {
        loop {
            let len = src.len();
            let decoded =
                if closed { self.codec.decode_eof(src)? } else { self.codec.decode(src)? };
            match decoded {
                Decoded::Frame(span)
                    if span.consumed <= len
                        && span.payload.end <= span.consumed
                        && span.payload.start <= span.payload.end =>
                {
                    let mut frame = src.split_to(span.consumed);
                    frame.truncate(span.payload.end);
                    frame.advance(span.payload.start);
                    return Ok(Some(frame));
                }
                Decoded::Discard(n) if 0 < n && n <= len => src.advance(n),
                // Nothing is reserved for it: a length is a claim.
                Decoded::NeedMore(_) if !closed || len == 0 => return Ok(None),
                Decoded::NeedMore(_) => {
                    return Err(FrameError::Truncated { got: len as u64, expected: None });
                }
                Decoded::Frame(_) | Decoded::Discard(_) => {
                    return Err(FrameError::Malformed(Malformed::DecoderSpan));
                }
            }
        }
    }
}

impl<C: Decoder> codec::Decoder for Compat<C> {
    type Item = BytesMut;
    type Error = CompatError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<BytesMut>, CompatError> {
        Ok(self.next(src, false)?)
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<BytesMut>, CompatError> {
        Ok(self.next(src, true)?)
    }
}

impl<C: Decoder> codec::Decoder for Resumable<C> {
    type Item = Result<BytesMut, FrameError>;
    type Error = CompatError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Self::Item>, CompatError> {
        resumed(self.0.next(src, false))
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Self::Item>, CompatError> {
        resumed(self.0.next(src, true))
    }
}

impl<C: Encoder, P: AsRef<[u8]>> codec::Encoder<P> for Compat<C> {
    type Error = CompatError;

    fn encode(&mut self, payload: P, wire: &mut BytesMut) -> Result<(), CompatError> {
        let payload = payload.as_ref();
        self.header.clear();
        let trailer = self.codec.encode(payload, &mut self.header)?;
        wire.reserve(self.header.len() + payload.len() + trailer.len());
        for part in [&self.header, payload, trailer] {
            wire.extend_from_slice(part);
        }
        Ok(())
    }
}

impl<C: Encoder, P: AsRef<[u8]>> codec::Encoder<P> for Resumable<C> {
    type Error = CompatError;

    fn encode(&mut self, payload: P, wire: &mut BytesMut) -> Result<(), CompatError> {
        codec::Encoder::encode(&mut self.0, payload, wire)
    }
}

fn resumed(
    next: Result<Option<BytesMut>, FrameError>,
) -> Result<Option<Result<BytesMut, FrameError>>, CompatError> {
    match next {
        Ok(frame) => Ok(frame.map(Ok)),
        Err(error) if error.is_resumable() => Ok(Some(Err(error))),
        Err(error) => Err(error.into()),
    }
}
