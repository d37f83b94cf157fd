//! Readers and writers that do what they are told, one step per call.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, IoSlice, Read, Write},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One call of `read`.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Bytes(Vec<u8>),
    /// A signal came in between.
    Interrupted,
    /// Nothing there yet: `WouldBlock` for a blocking reader, `Pending` for a tokio one.
    Pause,
    Fail(ErrorKind),
}

/// A reader of steps, then of EOF for ever.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reads {
    steps: VecDeque<Step>,
    /// Calls so far.
    pub(crate) calls: usize,
    /// Times that the end was told.
    ends: usize,
}

/// Reads of these pieces, one each.
pub(crate) fn reads(pieces: &[&[u8]]) -> Reads {
    pieces.iter().fold(Reads::default(), |reads, piece| reads.then(Step::Bytes(piece.to_vec())))
}

impl Reads {
    pub(crate) fn then(mut self, step: Step) -> Self {
        self.steps.push_back(step);
        self
    }

    pub(crate) fn bytes(self, piece: &[u8]) -> Self {
        self.then(Step::Bytes(piece.to_vec()))
    }

    /// Everything that loses no byte happens around the pieces.
    pub(crate) fn broken(pieces: &[&[u8]]) -> Self {
        let broken = pieces.iter().enumerate().fold(Self::default(), |reads, (i, piece)| {
            let reads = if i % 2 == 0 { reads.then(Step::Pause) } else { reads };
            reads.then(Step::Interrupted).bytes(piece)
        });
        broken.then(Step::Pause).then(Step::Interrupted)
    }

    fn next(&mut self, room: usize) -> Step {
        self.calls += 1;
        let step = self.steps.pop_front().unwrap_or_else(|| {
            self.ends += 1;
            assert!(self.ends < 5, "reads on and on after the end");
            Step::Bytes(Vec::new())
        });
        match step {
            Step::Bytes(mut bytes) if bytes.len() > room => {
                self.steps.push_front(Step::Bytes(bytes.split_off(room)));
                Step::Bytes(bytes)
            }
            step => step,
        }
    }
}

impl Read for Reads {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        assert!(!buf.is_empty(), "a read into nothing could not be told from EOF");
        match self.next(buf.len()) {
            Step::Bytes(bytes) => {
                buf[..bytes.len()].copy_from_slice(&bytes);
                Ok(bytes.len())
            }
            Step::Interrupted => Err(ErrorKind::Interrupted.into()),
            Step::Pause => Err(ErrorKind::WouldBlock.into()),
            Step::Fail(kind) => Err(kind.into()),
        }
    }
}

impl AsyncRead for Reads {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        assert!(buf.remaining() > 0, "a read into nothing could not be told from EOF");
        match self.next(buf.remaining()) {
            Step::Bytes(bytes) => buf.put_slice(&bytes),
            Step::Interrupted => return Poll::Ready(Err(ErrorKind::Interrupted.into())),
            Step::Fail(kind) => return Poll::Ready(Err(kind.into())),
            Step::Pause => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// One call of `write_vectored`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Put {
    /// Takes so many bytes at most.
    Take(usize),
    Interrupted,
    /// No room: `WouldBlock`, or `Pending`.
    Pause,
    Fail(ErrorKind),
    /// Claims one byte more than it was given.
    Overclaim,
}

/// A writer of steps, which then takes everything.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    steps: VecDeque<Put>,
    /// What has been written.
    pub(crate) wire: Vec<u8>,
    /// The vectored writes so far.
    pub(crate) calls: usize,
    flushes: usize,
}

impl Writes {
    pub(crate) fn new(steps: &[Put]) -> Self {
        Self { steps: steps.iter().copied().collect(), ..Self::default() }
    }

    /// Interrupted every other time.
    fn flush_now(&mut self) -> io::Result<()> {
        self.flushes += 1;
        if self.flushes % 2 == 1 { Err(ErrorKind::Interrupted.into()) } else { Ok(()) }
    }

    fn take(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.calls += 1;
        let given: usize = slices.iter().map(|slice| slice.len()).sum();
        assert!(given > 0, "nothing is written for nothing");
        let most = match self.steps.pop_front().unwrap_or(Put::Take(usize::MAX)) {
            Put::Take(most) => most,
            Put::Interrupted => return Err(ErrorKind::Interrupted.into()),
            Put::Pause => return Err(ErrorKind::WouldBlock.into()),
            Put::Fail(kind) => return Err(kind.into()),
            Put::Overclaim => return Ok(given + 1),
        };
        let start = self.wire.len();
        slices.iter().for_each(|slice| self.wire.extend_from_slice(slice));
        self.wire.truncate(start + most.min(given));
        Ok(most.min(given))
    }
}

impl Write for Writes {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        unreachable!("frames are written vectored")
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.take(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flush_now()
    }
}

impl AsyncWrite for Writes {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        unreachable!("frames are written vectored")
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.take(slices) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            result => Poll::Ready(result),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.flush_now())
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
