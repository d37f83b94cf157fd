//! What the blocking and the tokio sender share: a frame on its way, and the rest of one cut in two.
//!
//! ```text
//! | rest of an earlier frame | header | payload | trailer |   one vectored write, resumed until
//! | unsent                   | the frame, borrowed        |   everything is written
//! ```
//!
//! A frame counts as taken once its first byte is written. Whatever ends the loop around it then - a
//! timeout, an error, a panic, a dropped future - its rest is kept, to go out before the next frame.

use std::{
    io::{self, IoSlice},
    mem,
};

use crate::{DEFAULT_READ_SIZE, EncodeError, Encoder};

#[derive(Debug)]
pub(crate) struct Outbox<E> {
    encoder: E,
    header: Vec<u8>,
    unsent: Unsent,
}

/// The rest of a frame: at most one.
#[derive(Debug, Default)]
struct Unsent {
    bytes: Vec<u8>,
    /// `bytes[..written]` are written already. `written <= bytes.len()`
    written: usize,
    /// Frames taken so far.
    taken: u64,
}

/// What is to be written now. Dropped before the end, it leaves the rest with the outbox.
pub(crate) struct Outgoing<'a> {
    unsent: &'a mut Unsent,
    frame: [&'a [u8]; 3],
    /// Bytes written, counted from `unsent.bytes[unsent.written..]` on.
    written: usize,
}

impl<E: Encoder> Outbox<E> {
    pub(crate) fn new(encoder: E) -> Self {
        Self { encoder, header: Vec::new(), unsent: Unsent::default() }
    }

    /// What is left of an earlier frame, and `payload` as a frame behind it.
    pub(crate) fn frame<'a>(&'a mut self, payload: &'a [u8]) -> Result<Outgoing<'a>, EncodeError> {
        self.header.clear();
        let trailer = self.encoder.encode(payload, &mut self.header)?;
        let frame = [self.header.as_slice(), payload, trailer];
        Ok(Outgoing { unsent: &mut self.unsent, frame, written: 0 })
    }

    /// What is left of an earlier frame.
    pub(crate) fn rest(&mut self) -> Outgoing<'_> {
        Outgoing { unsent: &mut self.unsent, frame: [&[]; 3], written: 0 }
    }

    pub(crate) fn has_unsent(&self) -> bool {
        !self.unsent.rest().is_empty()
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn taken(&self) -> u64 {
        self.unsent.taken
    }

    pub(crate) fn into_parts(mut self) -> (E, Vec<u8>) {
        self.unsent.bytes.drain(..self.unsent.written);
        (self.encoder, self.unsent.bytes)
    }
}

impl Unsent {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.written..]
    }
}

impl Outgoing<'_> {
    pub(crate) fn is_sent(&self) -> bool {
        self.written == self.unsent.rest().len() + self.frame_len()
    }

    /// True once a byte of the frame itself is written.
    pub(crate) fn is_taken(&self) -> bool {
        self.written > self.unsent.rest().len()
    }

    /// Hands `write` everything that is not written yet, in order, never nothing.
    pub(crate) fn write_with<T>(&self, write: impl FnOnce(&[IoSlice<'_>]) -> T) -> T {
        let [header, payload, trailer] = self.frame;
        let mut slices = [self.unsent.rest(), header, payload, trailer].map(IoSlice::new);
        let mut slices = slices.as_mut_slice();
        IoSlice::advance_slices(&mut slices, self.written);
        write(slices)
    }

    /// Takes note of a write.
    ///
    /// # Errors
    /// When the writer took nothing, or claims more than it was given.
    pub(crate) fn wrote(&mut self, n: usize) -> io::Result<()> {
        if n == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        if n > self.unsent.rest().len() + self.frame_len() - self.written {
            return Err(io::Error::other("the writer claims more bytes than it was given"));
        }
        self.written += n;
        Ok(())
    }

    fn frame_len(&self) -> usize {
        self.frame.iter().map(|part| part.len()).sum()
    }
}

impl Drop for Outgoing<'_> {
    fn drop(&mut self) {
        let earlier = self.unsent.rest().len();
        if self.written < earlier {
            self.unsent.written += self.written;
            return;
        }
        self.unsent.bytes.clear();
        self.unsent.written = 0;
        let mut of_frame = self.written - earlier;
        self.unsent.taken += u64::from(of_frame > 0);
        if of_frame > 0 && of_frame < self.frame_len() {
            for part in self.frame {
                let gone = of_frame.min(part.len());
                self.unsent.bytes.extend_from_slice(&part[gone..]);
                of_frame -= gone;
            }
        } else if self.unsent.bytes.capacity() > DEFAULT_READ_SIZE {
            mem::take(&mut self.unsent.bytes); // one cut frame is no reason to keep its memory
        }
    }
}
