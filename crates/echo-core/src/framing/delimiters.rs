//! The search for the delimiter whose end comes first.
//!
//! On a tie the longest wins. So it is enough to look for the last byte of any delimiter and compare
//! what stands before it; the sets that are used most have a shorter way of their own.

use alloc::{boxed::Box, vec::Vec};

/// A set of delimiters, and the search for the one whose end comes first.
#[derive(Debug, Clone)]
pub(super) struct Delimiters {
    /// Longest first, so that the first that matches at an end is the one that counts. Delimiters
    /// that hold another before their last byte can never match and are left out.
    live: Box<[Box<[u8]>]>,
    search: Search,
    last_bytes: LastBytes,
    pub(super) longest: usize,
    /// The one that is written.
    pub(super) sent: Box<[u8]>,
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
    pub(super) fn new<B: AsRef<[u8]>>(delimiters: &[B]) -> Self {
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
    pub(super) fn find(&self, src: &[u8], mut from: usize) -> Option<(usize, usize)> {
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
    pub(super) fn find_first(&self, src: &[u8]) -> Result<(usize, usize), usize> {
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
    pub(super) fn half_received(&self, src: &[u8]) -> usize {
        let from = src.len() - src.len().min(self.longest - 1);
        (from..src.len())
            .find(|at| self.live.iter().any(|delimiter| delimiter.starts_with(&src[*at..])))
            .unwrap_or(src.len())
    }

    /// Where a receiver of `payload` and the delimiter after it would see a match begin that is not
    /// that delimiter.
    pub(super) fn first_match_of(&self, payload: &[u8]) -> Option<usize> {
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
