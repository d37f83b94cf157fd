//! One histogram as text: V2, deflated, in base64, as in `HISTFAAAAB...`.
//!
//! ```text
//! +---------------+-------------+----------------------------------------------+
//! | cookie: u32   | length: u32 | zlib of:                                     |   big-endian
//! +---------------+-------------+----------------------------------------------+
//! | cookie: u32   | length: u32 | offset: u32 | digits: u32                    |
//! | lowest: u64   | highest: u64              | ratio: f64                     |
//! | counts as zigzag LEB128 of at most 9 bytes; -n stands for n empty buckets  |
//! +----------------------------------------------------------------------------+
//! ```
//!
//! A file is not to be trusted: what it claims is checked before hdrhistogram decodes it, so that
//! no claim allocates, and no sum overflows.

use std::io::Read;

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::read::ZlibDecoder;
use hdrhistogram::{
    Histogram,
    serialization::{Deserializer, Serializer, V2DeflateSerializer},
};
use thiserror::Error;

use crate::bench::{Counts, DIGITS, MAX_LATENCY};

const V2_COOKIE: u32 = 0x1c84_9313;
const V2_DEFLATE_COOKIE: u32 = 0x1c84_9314;
/// In the low bits of every cookie that is neither of these: version 0 or 1.
const COOKIE_FAMILY: u32 = 0x1c84_9300;

const OUTER_HEADER: usize = 8;
const HEADER: usize = 40;

/// Bytes of one histogram before deflating: every bucket up to `u64::MAX` with a count of 9 bytes.
const MAX_INFLATED: u64 = 1 << 19;

/// Samples of one run, whether in one histogram or in the lines of a log: ten million per second for
/// three years. So many files as a report takes cannot overflow their sum.
pub(super) const MAX_SAMPLES: u64 = 1 << 50;

/// A text that is no histogram, or not one that merges exactly with ours.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum DecodeError {
    #[error("a histogram that is not in base64, or was cut short")]
    NotBase64,
    #[error("no HdrHistogram: it does not begin with HISTFAAA")]
    NotAHistogram,
    #[error("an HdrHistogram of version 0 or 1; have it written as version 2")]
    OldVersion,
    #[error("a histogram that was cut short or damaged")]
    Damaged,
    #[error(
        "a histogram of {digits} digits with steps of {lowest}; only {DIGITS} digits with steps of 1 ns \
         merge exactly"
    )]
    OtherResolution { digits: u32, lowest: u64 },
    #[error("a latency of over an hour: its unit is hardly the nanosecond")]
    TooLong,
    #[error("more samples than any run takes")]
    TooMany,
    #[error("a histogram with a shifted or scaled range, which nothing here writes")]
    Shifted,
}

/// The text of a histogram.
pub(crate) fn encode(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    // Only writing can fail, and a vector takes what is written.
    let _ = V2DeflateSerializer::new().serialize(histogram, &mut bytes);
    STANDARD.encode(bytes)
}

/// What [`encode`] has written, or another implementation of HdrHistogram.
pub(crate) fn decode(text: &str) -> Result<Counts, DecodeError> {
    let bytes = STANDARD.decode(text).map_err(|_| DecodeError::NotBase64)?;
    let deflated = match word(&bytes, 0)? {
        V2_DEFLATE_COOKIE => bytes.get(OUTER_HEADER..).ok_or(DecodeError::Damaged)?,
        cookie if cookie & !0xff == COOKIE_FAMILY => return Err(DecodeError::OldVersion),
        _ => return Err(DecodeError::NotAHistogram),
    };
    if usize::try_from(word(&bytes, 4)?) != Ok(deflated.len()) {
        return Err(DecodeError::Damaged);
    }
    let mut inflated = Vec::new();
    ZlibDecoder::new(deflated)
        .take(MAX_INFLATED + 1)
        .read_to_end(&mut inflated)
        .map_err(|_| DecodeError::Damaged)?;
    check(&inflated)?;
    let histogram: Histogram<u64> =
        Deserializer::new().deserialize(&mut &inflated[..]).map_err(|_| DecodeError::Damaged)?;
    if histogram.max() > histogram_limit() {
        return Err(DecodeError::TooLong);
    }
    Ok(Counts::from(&histogram))
}

/// The highest value that shares its bucket with [`MAX_LATENCY`].
fn histogram_limit() -> u64 {
    crate::bench::histogram().highest_equivalent(MAX_LATENCY)
}

/// Refuses what would overflow, allocate, or not merge exactly.
fn check(inflated: &[u8]) -> Result<(), DecodeError> {
    let counts = inflated.get(HEADER..).ok_or(DecodeError::Damaged)?;
    if inflated.len() as u64 > MAX_INFLATED
        || word(inflated, 0)? != V2_COOKIE
        || usize::try_from(word(inflated, 4)?) != Ok(counts.len())
    {
        return Err(DecodeError::Damaged);
    }
    let (digits, lowest) = (word(inflated, 12)?, long(inflated, 16)?);
    if digits != u32::from(DIGITS) || lowest != 1 {
        return Err(DecodeError::OtherResolution { digits, lowest });
    }
    if word(inflated, 8)? != 0 || long(inflated, 32)? != 1f64.to_bits() {
        return Err(DecodeError::Shifted);
    }
    let (mut total, mut rest) = (0_u64, counts);
    while !rest.is_empty() {
        let zigzag = take_leb128(&mut rest).ok_or(DecodeError::Damaged)?;
        let is_gap = zigzag & 1 == 1;
        let count = if is_gap { 0 } else { zigzag >> 1 };
        total = total.saturating_add(count);
        if is_gap && zigzag > MAX_INFLATED {
            return Err(DecodeError::Damaged);
        }
    }
    if total > MAX_SAMPLES { Err(DecodeError::TooMany) } else { Ok(()) }
}

