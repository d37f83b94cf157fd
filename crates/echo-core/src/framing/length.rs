//! Length-delimited framing, without I/O.
//!
//! ```text
//! +------------------+--------------+----------------------+
//! | offset: n bytes  | length field | payload: `len` bytes |   len = field + adjustment <= max
//! +------------------+--------------+----------------------+
//! ```
//!
//! The field is an unsigned integer of 1, 2, 4 or 8 bytes, big or little endian, or a varint of at
//! most ten bytes (LEB128, as in Protocol Buffers). A length is a claim: nothing is allocated for
//! it. A frame that is too long is skipped, so the stream stays in step.

use alloc::vec::Vec;

use super::{DEFAULT_MAX_PAYLOAD, Decoded, Decoder, Encoder, Span, check_limit, skip::Skip};
use crate::{EncodeError, FrameError, Malformed};

/// The longest varint that is read: ten groups of seven bits hold any `u64`.
const VARINT_MAX: usize = 10;

/// Every payload is preceded by its length.
///
/// ```
/// use echo_core::{Encoder, LengthDelimited};
///
/// let mut wire = Vec::new();
/// LengthDelimited::u32().encode_to(b"hello", &mut wire)?;
/// assert_eq!(wire, b"\0\0\0\x05hello");
/// # Ok::<(), echo_core::EncodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LengthDelimited {
    field: Field,
    offset: usize,
    adjustment: i64,
    max: usize,
    skip: Skip,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Big(Width),
    Little(Width),
    Varint,
}

/// The bytes of a length field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    One = 1,
    Two = 2,
    Four = 4,
    Eight = 8,
}

/// A header that has arrived whole.
struct Header {
    /// Offset and length field, in bytes.
    size: usize,
    field: u64,
}

impl LengthDelimited {
    /// A one-byte length.
    #[must_use]
    pub const fn u8() -> Self {
        Self::with(Field::Big(Width::One))
    }

    /// A two-byte length, big endian.
    #[must_use]
    pub const fn u16() -> Self {
        Self::with(Field::Big(Width::Two))
    }

    /// A four-byte length, big endian.
    #[must_use]
    pub const fn u32() -> Self {
        Self::with(Field::Big(Width::Four))
    }

    /// An eight-byte length, big endian.
    #[must_use]
    pub const fn u64() -> Self {
        Self::with(Field::Big(Width::Eight))
    }

    /// A two-byte length, little endian.
    #[must_use]
    pub const fn u16_le() -> Self {
        Self::with(Field::Little(Width::Two))
    }

    /// A four-byte length, little endian.
    #[must_use]
    pub const fn u32_le() -> Self {
        Self::with(Field::Little(Width::Four))
    }

    /// An eight-byte length, little endian.
    #[must_use]
    pub const fn u64_le() -> Self {
        Self::with(Field::Little(Width::Eight))
    }

    /// A varint length: seven bits per byte, least significant first, the high bit set on all but
    /// the last. Written in its shortest form; read with padding of up to ten bytes in all.
    #[must_use]
    pub const fn varint() -> Self {
        Self::with(Field::Varint)
    }

    /// Puts the length field after `bytes` others, which are not part of the payload. Written as
    /// zeros. Default 0.
    #[must_use]
    pub const fn field_offset(mut self, bytes: usize) -> Self {
        self.offset = bytes;
        self
    }

    /// Adds `bytes` to the received field to get the payload's length: -4 for a `u32` that counts
    /// itself. Default 0.
    #[must_use]
    pub const fn adjustment(mut self, bytes: i64) -> Self {
        self.adjustment = bytes;
        self
    }

    /// The largest payload, in bytes, after adjustment. Default [`DEFAULT_MAX_PAYLOAD`].
    #[must_use]
    pub const fn max_payload(mut self, bytes: usize) -> Self {
        self.max = bytes;
        self
    }

    /// Lifts the limit: a payload may be as large as memory allows. For trusted peers only.
    #[must_use]
    pub const fn unlimited(self) -> Self {
        self.max_payload(usize::MAX)
    }

    const fn with(field: Field) -> Self {
        Self { field, offset: 0, adjustment: 0, max: DEFAULT_MAX_PAYLOAD, skip: Skip::NONE }
    }

    /// The header at the front of `src`, or how many more bytes it needs.
    #[inline]
    fn header(&self, src: &[u8]) -> Result<Result<Header, usize>, FrameError> {
        let field = src.get(self.offset..).unwrap_or_default();
        let needs = |bytes: usize| Ok(Err(self.offset.saturating_add(bytes) - src.len()));
        let (len, size) = match self.field {
            Field::Big(width) | Field::Little(width) if field.len() < width as usize => {
                return needs(width as usize);
            }
            Field::Big(width) => (big_endian(width, field), width as usize),
            Field::Little(width) => (little_endian(width, field), width as usize),
            Field::Varint => match varint(field)? {
                Some(found) => found,
                None => return needs(field.len() + 1),
            },
        };
        Ok(Ok(Header { size: self.offset + size, field: len }))
    }

