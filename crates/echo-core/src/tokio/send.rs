//! Sending frames to a tokio writer.

use core::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Poll, ready},
};
use std::io;

use ::tokio::{
    io::AsyncWrite,
    time::{Instant, timeout_at},
};

use crate::{
    Encoder, SendError,
    outbox::{Outbox, Outgoing},
};

/// Sends payloads as frames to a tokio writer such as a `TcpStream` or its write half.
///
/// ```
/// use echo_core::{Delimited, tokio::Sender};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), echo_core::SendError> {
/// let mut sender = Sender::new(Vec::new(), Delimited::lines());
/// sender.send(b"hello").await?;
/// assert!(sender.send(b"two\nlines").await.is_err()); // it would arrive as two frames
/// assert_eq!(sender.get_ref(), b"hello\n");
/// # Ok(())
/// # }
/// ```
///
/// # Cancellation
/// A frame is *taken* when its first byte is written. A `send` that is dropped before leaves nothing
/// behind; one that is dropped after leaves the rest of its frame with the sender, where it goes out
/// first with the next `send`, `flush` or `shutdown`.
#[derive(Debug)]
pub struct Sender<W, E> {
    writer: W,
    outbox: Outbox<E>,
    deadline: Option<Instant>,
}

impl<W: AsyncWrite + Unpin, E: Encoder> Sender<W, E> {
    /// Sends to `writer`, framed by `encoder`.
    pub fn new(writer: W, encoder: E) -> Self {
        Self { writer, outbox: Outbox::new(encoder), deadline: None }
    }

    /// Sets when calls that wait for room give up with [`SendError::TimedOut`]; `None` waits for
    /// ever.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// Sends `payload` as one frame.
    ///
    /// # Errors
    /// [`SendError`]. After `TimedOut` the stream is still in step, see
    /// [`taken`](SendError::TimedOut::taken); after `Io` it is not.
    pub async fn send(&mut self, payload: &[u8]) -> Result<(), SendError> {
        let mut frame = self.outbox.frame(payload)?;
        let sent = within(self.deadline, write_all(&mut self.writer, &mut frame)).await;
        sent.map_err(|e| SendError::from_io(e, frame.is_taken()))
    }

    /// Writes what a timeout or a dropped `send` left unsent, then flushes the writer.
    ///
    /// # Errors
    /// [`SendError::TimedOut`], to be called again, and [`SendError::Io`].
    pub async fn flush(&mut self) -> Result<(), SendError> {
        let Self { writer, outbox, deadline } = self;
        let flush = async {
            write_all(writer, &mut outbox.rest()).await?;
            poll_fn(|cx| retry(|| Pin::new(&mut *writer).poll_flush(cx))).await
        };
        within(*deadline, flush).await.map_err(|e| SendError::from_io(e, false))
    }

    /// Flushes, then closes our sending side: the peer sees the end, and may go on sending.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub async fn shutdown(&mut self) -> Result<(), SendError> {
        self.flush().await?;
        let shutdown = poll_fn(|cx| retry(|| Pin::new(&mut self.writer).poll_shutdown(cx)));
        within(self.deadline, shutdown).await.map_err(|e| SendError::from_io(e, false))
    }

    /// True while a frame that was cut in two waits for its rest to be sent.
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        self.outbox.has_unsent()
    }

    /// How many frames have been taken: sent, or begun and certain to be finished by the next call.
    ///
    /// After a dropped `send`, this tells whether its payload has to be sent again.
    #[must_use]
    pub fn frames_taken(&self) -> u64 {
        self.outbox.taken()
    }

    /// The writer.
    pub fn get_ref(&self) -> &W {
        &self.writer
    }

    /// The writer. Bytes written to it are not framed.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.writer
    }

    /// The writer, the encoder, and the rest of a frame that is still to be written.
    #[must_use]
    pub fn into_parts(self) -> (W, E, Vec<u8>) {
        let (encoder, unsent) = self.outbox.into_parts();
        (self.writer, encoder, unsent)
    }
}

/// Cancel-safe: what is written is noted without an `await` in between.
async fn write_all(
    writer: &mut (impl AsyncWrite + Unpin),
    outgoing: &mut Outgoing<'_>,
) -> io::Result<()> {
    while !outgoing.is_sent() {
        poll_fn(|cx| {
            let written = ready!(retry(|| {
                outgoing.write_with(|slices| Pin::new(&mut *writer).poll_write_vectored(cx, slices))
            }));
            Poll::Ready(written.and_then(|n| outgoing.wrote(n)))
        })
        .await?;
    }
    Ok(())
}

/// Tries again as long as a signal gets in between.
fn retry<T>(mut call: impl FnMut() -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
    loop {
        match ready!(call()) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => return Poll::Ready(result),
        }
    }
}

/// What `work` comes to before `deadline`. A write that can be done at once is done even after it.
async fn within<T>(
    deadline: Option<Instant>,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    match deadline {
        None => work.await,
        Some(at) => timeout_at(at, work).await.unwrap_or(Err(io::ErrorKind::TimedOut.into())),
    }
}
