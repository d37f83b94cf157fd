//! Delimited framing, without I/O: lines, any byte string, any of several.
//!
//! ```text
//! +----------------------+-----------+----------------------+-----------+
//! | payload, 0..=max     | delimiter | payload, 0..=max     | delimiter |
//! +----------------------+-----------+----------------------+-----------+
//! ```
//!
//! The earliest match end wins, on a tie the longest delimiter. So a search need only look for the
//! last byte of a delimiter and compare what stands before it; every byte is looked at once, however
//! the stream is cut, and a delimiter cut in two by a read is found like any other.
//!
//! The limit counts the payload only. A frame is too long as soon as no continuation can make it
//! fit: when each delimiter that is half received would begin beyond `max`.

use alloc::{boxed::Box, vec::Vec};

use super::{DEFAULT_MAX_DELIMITED, Decoded, Decoder, Encoder, Span, check_limit};
use crate::{EncodeError, FrameError, OptionError};

/// Every payload is followed by a delimiter.
///
/// ```
/// use echo_core::{Delimited, Deframer, Polled};
///
/// let mut lines = Deframer::new(Delimited::lines());
/// lines.push(b"unix\nwindows\r\n");
/// assert_eq!(lines.poll(), Ok(Polled::Frame(b"unix")));
/// assert_eq!(lines.poll(), Ok(Polled::Frame(b"windows")));
/// ```
#[derive(Debug, Clone)]
pub struct Delimited {
    delimiters: Delimiters,
    max: usize,
    allow_unterminated: bool,
    /// No delimiter ends in `src[..searched]`. 0 whenever something was consumed to a boundary.
    searched: usize,
    /// Where in the stream `searched` counts from, see [`Decoder::resume_at`].
    offset: u64,
    /// How much of a frame that is too long has been discarded.
    skipped: Option<u64>,
}

impl Delimited {
    /// Lines ended by LF or CRLF, sent with LF. A lone CR is data.
    #[must_use]
    pub fn lines() -> Self {
        Self::with(Delimiters::new(&[&b"\n"[..], b"\r\n"]))
    }

    /// Frames ended by `delimiter`.
    ///
    /// # Errors
    /// [`OptionError::EmptyDelimiter`].
    pub fn by(delimiter: &[u8]) -> Result<Self, OptionError> {
        Self::by_any(&[delimiter])
    }

    /// Frames ended by any of `delimiters`, sent with the first. Where several end at the same
    /// byte, the longest counts.
    ///
    /// # Errors
    /// [`OptionError::NoDelimiter`], [`OptionError::EmptyDelimiter`].
    pub fn by_any<B: AsRef<[u8]>>(delimiters: &[B]) -> Result<Self, OptionError> {
        if delimiters.is_empty() {
            return Err(OptionError::NoDelimiter);
        }
        if delimiters.iter().any(|delimiter| delimiter.as_ref().is_empty()) {
            return Err(OptionError::EmptyDelimiter);
        }
        Ok(Self::with(Delimiters::new(delimiters)))
    }

    /// The largest payload, in bytes. Default [`DEFAULT_MAX_DELIMITED`].
    #[must_use]
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max = bytes;
        self
    }

    /// Lifts the limit: a payload may be as large as memory allows. For trusted peers only.
    #[must_use]
    pub fn unlimited(self) -> Self {
        self.max_payload(usize::MAX)
    }

    /// Takes what stands between the last delimiter and the end of the stream as a frame, too,
    /// unless it is empty. Without this it is [`FrameError::Truncated`].
    #[must_use]
    pub fn allow_unterminated(mut self) -> Self {
        self.allow_unterminated = true;
        self
    }

    /// The delimiter that is sent.
    #[must_use]
    pub fn delimiter(&self) -> &[u8] {
        &self.delimiters.sent
    }

    /// As [`by_any`](Self::by_any), for a list that is known to be sound.
    pub(super) fn of_list(delimiters: &[Box<[u8]>]) -> Self {
        Self::with(Delimiters::new(delimiters))
    }

    fn with(delimiters: Delimiters) -> Self {
        Self {
            delimiters,
            max: DEFAULT_MAX_DELIMITED,
            allow_unterminated: false,
            searched: 0,
            offset: 0,
            skipped: None,
        }
    }

    /// All that `decode` has to deal with.
    #[inline(never)]
    fn decode_any(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        let Some((payload, consumed)) = self.delimiters.find(src, self.searched) else {
            return self.unfinished(src);
        };
        if self.skipped.is_some() {
            (self.skipped, self.searched) = (None, 0);
            return Ok(Decoded::Discard(consumed));
        }
        if payload > self.max {
            // Found again by the next call, which discards it.
            self.searched = consumed - 1;
            return Err(self.too_long());
        }
        self.searched = 0;
        Ok(Decoded::Frame(Span { payload: 0..payload, consumed }))
    }

    /// No delimiter ends in `src`: waits for more, or gives the frame up.
    fn unfinished(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        self.searched = src.len();
        if self.skipped.is_some() {
            // What may be the front of a delimiter stays.
            return Ok(match self.delimiters.half_received(src) {
                0 => Decoded::NeedMore(1),
                n => self.discard(src, n),
            });
        }
        if src.len() > self.max && self.delimiters.half_received(src) > self.max {
            return Err(self.too_long());
        }
        Ok(Decoded::NeedMore(1))
    }

    fn too_long(&mut self) -> FrameError {
        self.skipped = Some(0);
        FrameError::TooLong { max: self.max, len: None }
    }

    fn discard(&mut self, src: &[u8], n: usize) -> Decoded {
        self.skipped = self.skipped.map(|skipped| skipped.saturating_add(n as u64));
        self.searched = src.len() - n;
        Decoded::Discard(n)
    }
}

