//! The bytes received and not yet consumed.
//!
//! ```text
//! 0          start        end            bytes.len()
//! | consumed | pending    | space        |     0 <= start <= end <= bytes.len()
//! ```
//!
//! Memory follows what has been received, never what was claimed: the buffer grows only when it is
//! full, at most doubles, and stays under the decoder's bound plus one read. Once what it held has
//! been consumed, it goes back to one read.

use alloc::vec::Vec;
use core::ops::Range;

use crate::Overfilled;

/// Bytes received and not yet consumed, for engines that keep an [`EchoConnection`]'s bytes.
///
/// [`EchoConnection`]: crate::EchoConnection
///
/// ```
/// use echo_core::Buffer;
///
/// let mut buffer = Buffer::new(1024);
/// buffer.space(None)[..5].copy_from_slice(b"hello");
/// buffer.filled(5)?;
/// buffer.discard(2);
/// assert_eq!(buffer.pending(), b"llo");
/// # Ok::<(), echo_core::Overfilled>(())
/// ```
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    read_size: usize, // >= 1
    /// All bytes ever received and not dropped again.
    received: u64,
}

impl Buffer {
    /// Room for reads of `read_size` bytes (at least 1), which is also the memory kept while little is
    /// pending. Nothing is allocated before the first read.
    #[must_use]
    pub fn new(read_size: usize) -> Self {
        Self { bytes: Vec::new(), start: 0, end: 0, read_size: read_size.max(1), received: 0 }
    }

    /// What was received and not consumed.
    #[inline]
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Where in the stream `pending()` begins.
    pub(crate) fn offset(&self) -> u64 {
        self.received.wrapping_sub((self.end - self.start) as u64)
    }

    /// Bytes by position, as long as `space` has not been called since.
    #[inline]
    pub(crate) fn slice(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    /// Drops a frame of `consumed` bytes, of which as many must be pending, and turns the place of
    /// its payload in `pending()` into one for `slice`.
    #[inline]
    pub(crate) fn take(&mut self, payload: Range<usize>, consumed: usize) -> Range<usize> {
        let start = self.start;
        self.discard(consumed);
        start + payload.start..start + payload.end
    }

    /// Drops the first `n` pending bytes; all, when there are fewer.
    #[inline]
    pub fn discard(&mut self, n: usize) {
        self.start += n.min(self.end - self.start);
    }

    /// Drops all but the first `n` pending bytes.
    pub fn truncate(&mut self, n: usize) {
        let dropped = (self.end - self.start).saturating_sub(n);
        self.end -= dropped;
        self.received = self.received.wrapping_sub(dropped as u64);
    }

    /// Room for the next read, never empty. `bound` is the most that may ever be pending: the room
    /// grows to that and one read, and beyond only byte by byte.
    pub fn space(&mut self, bound: Option<usize>) -> &mut [u8] {
        self.reclaim(0);
        // A short push leaves little room, which must not make all reads behind it small.
        if self.room() == 0 || self.bytes.len() < self.read_size {
            self.grow(bound);
        }
        &mut self.bytes[self.end..]
    }

    /// Takes note of `n` bytes written to the front of [`space`](Self::space).
    ///
    /// # Errors
    /// [`Overfilled`] when there was not that much room; nothing is taken in then.
    pub fn filled(&mut self, n: usize) -> Result<(), Overfilled> {
        let room = self.room();
        if n > room {
            return Err(Overfilled { claimed: n, room });
        }
        self.end += n;
        self.received = self.received.wrapping_add(n as u64);
        Ok(())
    }

    /// Gives memory back that what is pending does not need: before a wait that may be long.
    pub fn shrink(&mut self) {
        self.reclaim(0);
    }

    /// Appends a copy of `bytes`, received elsewhere. `bound` is as for [`space`](Self::space), but
    /// that memory grows beyond to what is pushed.
    pub fn push(&mut self, bytes: &[u8], bound: Option<usize>) {
        self.reclaim(bytes.len());
        self.bytes.truncate(self.end);
        let needed = self.end.saturating_add(bytes.len());
        if needed > self.bytes.capacity() {
            self.bytes.reserve_exact(self.grown(needed, bound) - self.end);
        }
        self.bytes.extend_from_slice(bytes);
        self.end = self.bytes.len();
        self.received = self.received.wrapping_add(bytes.len() as u64);
    }

    /// What is pending, as an own vector.
    pub(crate) fn into_pending(mut self) -> Vec<u8> {
        self.bytes.truncate(self.end);
        self.bytes.drain(..self.start);
        self.bytes
    }

    fn room(&self) -> usize {
        self.bytes.len() - self.end
    }

    /// Moves what is pending to the front where that gains room, and gives a spike's memory back.
    ///
    /// `incoming` more bytes are about to be pushed; what such a push has made the buffer grow to is
    /// no spike. Linear over all calls: bytes are moved only after others were consumed before them.
    fn reclaim(&mut self, incoming: usize) {
        let pending = self.end - self.start;
        let idle = self.read_size.max(incoming.saturating_mul(2));
        let spike_is_over = self.bytes.capacity() > idle && pending <= self.read_size / 2;
        if pending == 0 {
            (self.start, self.end) = (0, 0);
        } else if self.start > 0 && (spike_is_over || self.room() < self.read_size / 2) {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, pending);
        }
        if spike_is_over && self.start == 0 {
            self.bytes.truncate(idle);
            self.bytes.shrink_to(idle);
        }
    }

    /// Called with `start == 0` and no room left, or with less memory than for one read.
    #[cold]
    fn grow(&mut self, bound: Option<usize>) {
        let len = self.bytes.len();
        // A decoder that breaks its own bound still gets a byte at a time: room is never empty.
        let target = self.grown(self.read_size.max(len + 1), bound);
        self.bytes.reserve_exact(target - len);
        self.bytes.resize(target, 0);
    }

    /// The memory to have for `needed` bytes: twice as much as before, as far as the bound goes.
    fn grown(&self, needed: usize, bound: Option<usize>) -> usize {
        let most = bound.map_or(usize::MAX, |bound| bound.saturating_add(self.read_size));
        self.bytes.len().saturating_mul(2).min(most).max(needed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_up_to_the_bound_costs_the_bound_and_one_read() {
        let mut buffer = Buffer::new(16);
        for _ in 0..100 {
            buffer.push(b"0123456789", Some(1000));
            assert!(buffer.bytes.capacity() <= 1016, "{} bytes", buffer.bytes.capacity());
        }
        buffer.push(&[0; 500], Some(1000));
        assert_eq!(buffer.pending().len(), 1500, "beyond it, what is pushed has room");
    }

    #[test]
    fn a_short_push_does_not_make_the_reads_behind_it_short() {
        let mut buffer = Buffer::new(64);
        buffer.push(b"tail", None);
        buffer.discard(4);
        assert_eq!(buffer.space(None).len(), 64);
    }
}
