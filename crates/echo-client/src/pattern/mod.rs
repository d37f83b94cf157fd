//! The load, and what has happened to it on its way: every byte says where it belongs.
//!
//! ```text
//! stream   | word 0 | word 1 | word 2 | ...     8 bytes each, little-endian
//!              │
//!              └── mix(seed + word * 2^24 + connection)     a bijection of u64
//! ```
//!
//! [`Pattern`] writes any stretch of the stream from nothing but its offset. Since the mix can be
//! undone, any whole word that comes back tells which connection and which offset it was sent on:
//! that is how a [`Checker`] names the [`Damage`], not only its place.
//!
//! | call | what it is for |
//! |---|---|
//! | [`Pattern::new`], [`Pattern::fill`] | write what is to be sent, from any offset |
//! | [`Checker::check`] | take what came, in pieces of any size; returns the damage it reveals |
//! | [`Checker::complete_to`] | whether a reply that ends at some offset is back |
//! | [`Checker::settle`] | nothing is on its way: name what is pending now |
//! | [`Checker::finish`] | the stream has ended: also name what is missing at its end |
//!
//! ```
//! use echo_client::pattern::{Checker, DamageKind, Pattern};
//!
//! let load = Pattern::new(1, 0);
//! let mut bytes = vec![0; 4096];
//! load.fill(0, &mut bytes);
//! bytes.drain(1000..1512);
//!
//! let mut checker = Checker::new(load);
//! let mut damages = checker.check(&bytes).to_vec(); // as often as bytes come
//! damages.extend_from_slice(checker.finish(4096)); // so many were sent
//! assert_eq!(damages.len(), 1);
//! assert_eq!(damages[0].kind, DamageKind::Lost);
//! assert_eq!(damages[0].to_string(), "lost 512 bytes at offset 1000");
//! ```

mod checker;
mod damage;
mod gaps;
mod words;

pub use checker::Checker;
pub(crate) use damage::NOT_AN_ECHO;
pub use damage::{Damage, DamageKind};

/// Connections that can be told apart, and so the bits of a word that name one.
const CONNECTION_BITS: u32 = 24;

/// An odd number with no pattern in its bits: 2^64 divided by the golden ratio (Knuth, TAOCP 6.4).
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Undoes a multiplication by [`FACTOR`].
const INVERSE: u64 = inverse(FACTOR);

/// Multiplies by `2^25 + 1`, which vector units can do: a shift and an addition.
const SPREAD: u32 = 25;

/// Undoes it.
const UNSPREAD: u64 = inverse((1 << SPREAD) + 1);

/// How far the end of a stretch may seem off because its bytes happen to be those next to it.
const MAX_SLIDE: usize = 8;

/// Bytes of a word.
pub(crate) const WORD: usize = 8;

/// Words of a damaged datagram that are asked where they come from.
const MAX_ASKED: usize = 64;

/// The bytes that one connection sends: a function of seed, connection and offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pattern {
    connection: u32,
    /// What the seed adds to every word of every connection.
    base: u64,
    /// The word at offset 0, before the mix.
    first: u64,
}

/// Where a word was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) connection: u32,
    /// In bytes; a multiple of 8.
    pub(crate) offset: u64,
}

impl Pattern {
    /// The load of one connection of a run.
    ///
    /// Connections are told apart by their lower 24 bits, offsets up to 8 TiB.
    #[must_use]
    pub fn new(seed: u64, connection: u32) -> Self {
        let base = mix(seed.wrapping_mul(FACTOR)); // seeds that differ little differ much here
        Self { base, connection: 0, first: 0 }.of(connection)
    }

    /// The same run's load on another connection.
    #[must_use]
    pub fn of(self, connection: u32) -> Self {
        let connection = connection & ((1 << CONNECTION_BITS) - 1);
        let first = self.base.wrapping_add(u64::from(connection).wrapping_mul(FACTOR));
        Self { connection, first, ..self }
    }

    /// Its connection.
    #[must_use]
    pub fn connection(&self) -> u32 {
        self.connection
    }

    /// Writes the stream's bytes from `offset` on.
    pub fn fill(&self, offset: u64, out: &mut [u8]) {
        let (mut index, head) = place(offset);
        let mut out = out;
        if head > 0 {
            let n = out.len().min(WORD - head);
            let (start, rest) = out.split_at_mut(n);
            start.copy_from_slice(&self.word(index)[head..head + n]);
            (index, out) = (index.wrapping_add(1), rest);
        }
        words::fill(self.raw(index), out);
    }

    /// How many of the first bytes are those of the stream from `offset` on.
    pub(crate) fn matching(&self, offset: u64, bytes: &[u8]) -> usize {
        let (mut index, head) = place(offset);
        let mut done = 0;
        if head > 0 {
            let n = bytes.len().min(WORD - head);
            done = words::same(&bytes[..n], self.raw(index), head);
            if done < n {
                return done;
            }
            index = index.wrapping_add(1);
        }
        done + words::matching(self.raw(index), &bytes[done..])
    }

