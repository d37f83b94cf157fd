//! Receiving frames from a blocking reader.
//!
//! One `read` is not one message. [`Receiver`] reads until a frame is complete and keeps what came
//! after it for the next call. Every pattern of receiving can be used on the same connection, in any
//! order, and no byte is lost in between.

use std::{
    io::{self, Read},
    ops::Range,
};

use thiserror::Error;

use crate::{
    DEFAULT_MAX_PAYLOAD, Decoder, Deframer, FrameError, OptionError, Overfilled, SwitchError,
    deframer::Step,
    framing::Exactly,
    intake::{As, Intake, Next, Request, ToEnd, Until},
};

/// Receives frames from a blocking reader such as a `TcpStream`.
///
/// Frames are lent from the receiver's buffer, not copied. For a deadline, wrap the stream in
/// [`WithDeadline`](crate::WithDeadline).
///
/// ```
/// use echo_core::{LengthDelimited, Receiver};
///
/// // A header line, a body of known size, then length-prefixed frames: one connection.
/// let wire = b"body 5\r\nhello\0\0\0\x02hi";
/// let mut receiver = Receiver::new(&wire[..], LengthDelimited::u32());
/// assert_eq!(receiver.recv_until(b"\r\n")?, Some(&b"body 5"[..]));
/// assert_eq!(receiver.recv_exact(5)?, b"hello");
/// assert_eq!(receiver.recv()?, Some(&b"hi"[..]));
/// assert_eq!(receiver.recv()?, None);
/// # Ok::<(), echo_core::RecvError>(())
/// ```
#[derive(Debug)]
pub struct Receiver<R, D> {
    reader: R,
    intake: Intake<D>,
}

