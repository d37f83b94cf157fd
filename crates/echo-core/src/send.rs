//! Sending frames to a blocking writer.
//!
//! Header, payload and trailer go out in one vectored write; a partial write is resumed where it
//! stopped, and a frame that a timeout has cut in two is finished before the next one begins.

use std::io::{self, Write};

use thiserror::Error;

use crate::{
    EncodeError, Encoder,
    outbox::{Outbox, Outgoing},
};

/// Sends payloads as frames to a blocking writer such as a `TcpStream`.
///
/// ```
/// use echo_core::{Delimited, Sender};
///
/// let mut wire = Vec::new();
/// let mut sender = Sender::new(&mut wire, Delimited::lines());
/// sender.send(b"hello")?;
/// assert!(sender.send(b"two\nlines").is_err()); // refused: it would arrive as two frames
/// assert_eq!(wire, b"hello\n");
/// # Ok::<(), echo_core::SendError>(())
/// ```
#[derive(Debug)]
pub struct Sender<W, E> {
    writer: W,
    outbox: Outbox<E>,
}

/// Why a frame was not sent.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The payload cannot be sent in this framing; nothing was written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The writer's timeout, or the deadline, passed; or a non-blocking writer had no room.
    #[error("timed out sending; {}", if *.taken { "the frame goes out with the next send or flush" }
        else { "the frame was not taken" })]
    TimedOut {
        /// True when the frame counts as sent: the rest of it goes out first with the next
        /// [`send`](Sender::send) or [`flush`](Sender::flush). False when it has to be sent again.
        taken: bool,
    },
    /// Writing failed.
    #[error("cannot send")]
    Io(#[source] io::Error),
}

impl<W: Write, E: Encoder> Sender<W, E> {
    /// Sends to `writer`, framed by `encoder`.
    pub fn new(writer: W, encoder: E) -> Self {
        Self { writer, outbox: Outbox::new(encoder) }
    }

    /// Sends `payload` as one frame.
    ///
    /// # Errors
    /// [`SendError`]. After `TimedOut` the stream is still in step, see
    /// [`taken`](SendError::TimedOut::taken); after `Io` it is not.
    pub fn send(&mut self, payload: &[u8]) -> Result<(), SendError> {
        let mut frame = self.outbox.frame(payload)?;
        write_all(&mut self.writer, &mut frame).map_err(|e| SendError::from_io(e, frame.is_taken()))
    }

    /// Writes what a timeout left unsent, then flushes the writer.
    ///
    /// # Errors
    /// [`SendError::TimedOut`], to be called again, and [`SendError::Io`].
    pub fn flush(&mut self) -> Result<(), SendError> {
        write_all(&mut self.writer, &mut self.outbox.rest())
            .and_then(|()| retry(|| self.writer.flush()))
            .map_err(|e| SendError::from_io(e, false))
    }

    /// True while a frame that a timeout has cut in two waits for its rest to be sent.
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        self.outbox.has_unsent()
    }

    /// The writer.
    pub fn get_ref(&self) -> &W {
        &self.writer
    }

    /// The writer, to set a deadline for instance. Bytes written to it are not framed.
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

impl SendError {
    pub(crate) fn from_io(error: io::Error, taken: bool) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::TimedOut { taken },
            _ => Self::Io(error),
        }
    }
}

fn write_all(writer: &mut impl Write, outgoing: &mut Outgoing<'_>) -> io::Result<()> {
    while !outgoing.is_sent() {
        let n = retry(|| outgoing.write_with(|slices| writer.write_vectored(slices)))?;
        outgoing.wrote(n)?;
    }
    Ok(())
}

/// Tries again as long as a signal gets in between.
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