impl Decoder for Delimited {
    #[inline]
    fn decode(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        match self.decode_whole(src) {
            Some(span) => Ok(Decoded::Frame(span)),
            None => self.decode_any(src),
        }
    }

    #[inline(always)]
    fn decode_whole(&mut self, src: &[u8]) -> Option<Span> {
        if self.searched != 0 || self.skipped.is_some() {
            return None;
        }
        // What is not for here is left to `decode`, which goes on at `searched`.
        match self.delimiters.find_first(src) {
            Ok((payload, consumed)) if payload <= self.max => {
                Some(Span { payload: 0..payload, consumed })
            }
            Ok((_, consumed)) => {
                self.searched = consumed - 1;
                None
            }
            Err(searched) => {
                self.searched = searched;
                None
            }
        }
    }

    fn decode_eof(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        let decoded = self.decode(src)?;
        if !matches!(decoded, Decoded::NeedMore(_)) {
            return Ok(decoded);
        }
        let got = src.len() as u64;
        match self.skipped {
            Some(_) if self.allow_unterminated && !src.is_empty() => {
                (self.skipped, self.searched) = (None, 0);
                Ok(Decoded::Discard(src.len()))
            }
            Some(_) if self.allow_unterminated => {
                self.skipped = None;
                Ok(decoded)
            }
            Some(skipped) => {
                Err(FrameError::Truncated { got: skipped.saturating_add(got), expected: None })
            }
            None if src.is_empty() => Ok(decoded),
            None if !self.allow_unterminated => Err(FrameError::Truncated { got, expected: None }),
            None if src.len() > self.max => Err(self.too_long()),
            None => {
                self.searched = 0;
                Ok(Decoded::Frame(Span { payload: 0..src.len(), consumed: src.len() }))
            }
        }
    }

    fn resume_at(&mut self, offset: u64) {
        // Nobody else consumes anything while a frame is being skipped.
        if self.offset != offset && self.skipped.is_none() {
            self.searched = 0;
        }
        self.offset = offset;
    }

    fn is_skipping(&self) -> bool {
        self.skipped.is_some()
    }

    fn max_buffered(&self) -> Option<usize> {
        self.max.checked_add(self.delimiters.longest)
    }
}

impl Encoder for Delimited {
    fn encode(&self, payload: &[u8], _header: &mut Vec<u8>) -> Result<&[u8], EncodeError> {
        check_limit(payload, self.max)?;
        match self.delimiters.first_match_of(payload) {
            Some(at) => Err(EncodeError::Delimiter { at }),
            None => Ok(&self.delimiters.sent),
        }
    }
}

/// A set of delimiters, and the search for the one whose end comes first.
#[derive(Debug, Clone)]
struct Delimiters {
    /// Longest first, so that the first that matches at an end is the one that counts. Delimiters
    /// that hold another before their last byte can never match and are left out.
    live: Box<[Box<[u8]>]>,
    search: Search,
    last_bytes: LastBytes,
    longest: usize,
    /// The one that is written.
    sent: Box<[u8]>,
    sent_is_live: bool,
}