/// Why a receive call has no frame to return. No byte is lost: everything received and not yet
/// returned stays in the receiver.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecvError {
    /// The bytes received do not make a frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The reader's timeout, or the deadline, passed before the frame was complete. Also what a
    /// non-blocking reader with nothing to read gives. Ask again to go on waiting.
    #[error("timed out before the frame was complete")]
    TimedOut,
    /// A frame that is too long is being skipped by another kind of request: finish that first.
    #[error(transparent)]
    Switch(#[from] SwitchError),
    /// The request makes no sense.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// The reader says that it read more than there was room for: its count cannot be trusted.
    #[error("the reader is defective")]
    Overfilled(#[from] Overfilled),
    /// Reading failed.
    #[error("cannot receive")]
    Io(#[source] io::Error),
}

impl<R: Read, D: Decoder> Receiver<R, D> {
    /// Receives from `reader`, in frames as `decoder` finds them.
    pub fn new(reader: R, decoder: D) -> Self {
        Self::from_deframer(reader, Deframer::new(decoder))
    }

    /// The same with reads of up to `read_size` bytes instead of
    /// [`DEFAULT_READ_SIZE`](crate::DEFAULT_READ_SIZE).
    pub fn with_read_size(reader: R, decoder: D, read_size: usize) -> Self {
        Self::from_deframer(reader, Deframer::with_read_size(decoder, read_size))
    }

    /// Goes on with a deframer that may hold received bytes already.
    pub fn from_deframer(reader: R, deframer: Deframer<D>) -> Self {
        Self { reader, intake: Intake::new(deframer) }
    }

    /// The next frame's payload, or `None` when the peer has closed at a frame boundary.
    ///
    /// Does not read while a frame is buffered.
    ///
    /// # Errors
    /// [`RecvError`]. After `TimedOut` and `TooLong`, and after I/O errors that the reader recovers
    /// from, ask again; other frame errors are final.
    #[inline(always)]
    pub fn recv(&mut self) -> Result<Option<&[u8]>, RecvError> {
        let payload = match self.intake.whole() {
            Some(payload) => payload,
            None => match self.recv_any()? {
                Some(payload) => payload,
                None => return Ok(None),
            },
        };
        Ok(Some(self.intake.frame(payload)))
    }

    /// Exactly `len` bytes. Asking for 0 succeeds without a read.
    ///
    /// The length is its own limit, so check one that came from the peer.
    ///
    /// # Errors
    /// [`FrameError::Truncated`] when the stream ends first, even before the first byte: who asks
    /// for so many bytes needs them. Further as [`recv`](Self::recv).
    pub fn recv_exact(&mut self, len: usize) -> Result<&[u8], RecvError> {
        self.recv_as(&mut Exactly(len)).map(Option::unwrap_or_default)
    }

    /// Everything before the next `delimiter`, which is consumed but not returned; `None` when the
    /// peer has closed and nothing is left.
    ///
    /// The limit is [`DEFAULT_MAX_DELIMITED`](crate::DEFAULT_MAX_DELIMITED); for another one, or
    /// for several delimiters, use [`recv_as`](Self::recv_as) with a
    /// [`Delimited`](crate::Delimited).
    ///
    /// # Errors
    /// [`FrameError::Truncated`] when the stream ends before the delimiter; [`RecvError::Option`] for
    /// an empty delimiter. Further as [`recv`](Self::recv).
    pub fn recv_until(&mut self, delimiter: &[u8]) -> Result<Option<&[u8]>, RecvError> {
        Ok(self.receive(Until(delimiter))?.map(|payload| self.intake.frame(payload)))
    }

    /// Everything up to the end of the stream, at most
    /// [`DEFAULT_MAX_PAYLOAD`](crate::DEFAULT_MAX_PAYLOAD) bytes. Empty at the end.
    ///
    /// # Errors
    /// As [`recv_to_end_within`](Self::recv_to_end_within).
    pub fn recv_to_end(&mut self) -> Result<&[u8], RecvError> {
        self.recv_to_end_within(DEFAULT_MAX_PAYLOAD)
    }

    /// Everything up to the end of the stream, at most `max` bytes. Empty at the end.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] when more than `max` bytes come; they stay in the receiver, to be
    /// had with a larger `max` or in another way. Further as [`recv`](Self::recv).
    pub fn recv_to_end_within(&mut self, max: usize) -> Result<&[u8], RecvError> {
        self.recv_as(&mut ToEnd { max }).map(Option::unwrap_or_default)
    }

    /// One frame as another decoder finds it, or `None` when the peer has closed.
    ///
    /// Hand in the same decoder again after `TimedOut` or `TooLong`: it remembers how far it is, in
    /// this stream and no other. Other requests may be made in between, but not inside a frame that
    /// is being skipped.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn recv_as(&mut self, decoder: &mut impl Decoder) -> Result<Option<&[u8]>, RecvError> {
        Ok(self.receive(As(decoder))?.map(|payload| self.intake.frame(payload)))
    }

    /// Goes on with another framing from the first byte not consumed.
    ///
    /// # Errors
    /// [`SwitchError`] inside a frame that is being skipped; the receiver comes back unchanged.
    #[expect(clippy::result_large_err, reason = "the receiver comes back, so that nothing is lost")]
    pub fn switch<E: Decoder>(self, decoder: E) -> Result<Receiver<R, E>, (Self, SwitchError)> {
        let Self { reader, intake } = self;
        match intake.switch(decoder) {
            Ok(intake) => Ok(Receiver { reader, intake }),
            Err((intake, error)) => Err((Self { reader, intake }, error)),
        }
    }

    /// The received bytes of the frame that is not complete yet, or that was cut off by the end of
    /// the stream. Empty while a frame is being skipped.
    #[must_use]
    pub fn partial(&self) -> &[u8] {
        self.intake.partial()
    }

    /// The reader.
    pub fn get_ref(&self) -> &R {
        &self.reader
    }

    /// The reader, to set a deadline for instance. Bytes read from it are missing in the frames.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// The reader, the decoder, and every byte received but not consumed.
    #[must_use]
    pub fn into_parts(self) -> (R, D, Vec<u8>) {
        let (decoder, pending) = self.intake.into_parts();
        (self.reader, decoder, pending)
    }

    /// All that is not a whole frame in the buffer, kept out of the loops that call `recv`.
    #[cold]
    fn recv_any(&mut self) -> Result<Option<Range<usize>>, RecvError> {
        self.receive(Next)
    }

    /// Reads until `request` has its frame.
    fn receive(&mut self, mut request: impl Request<D>) -> Result<Option<Range<usize>>, RecvError> {
        loop {
            match request.step(&mut self.intake)? {
                Step::Frame(payload) => return Ok(Some(payload)),
                Step::Closed => return Ok(None),
                Step::NeedRead => {
                    let n = read(&mut self.reader, request.space(&mut self.intake))?;
                    self.intake.took(n)?;
                }
            }
        }
    }
}

impl RecvError {
    /// What a failed read means. Interruptions are for the caller to retry.
    pub(crate) fn from_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Io(error),
        }
    }
}

/// One successful read; 0 means EOF, as `space` is never empty.
fn read(reader: &mut impl Read, space: &mut [u8]) -> Result<usize, RecvError> {
    loop {
        return match reader.read(space) {
            Ok(n) => Ok(n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => Err(RecvError::from_io(e)),
        };
    }
}