    #[inline]
    fn payload_len(&self, field: u64) -> Result<u64, FrameError> {
        field.checked_add_signed(self.adjustment).ok_or(FrameError::Malformed(
            Malformed::Adjustment { field, adjustment: self.adjustment },
        ))
    }
}

impl Decoder for LengthDelimited {
    #[inline]
    fn decode(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        if let Some(skipped) = self.skip.advance(src, 0) {
            return Ok(skipped);
        }
        let header = match self.header(src)? {
            Ok(header) => header,
            Err(missing) => return Ok(Decoded::NeedMore(missing)),
        };
        let claim = self.payload_len(header.field)?;
        let Some(len) = usize::try_from(claim).ok().filter(|len| *len <= self.max) else {
            self.skip = Skip::start(header.size as u128 + u128::from(claim));
            return Err(FrameError::TooLong { max: self.max, len: Some(claim) });
        };
        let size = header.size.saturating_add(len);
        if src.len() < size {
            return Ok(Decoded::NeedMore(size - src.len()));
        }
        Ok(Decoded::Frame(Span { payload: header.size..size, consumed: size }))
    }

    fn decode_eof(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        match self.decode(src)? {
            Decoded::NeedMore(_) if self.skip.is_active() => Err(self.skip.truncated()),
            Decoded::NeedMore(missing) if !src.is_empty() => {
                let got = src.len() as u64;
                let header_is_whole = self.header(src)?.is_ok();
                let expected = header_is_whole.then(|| got.checked_add(missing as u64)).flatten();
                Err(FrameError::Truncated { got, expected })
            }
            decoded => Ok(decoded),
        }
    }

    fn is_skipping(&self) -> bool {
        self.skip.is_active()
    }

    fn max_buffered(&self) -> Option<usize> {
        let field = match self.field {
            Field::Big(width) | Field::Little(width) => width as usize,
            Field::Varint => VARINT_MAX,
        };
        self.max.checked_add(self.offset)?.checked_add(field)
    }
}

impl Encoder for LengthDelimited {
    fn encode(&self, payload: &[u8], header: &mut Vec<u8>) -> Result<&[u8], EncodeError> {
        check_limit(payload, self.max)?;
        let overflow = EncodeError::LengthField { len: payload.len() };
        let field =
            i128::try_from(payload.len()).map_err(|_| overflow)? - i128::from(self.adjustment);
        let field = u64::try_from(field).map_err(|_| overflow)?;
        let (bytes, from, to) = match self.field {
            Field::Big(width) if fits(field, width) => (field.to_be_bytes(), 8 - width as usize, 8),
            Field::Little(width) if fits(field, width) => (field.to_le_bytes(), 0, width as usize),
            Field::Varint => {
                header.resize(header.len() + self.offset, 0);
                push_varint(field, header);
                return Ok(&[]);
            }
            _ => return Err(overflow),
        };
        header.resize(header.len() + self.offset, 0);
        header.extend_from_slice(&bytes[from..to]);
        Ok(&[])
    }
}

// Callers have checked that `src` holds `width` bytes; a shorter one reads as zero, never panics.
#[inline]
fn big_endian(width: Width, src: &[u8]) -> u64 {
    match width {
        Width::One => src.first().map_or(0, |b| u64::from(*b)),
        Width::Two => src.first_chunk().map_or(0, |b| u64::from(u16::from_be_bytes(*b))),
        Width::Four => src.first_chunk().map_or(0, |b| u64::from(u32::from_be_bytes(*b))),
        Width::Eight => src.first_chunk().map_or(0, |b| u64::from_be_bytes(*b)),
    }
}

#[inline]
fn little_endian(width: Width, src: &[u8]) -> u64 {
    big_endian(width, src).swap_bytes() >> (64 - 8 * width as u32)
}

/// The varint at the front of `src` and its size in bytes; `None` while it is incomplete.
#[inline]
fn varint(src: &[u8]) -> Result<Option<(u64, usize)>, FrameError> {
    let mut value = 0_u64;
    for (i, byte) in src.iter().take(VARINT_MAX).enumerate() {
        let last = i == VARINT_MAX - 1;
        // The tenth byte may only add the 64th bit, and nothing may follow it.
        if last && *byte > 1 {
            return Err(FrameError::Malformed(Malformed::Varint));
        }
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Ok(Some((value, i + 1)));
        }
    }
    Ok(None)
}

fn push_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn fits(value: u64, width: Width) -> bool {
    width as usize == 8 || value >> (8 * width as u32) == 0
}