/// How to look for a delimiter. The sets that people use most have a way of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Search {
    /// LF, with a CR before it or not.
    Lines,
    /// The one delimiter is one byte.
    Byte(u8),
    /// The one delimiter is two bytes.
    Pair(u8, u8),
    /// Every delimiter is one byte.
    Bytes,
    /// A last byte of any delimiter, then what stands before it.
    Any,
}

/// The bytes at which a delimiter may end.
#[derive(Debug, Clone)]
enum LastBytes {
    One(u8),
    Two(u8, u8),
    Three(u8, u8, u8),
    /// Up to [`FEW`], each as often as bytes are compared at once.
    Few(Box<[[u8; LANES]]>),
    Many(Box<[bool; 256]>),
}

/// Bytes compared at once: a loop over so many becomes a few vector instructions.
const LANES: usize = 16;

/// From here on, a look into a table for every byte is faster than a comparison with every byte.
const FEW: usize = 8;

impl Delimiters {
    fn new<B: AsRef<[u8]>>(delimiters: &[B]) -> Self {
        let all: Vec<&[u8]> = delimiters.iter().map(AsRef::as_ref).collect();
        let mut live: Vec<Box<[u8]>> = Vec::new();
        for delimiter in &all {
            let before_last = &delimiter[..delimiter.len() - 1];
            let ends_earlier =
                |other: &&[u8]| before_last.windows(other.len()).any(|w| w == *other);
            if !all.iter().any(ends_earlier) && !live.iter().any(|known| **known == **delimiter) {
                live.push(Box::from(*delimiter));
            }
        }
        live.sort_by_key(|delimiter| core::cmp::Reverse(delimiter.len()));
        let search = match &live[..] {
            [crlf, lf] if **crlf == *b"\r\n" && **lf == *b"\n" => Search::Lines,
            [one] if one.len() == 1 => Search::Byte(one[0]),
            [one] if one.len() == 2 => Search::Pair(one[0], one[1]),
            [longest, ..] if longest.len() == 1 => Search::Bytes,
            _ => Search::Any,
        };
        Self {
            search,
            last_bytes: LastBytes::of(&live),
            longest: live.first().map_or(0, |longest| longest.len()),
            sent_is_live: live.iter().any(|delimiter| **delimiter == *all[0]),
            live: live.into(),
            sent: Box::from(all[0]),
        }
    }

    /// The first delimiter that ends after `src[..from]`: where it begins and where it ends.
    #[inline(never)]
    fn find(&self, src: &[u8], mut from: usize) -> Option<(usize, usize)> {
        loop {
            let rest = &src[from..];
            let end = from + scanned(rest, self.last_bytes.find(rest))? + 1;
            if let Some(delimiter) = self.live.iter().find(|d| src[..end].ends_with(d)) {
                return Some((end - delimiter.len(), end));
            }
            from = end;
        }
    }

    /// The same from the front of `src`, and in little code for what is used most. `Err` says how
    /// far there is no end of a delimiter.
    #[inline(always)]
    fn find_first(&self, src: &[u8]) -> Result<(usize, usize), usize> {
        let find = |byte| scanned(src, memchr::memchr(byte, src)).ok_or(src.len());
        let is_before = |at: usize, byte| src.get(at.wrapping_sub(1)) == Some(&byte);
        match self.search {
            Search::Lines => {
                let lf = find(b'\n')?;
                Ok((lf - usize::from(is_before(lf, b'\r')), lf + 1))
            }
            Search::Byte(byte) => find(byte).map(|at| (at, at + 1)),
            Search::Pair(first, last) => {
                let at = find(last)?;
                if is_before(at, first) { Ok((at - 1, at + 1)) } else { Err(at + 1) }
            }
            Search::Bytes => {
                let at = scanned(src, self.last_bytes.find(src)).ok_or(src.len())?;
                Ok((at, at + 1))
            }
            Search::Any => self.find(src, 0).ok_or(src.len()),
        }
    }

    /// Where the earliest half-received delimiter at the end of `src` begins; `src.len()` if none.
    fn half_received(&self, src: &[u8]) -> usize {
        let from = src.len() - src.len().min(self.longest - 1);
        (from..src.len())
            .find(|at| self.live.iter().any(|delimiter| delimiter.starts_with(&src[*at..])))
            .unwrap_or(src.len())
    }

