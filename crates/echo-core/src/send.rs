//! Sending frames to a blocking writer.
//!
//! Header, payload and trailer go out in one vectored write; a partial write is resumed where it
//! stopped, and a frame that a timeout has cut in two is finished before the next one begins.

use std::io::{self, IoSlice, Write};

use thiserror::Error;

use crate::{EncodeError, Encoder};

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
    encoder: E,
    header: Vec<u8>,
    /// What is left of a frame that timed out after its first byte: at most one frame.
    unsent: Vec<u8>,
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
        Self { writer, encoder, header: Vec::new(), unsent: Vec::new() }
    }

    /// Sends `payload` as one frame.
    ///
    /// # Errors
    /// [`SendError`]. After `TimedOut` the stream is still in step, see
    /// [`taken`](SendError::TimedOut::taken); after `Io` it is not.
    pub fn send(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.header.clear();
        let trailer = self.encoder.encode(payload, &mut self.header)?;
        write_unsent(&mut self.writer, &mut self.unsent)
            .map_err(|e| SendError::from_io(e, false))?;
        let parts = [self.header.as_slice(), payload, trailer];
        let (written, result) = write_all(&mut self.writer, &mut parts.map(IoSlice::new));
        if result.is_err() && written > 0 {
            let mut sent = written;
            for part in parts {
                let of_part = sent.min(part.len());
                self.unsent.extend_from_slice(&part[of_part..]);
                sent -= of_part;
            }
        }
        result.map_err(|e| SendError::from_io(e, written > 0))
    }

    /// Writes what a timeout left unsent, then flushes the writer.
    ///
    /// # Errors
    /// [`SendError::TimedOut`], to be called again, and [`SendError::Io`].
    pub fn flush(&mut self) -> Result<(), SendError> {
        write_unsent(&mut self.writer, &mut self.unsent)
            .and_then(|()| self.writer.flush())
            .map_err(|e| SendError::from_io(e, false))
    }

    /// True while a frame that a timeout has cut in two waits for its rest to be sent.
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
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
        (self.writer, self.encoder, self.unsent)
    }
}

impl SendError {
    fn from_io(error: io::Error, taken: bool) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::TimedOut { taken },
            _ => Self::Io(error),
        }
    }
}

fn write_unsent(writer: &mut impl Write, unsent: &mut Vec<u8>) -> io::Result<()> {
    if unsent.is_empty() {
        return Ok(());
    }
    let (written, result) = write_all(writer, &mut [IoSlice::new(unsent)]);
    unsent.drain(..written);
    result
}

/// Writes all of `slices`, and says how many bytes it has written when that fails.
fn write_all(writer: &mut impl Write, mut slices: &mut [IoSlice<'_>]) -> (usize, io::Result<()>) {
    let mut written = 0;
    IoSlice::advance_slices(&mut slices, 0); // drops empty slices at the front
    while !slices.is_empty() {
        let error = match writer.write_vectored(slices) {
            Ok(0) => io::ErrorKind::WriteZero.into(),
            Ok(n) if n <= slices.iter().map(|slice| slice.len()).sum() => {
                written += n;
                IoSlice::advance_slices(&mut slices, n);
                continue;
            }
            Ok(_) => io::Error::other("the writer claims more bytes than it was given"),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => e,
        };
        return (written, Err(error));
    }
    (written, Ok(()))
}