/// LEB128 of at most 9 bytes, the last of which is taken whole.
fn take_leb128(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for at in 0..9 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        if at == 8 || byte < 0x80 {
            return Some(value | u64::from(byte) << (7 * at));
        }
        value |= u64::from(byte & 0x7f) << (7 * at);
    }
    None
}

fn word(bytes: &[u8], at: usize) -> Result<u32, DecodeError> {
    let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
    word.map(u32::from_be_bytes).ok_or(DecodeError::Damaged)
}

fn long(bytes: &[u8], at: usize) -> Result<u64, DecodeError> {
    let long = bytes.get(at..at + 8).and_then(|long| long.try_into().ok());
    long.map(u64::from_be_bytes).ok_or(DecodeError::Damaged)
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::V2Serializer;
    use proptest::prelude::*;

    use super::*;
    use crate::bench::histogram;

    fn of(values: impl IntoIterator<Item = u64>) -> Histogram<u64> {
        let mut histogram = histogram();
        values.into_iter().for_each(|value| histogram.saturating_record(value));
        histogram
    }

    /// Deflates an inner histogram that the caller may have damaged.
    fn wrap(inner: &[u8]) -> String {
        use std::io::Write;
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(inner).unwrap();
        let deflated = zlib.finish().unwrap();
        let length = u32::try_from(deflated.len()).unwrap();
        let header = [V2_DEFLATE_COOKIE.to_be_bytes(), length.to_be_bytes()].concat();
        STANDARD.encode([header, deflated].concat())
    }

    fn inner(histogram: &Histogram<u64>) -> Vec<u8> {
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(histogram, &mut bytes).unwrap();
        bytes
    }

    fn with_counts(counts: &[u8]) -> String {
        let mut bytes = inner(&of([]));
        bytes.truncate(HEADER);
        bytes[4..8].copy_from_slice(&u32::try_from(counts.len()).unwrap().to_be_bytes());
        bytes.extend(counts);
        wrap(&bytes)
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        let histogram = of([1, 2, 2, 1000, 123_456_789, MAX_LATENCY, u64::MAX]);
        let text = encode(&histogram);
        assert!(text.starts_with("HISTFAAA"), "{text}");
        assert_eq!(decode(&text), Ok(Counts::from(&histogram)));
        assert_eq!(decode(&encode(&of([]))), Ok(Counts::default()));
        assert_eq!(wrap(&inner(&histogram)).get(..8), text.get(..8));
        assert_eq!(decode(&wrap(&inner(&histogram))), Ok(Counts::from(&histogram)));
    }

    #[test]
    fn what_does_not_merge_exactly_is_refused() {
        let of = |low, high, digits| {
            let mut histogram = Histogram::<u64>::new_with_bounds(low, high, digits).unwrap();
            histogram.record(high).unwrap();
            decode(&encode(&histogram))
        };
        assert_eq!(of(1, 1 << 40, 2), Err(DecodeError::OtherResolution { digits: 2, lowest: 1 }));
        assert_eq!(
            of(1000, 1 << 40, 3),
            Err(DecodeError::OtherResolution { digits: 3, lowest: 1000 })
        );
        assert_eq!(of(1, u64::MAX, 3), Err(DecodeError::TooLong));
        assert!(of(1, 1000, 3).is_ok());
    }

    #[test]
    fn a_hostile_claim_is_refused() {
        // The smallest number there is: its negation overflows.
        assert_eq!(with_counts_error(&[0xff; 9]), DecodeError::Damaged);
        // The largest count, three times.
        let most = [&[0xfe][..], &[0xff; 8]].concat().repeat(3);
        assert_eq!(with_counts_error(&most), DecodeError::TooMany);
        assert_eq!(with_counts_error(&[0x80]), DecodeError::Damaged);
        // More than it has buckets.
        assert_eq!(with_counts_error(&vec![2; 100_000]), DecodeError::Damaged);
        // A bomb.
        assert_eq!(decode(&wrap(&vec![0; 64 << 20])), Err(DecodeError::Damaged));
        let mut bytes = inner(&of([5]));
        bytes[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(decode(&wrap(&bytes)), Err(DecodeError::Damaged));
        let mut bytes = inner(&of([5]));
        bytes[11] = 1;
        assert_eq!(decode(&wrap(&bytes)), Err(DecodeError::Shifted));
        let mut old = STANDARD.decode(encode(&of([5]))).unwrap();
        old[3] = 0x02;
        assert_eq!(decode(&STANDARD.encode(&old)), Err(DecodeError::OldVersion));
        assert_eq!(decode("aGVsbG8gd29ybGQ="), Err(DecodeError::NotAHistogram));
        assert_eq!(decode("HISTFAAAé"), Err(DecodeError::NotBase64));
        assert_eq!(decode(""), Err(DecodeError::Damaged));
    }

    #[track_caller]
    fn with_counts_error(counts: &[u8]) -> DecodeError {
        decode(&with_counts(counts)).unwrap_err()
    }

    proptest! {
        #[test]
        fn text_goes_there_and_back(values in prop::collection::vec(1..=u64::MAX, 0..200)) {
            let histogram = of(values);
            prop_assert_eq!(decode(&encode(&histogram)), Ok(Counts::from(&histogram)));
        }

        #[test]
        fn damage_never_panics(
            values in prop::collection::vec(1..=MAX_LATENCY, 0..20),
            at in any::<prop::sample::Index>(),
            byte: u8,
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = inner(&of(values));
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = decode(&wrap(&bytes));
            bytes.truncate(cut.index(bytes.len()));
            let _ = decode(&wrap(&bytes));
        }
    }
}
