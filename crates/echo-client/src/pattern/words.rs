//! Whole words of the load, written and compared with the widest vectors that the machine has.
//!
//! Long stretches have a version of their own for AVX2, chosen while the program runs: at 4 KiB it
//! takes half the time. Short ones are not worth the choice.

use multiversion::multiversion;

use super::{WORD, mix};

/// From one word to the next, before the mix.
pub(super) const STEP: u64 = super::FACTOR << super::CONNECTION_BITS;

/// The least bytes that are worth a choice of vectors; and what is compared at once.
const LONG: usize = 512;

/// The same for what is short, or the end of something long.
const SHORT: usize = 64;

/// Writes the words from `raw` on, the last one in part.
pub(super) fn fill(raw: u64, out: &mut [u8]) {
    if out.len() < LONG { fill_each(raw, out) } else { fill_long(raw, out) }
}

/// How many of the first bytes are those of the words from `raw` on.
pub(super) fn matching(raw: u64, bytes: &[u8]) -> usize {
    let mut done = if bytes.len() < LONG { 0 } else { matching_long(raw, bytes) };
    done += matching_blocks::<SHORT>(after(raw, done), &bytes[done..]);
    let mut raw = after(raw, done);
    for word in bytes[done..].chunks(WORD) {
        let n = same(word, raw, 0);
        done += n;
        if n < WORD {
            break;
        }
        raw = raw.wrapping_add(STEP);
    }
    done
}

/// How many of the first bytes, at most a word, are those of the word made of `raw` from its byte
/// `head` on.
pub(super) fn same(bytes: &[u8], raw: u64, head: usize) -> usize {
    let due = mix(raw) >> (8 * head);
    let got = match bytes.first_chunk() {
        Some(word) => u64::from_le_bytes(*word),
        None => bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    bytes.len().min((due ^ got).trailing_zeros() as usize / 8)
}

#[multiversion(targets("x86_64+avx2"))]
fn fill_long(raw: u64, out: &mut [u8]) {
    fill_each(raw, out);
}

#[multiversion(targets("x86_64+avx2"))]
fn matching_long(raw: u64, bytes: &[u8]) -> usize {
    matching_blocks::<LONG>(raw, bytes)
}

#[expect(clippy::inline_always, reason = "only what is inlined is compiled for wide vectors")]
#[inline(always)]
fn fill_each(mut raw: u64, out: &mut [u8]) {
    let mut words = out.chunks_exact_mut(WORD);
    for word in &mut words {
        word.copy_from_slice(&mix(raw).to_le_bytes());
        raw = raw.wrapping_add(STEP);
    }
    let tail = words.into_remainder();
    tail.copy_from_slice(&mix(raw).to_le_bytes()[..tail.len()]);
}

/// The same as [`matching`], in whole blocks. There is no way out of a block, so that the compiler
/// uses the vector unit.
#[expect(clippy::inline_always, reason = "only what is inlined is compiled for wide vectors")]
#[inline(always)]
fn matching_blocks<const BLOCK: usize>(mut raw: u64, bytes: &[u8]) -> usize {
    let mut done = 0;
    for block in bytes.chunks_exact(BLOCK) {
        let mut differs = 0;
        for word in block.chunks_exact(WORD) {
            differs |= mix(raw) ^ word.try_into().map_or(0, u64::from_le_bytes);
            raw = raw.wrapping_add(STEP);
        }
        if differs != 0 {
            break;
        }
        done += BLOCK;
    }
    done
}

/// The word so many bytes, whole words, after `raw`, before the mix.
fn after(raw: u64, bytes: usize) -> u64 {
    raw.wrapping_add(STEP.wrapping_mul((bytes / WORD) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_the_same_in_long_and_in_short_pieces() {
        let mut long = [0; 4 * LONG + 5];
        fill(7, &mut long);
        let mut short = [0; 4 * LONG + 5];
        for (i, piece) in short.chunks_mut(SHORT).enumerate() {
            fill(after(7, i * SHORT), piece);
        }
        assert!(long == short);
        for len in [0, 1, SHORT, LONG - 1, LONG, LONG + 1, long.len()] {
            assert_eq!(matching(7, &long[..len]), len);
        }
    }
}
