//! Receiving frames from a tokio reader.

use core::{
    future::poll_fn,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};
use std::io;

use ::tokio::{
    io::{AsyncRead, ReadBuf},
    time::{Instant, timeout_at},
};

use crate::{
    DEFAULT_MAX_PAYLOAD, Decoder, Deframer, RecvError, SwitchError,
    deframer::Step,
    framing::Exactly,
    intake::{As, Intake, Next, Request, ToEnd, Until},
};

/// Receives frames from a tokio reader such as a `TcpStream` or its read half.
///
/// The same as the blocking [`Receiver`](crate::Receiver), call by call. Frames are lent from the
/// receiver's buffer, not copied. All methods are cancel-safe, see the
/// [module](crate::tokio#cancellation).
#[derive(Debug)]
pub struct Receiver<R, D> {
    reader: R,
    intake: Intake<D>,
    deadline: Option<Instant>,
}

impl<R: AsyncRead + Unpin, D: Decoder> Receiver<R, D> {
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
        Self { reader, intake: Intake::new(deframer), deadline: None }
    }

    /// Sets when calls that wait for bytes give up with [`RecvError::TimedOut`]; `None` waits for
    /// ever.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// The next frame's payload, or `None` when the peer has closed at a frame boundary.
    ///
    /// Does not read while a frame is buffered.
    ///
    /// # Errors
    /// [`RecvError`]. After `TimedOut` and `TooLong`, and after I/O errors that the reader recovers
    /// from, ask again; other frame errors are final.
    #[inline]
    pub async fn recv(&mut self) -> Result<Option<&[u8]>, RecvError> {
        if let Some(payload) = self.intake.whole() {
            return Ok(Some(self.intake.frame(payload)));
        }
        Ok(self.receive(Next).await?.map(|payload| self.intake.frame(payload)))
    }

    /// Exactly `len` bytes. Asking for 0 succeeds without a read.
    ///
    /// The length is its own limit, so check one that came from the peer.
    ///
    /// # Errors
    /// [`FrameError::Truncated`](crate::FrameError::Truncated) when the stream ends first, even before the first byte: who asks
    /// for so many bytes needs them. Further as [`recv`](Self::recv).
    pub async fn recv_exact(&mut self, len: usize) -> Result<&[u8], RecvError> {
        self.recv_as(&mut Exactly(len)).await.map(Option::unwrap_or_default)
    }

    /// Everything before the next `delimiter`, which is consumed but not returned; `None` when the
    /// peer has closed and nothing is left.
    ///
    /// The limit is [`DEFAULT_MAX_DELIMITED`](crate::DEFAULT_MAX_DELIMITED); for another one, or
    /// for several delimiters, use [`recv_as`](Self::recv_as) with a
    /// [`Delimited`](crate::Delimited).
    ///
    /// # Errors
    /// [`FrameError::Truncated`](crate::FrameError::Truncated) when the stream ends before the delimiter; [`RecvError::Option`] for
    /// an empty delimiter. Further as [`recv`](Self::recv).
    pub async fn recv_until(&mut self, delimiter: &[u8]) -> Result<Option<&[u8]>, RecvError> {
        Ok(self.receive(Until(delimiter)).await?.map(|payload| self.intake.frame(payload)))
    }

    /// Everything up to the end of the stream, at most
    /// [`DEFAULT_MAX_PAYLOAD`](crate::DEFAULT_MAX_PAYLOAD) bytes. Empty at the end.
    ///
    /// # Errors
    /// As [`recv_to_end_within`](Self::recv_to_end_within).
    pub async fn recv_to_end(&mut self) -> Result<&[u8], RecvError> {
        self.recv_to_end_within(DEFAULT_MAX_PAYLOAD).await
    }

    /// Everything up to the end of the stream, at most `max` bytes. Empty at the end.
    ///
    /// # Errors
    /// [`FrameError::TooLong`](crate::FrameError::TooLong) when more than `max` bytes come; they stay in the receiver, to be
    /// had with a larger `max` or in another way. Further as [`recv`](Self::recv).
    pub async fn recv_to_end_within(&mut self, max: usize) -> Result<&[u8], RecvError> {
        self.recv_as(&mut ToEnd { max }).await.map(Option::unwrap_or_default)
    }

    /// One frame as another decoder finds it, or `None` when the peer has closed.
    ///
    /// Hand in the same decoder again after `TimedOut` or `TooLong`, and after a cancelled call: it
    /// remembers how far it is, in this stream and no other. Other requests may be made in between,
    /// but not inside a frame that is being skipped.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub async fn recv_as(
        &mut self,
        decoder: &mut impl Decoder,
    ) -> Result<Option<&[u8]>, RecvError> {
        Ok(self.receive(As(decoder)).await?.map(|payload| self.intake.frame(payload)))
    }

    /// Goes on with another framing from the first byte not consumed.
    ///
    /// # Errors
    /// [`SwitchError`] inside a frame that is being skipped; the receiver comes back unchanged.
    #[expect(clippy::result_large_err, reason = "the receiver comes back, so that nothing is lost")]
    pub fn switch<E: Decoder>(self, decoder: E) -> Result<Receiver<R, E>, (Self, SwitchError)> {
        let Self { reader, intake, deadline } = self;
        match intake.switch(decoder) {
            Ok(intake) => Ok(Receiver { reader, intake, deadline }),
            Err((intake, error)) => Err((Self { reader, intake, deadline }, error)),
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

    /// The reader. Bytes read from it are missing in the frames.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// The reader, the decoder, and every byte received but not consumed.
    #[must_use]
    pub fn into_parts(self) -> (R, D, Vec<u8>) {
        let (decoder, pending) = self.intake.into_parts();
        (self.reader, decoder, pending)
    }

    /// Reads until `request` has its frame.
    ///
    /// Cancel-safe: bytes are read and taken in without an `await` in between.
    async fn receive(
        &mut self,
        mut request: impl Request<D>,
    ) -> Result<Option<Range<usize>>, RecvError> {
        loop {
            match request.step(&mut self.intake)? {
                Step::Frame(payload) => return Ok(Some(payload)),
                Step::Closed => return Ok(None),
                Step::NeedRead => {
                    let Self { reader, intake, deadline } = self;
                    let read = poll_fn(|cx| {
                        let read = ready!(poll_read(reader, cx, request.space(intake)));
                        Poll::Ready(match read {
                            Ok(n) => intake.took(n).map_err(RecvError::from),
                            Err(e) => Err(RecvError::from_io(e)),
                        })
                    });
                    match *deadline {
                        None => read.await?,
                        // Asked before each read, or a peer that never pauses would hold us here.
                        Some(at) if at <= Instant::now() => return Err(RecvError::TimedOut),
                        Some(at) => {
                            let in_time = timeout_at(at, read).await;
                            in_time.map_err(|_| RecvError::TimedOut)??;
                        }
                    }
                }
            }
        }
    }
}

/// One successful read; 0 means EOF, as `space` is never empty.
fn poll_read(
    reader: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    space: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut space = ReadBuf::new(space);
    loop {
        match ready!(Pin::new(&mut *reader).poll_read(cx, &mut space)) {
            Ok(()) => return Poll::Ready(Ok(space.filled().len())),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Poll::Ready(Err(e)),
        }
    }
}