    /// Where a receiver of `payload` and the delimiter after it would see a match begin that is not
    /// that delimiter.
    fn first_match_of(&self, payload: &[u8]) -> Option<usize> {
        let found = match self.find_first(payload) {
            Ok(found) => Some(found),
            Err(searched) => self.find(payload, searched),
        };
        if let Some((at, _)) = found {
            return Some(at);
        }
        if self.sent_is_live && self.half_received(payload) == payload.len() {
            return None;
        }
        // Only the end of the payload can form one together with what follows.
        let tail = payload.len() - payload.len().min(self.longest - 1);
        let seam = [&payload[tail..], &self.sent].concat();
        let (at, end) = self.find(&seam, payload.len() - tail)?;
        let is_the_one_sent = tail + at == payload.len() && end == seam.len();
        (!is_the_one_sent).then_some(tail + at)
    }
}

impl LastBytes {
    fn of(delimiters: &[Box<[u8]>]) -> Self {
        let mut last: Vec<u8> = delimiters.iter().filter_map(|d| d.last().copied()).collect();
        last.sort_unstable();
        last.dedup();
        match *last {
            [a] => Self::One(a),
            [a, b] => Self::Two(a, b),
            [a, b, c] => Self::Three(a, b, c),
            ref few if few.len() <= FEW => Self::Few(few.iter().map(|b| [*b; LANES]).collect()),
            _ => {
                let mut table = Box::new([false; 256]);
                for byte in last {
                    table[usize::from(byte)] = true;
                }
                Self::Many(table)
            }
        }
    }

    #[inline(never)]
    fn find(&self, src: &[u8]) -> Option<usize> {
        match self {
            Self::One(a) => memchr::memchr(*a, src),
            Self::Two(a, b) => memchr::memchr2(*a, *b, src),
            Self::Three(a, b, c) => memchr::memchr3(*a, *b, *c, src),
            Self::Few(few) => find_few(few, src),
            Self::Many(table) => src.iter().position(|byte| table[usize::from(*byte)]),
        }
    }
}

fn find_few(few: &[[u8; LANES]], src: &[u8]) -> Option<usize> {
    let blocks = src.chunks_exact(LANES);
    let tail = blocks.remainder();
    for (i, block) in blocks.enumerate() {
        let mut hits = [0; LANES];
        for byte in few {
            for lane in 0..LANES {
                hits[lane] |= u8::from(block[lane] == byte[lane]);
            }
        }
        let hits = u128::from_le_bytes(hits);
        if hits != 0 {
            return Some(i * LANES + hits.trailing_zeros() as usize / 8);
        }
    }
    let in_tail = tail.iter().position(|byte| few.iter().any(|one| one[0] == *byte))?;
    Some(src.len() - tail.len() + in_tail)
}

/// Passes on what a search in `src` has found; counts what it has looked at, in tests.
#[inline(always)]
#[cfg_attr(not(test), expect(unused_variables, reason = "only counted in tests"))]
fn scanned(src: &[u8], found: Option<usize>) -> Option<usize> {
    #[cfg(test)]
    SCANNED.with(|scanned| scanned.set(scanned.get() + found.map_or(src.len(), |at| at + 1)));
    found
}

#[cfg(test)]
std::thread_local! {
    /// Bytes handed to a search by this thread.
    pub(crate) static SCANNED: core::cell::Cell<usize> = const { core::cell::Cell::new(0) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Deframer;

    /// Feeds `wire` byte by byte and counts what the search has looked at.
    fn bytes_scanned(decoder: Delimited, wire: &[u8]) -> usize {
        SCANNED.with(|scanned| scanned.set(0));
        let mut deframer = Deframer::new(decoder);
        for byte in wire {
            deframer.push(&[*byte]);
            while !matches!(deframer.poll(), Ok(crate::Polled::NeedRead)) {}
        }
        SCANNED.with(core::cell::Cell::get)
    }

    #[test]
    fn guide_mistake_3_no_byte_is_scanned_twice_however_it_drips_in() {
        let mut wire = alloc::vec![b'x'; 100_000];
        wire.extend_from_slice(b"\r\n");
        let limit = |decoder: Delimited| decoder.max_payload(200_000);
        for decoder in [Delimited::lines(), Delimited::by(b"\r\n").unwrap()] {
            assert_eq!(bytes_scanned(limit(decoder), &wire), wire.len());
        }
        // A frame that is skipped costs no more, but for the byte that ends it.
        assert!(bytes_scanned(Delimited::lines().max_payload(9), &wire) <= wire.len() + 1);
    }
}