    /// Whether the `len` bytes from `at` on are also those of the other stream; never of more than
    /// [`MAX_SLIDE`].
    pub(crate) fn repeats(&self, at: u64, other: &Self, other_at: u64, len: u64) -> bool {
        let mut bytes = [0; MAX_SLIDE];
        let Some(bytes) = usize::try_from(len).ok().and_then(|len| bytes.get_mut(..len)) else {
            return false;
        };
        self.fill(at, bytes);
        other.matching(other_at, bytes) == bytes.len()
    }

    /// Where a word comes from, if it is one of this run.
    pub(crate) fn origin(&self, word: [u8; WORD]) -> Origin {
        let raw = unmix(u64::from_le_bytes(word));
        let from = raw.wrapping_sub(self.base).wrapping_mul(INVERSE);
        let connection = from & ((1 << CONNECTION_BITS) - 1);
        Origin {
            connection: u32::try_from(connection).unwrap_or(u32::MAX),
            offset: (from >> CONNECTION_BITS) * WORD as u64,
        }
    }

    /// Which of `sent` messages a datagram is, however damaged: the one that its words tell. Messages
    /// begin `stride` bytes apart, a multiple of a word.
    pub(crate) fn message_of(&self, datagram: &[u8], stride: u64, sent: u64) -> Option<u64> {
        let words = (0..).step_by(WORD).zip(datagram.chunks_exact(WORD)).take(MAX_ASKED);
        words.into_iter().find_map(|(at, word)| {
            let origin = self.origin(word.try_into().ok()?);
            let start = origin.offset.checked_sub(at)?;
            let (is_own, message) = (origin.connection == self.connection, start / stride);
            (is_own && start % stride == 0 && message < sent).then_some(message)
        })
    }

    /// The word at an index, before the mix.
    fn raw(&self, index: u64) -> u64 {
        self.first.wrapping_add(index.wrapping_mul(words::STEP))
    }

    fn word(&self, index: u64) -> [u8; WORD] {
        mix(self.raw(index)).to_le_bytes()
    }
}

/// Index of the word that holds an offset, and where in it.
fn place(offset: u64) -> (u64, usize) {
    (offset / WORD as u64, usize::try_from(offset % WORD as u64).unwrap_or(0))
}

/// Nothing is lost on the way: each step can be undone. Shifts and spread were chosen among many so
/// that streams out of step have no more in common than chance makes.
fn mix(raw: u64) -> u64 {
    let high = raw ^ (raw >> 29);
    let spread = high.wrapping_add(high << SPREAD);
    spread ^ (spread >> 32)
}

fn unmix(word: u64) -> u64 {
    let spread = word ^ (word >> 32);
    let high = spread.wrapping_mul(UNSPREAD);
    high ^ (high >> 29) ^ (high >> 58)
}

/// The inverse of an odd number modulo 2^64, by Newton's iteration: each step doubles the bits.
const fn inverse(odd: u64) -> u64 {
    let mut inverse = odd; // right in the lowest 3 bits
    let mut step = 0;
    while step < 5 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stretch_is_a_stretch_of_the_same_stream() {
        let load = Pattern::new(7, 3);
        let mut whole = [0; 600];
        load.fill(0, &mut whole);
        for from in 0..40 {
            for len in [0, 1, 7, 8, 9, 255, 256, 257, 500] {
                let mut part = vec![0; len];
                load.fill(from as u64, &mut part);
                assert_eq!(part, whole[from..from + len], "{len} bytes from {from}");
                assert_eq!(load.matching(from as u64, &part), len);
            }
        }
    }

    #[test]
    fn the_first_byte_that_differs_is_found_wherever_it_is() {
        let load = Pattern::new(7, 3);
        for from in [0, 1, 7, 8, 1 << 42] {
            let mut bytes = [0; 700];
            load.fill(from, &mut bytes);
            for at in 0..bytes.len() {
                bytes[at] ^= 1;
                assert_eq!(load.matching(from, &bytes), at);
                bytes[at] ^= 1;
            }
        }
    }

    #[test]
    fn a_word_tells_its_connection_and_offset() {
        for (seed, connection) in [(0, 0), (1, 1), (u64::MAX, (1 << 24) - 1), (99, 10_000)] {
            let load = Pattern::new(seed, connection);
            for index in [0, 1, 12_345, (1 << 40) - 1] {
                let origin = Origin { connection, offset: index * 8 };
                assert_eq!(load.origin(load.word(index)), origin);
                assert_eq!(Pattern::new(seed, 77).origin(load.word(index)), origin);
            }
        }
    }

    #[test]
    fn streams_that_are_shifted_or_of_other_connections_or_seeds_have_little_in_common() {
        let mut own = [0; 8192];
        Pattern::new(1, 0).fill(0, &mut own);
        let mut other = [0; 8192];
        let mut in_common = |load: Pattern, offset| {
            load.fill(offset, &mut other);
            own.iter().zip(&other).filter(|(a, b)| a == b).count()
        };
        // By chance it is one in 256: 32.
        for shift in 0..26 {
            for near in [0, 1, 8] {
                let n = in_common(Pattern::new(1, 0), (1 << shift) + near);
                assert!(n < 160, "{n} after 2^{shift} + {near}");
            }
        }
        for connection in (0..24).map(|bit| 1 << bit) {
            let n = in_common(Pattern::new(1, connection), 0);
            assert!(n < 160, "{n} on {connection}");
        }
        assert!(in_common(Pattern::new(2, 0), 0) < 160);
    }
}
