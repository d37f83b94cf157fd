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
    /// The field, while the header is nothing but that, the field is the payload's length, and no
    /// frame is being skipped: one look tells whether a frame is an ordinary one.
    ordinary: Option<Field>,
}

/// How a length is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    U8,
    U16,
    U32,
    U64,
    U16Le,
    U32Le,
    U64Le,
    Varint,
}

impl LengthDelimited {
    /// A one-byte length.
    #[must_use]
    pub const fn u8() -> Self {
        Self::with(Field::U8)
    }

    /// A two-byte length, big endian.
    #[must_use]
    pub const fn u16() -> Self {
        Self::with(Field::U16)
    }

    /// A four-byte length, big endian.
    #[must_use]
    pub const fn u32() -> Self {
        Self::with(Field::U32)
    }

    /// An eight-byte length, big endian.
    #[must_use]
    pub const fn u64() -> Self {
        Self::with(Field::U64)
    }

    /// A two-byte length, little endian.
    #[must_use]
    pub const fn u16_le() -> Self {
        Self::with(Field::U16Le)
    }

    /// A four-byte length, little endian.
    #[must_use]
    pub const fn u32_le() -> Self {
        Self::with(Field::U32Le)
    }

    /// An eight-byte length, little endian.
    #[must_use]
    pub const fn u64_le() -> Self {
        Self::with(Field::U64Le)
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
        self.renew();
        self
    }

    /// Adds `bytes` to the received field to get the payload's length: -4 for a `u32` that counts
    /// itself. Default 0.
    #[must_use]
    pub const fn adjustment(mut self, bytes: i64) -> Self {
        self.adjustment = bytes;
        self.renew();
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
        let (max, skip) = (DEFAULT_MAX_PAYLOAD, Skip::NONE);
        Self { field, offset: 0, adjustment: 0, max, skip, ordinary: Some(field) }
    }

    /// Sets `ordinary` as the other fields have it.
    const fn renew(&mut self) {
        let is_ordinary = self.offset == 0 && self.adjustment == 0 && !self.skip.is_active();
        self.ordinary = if is_ordinary { Some(self.field) } else { None };
    }

    /// The length field of the header at the front of `src`, and the size of that header; `None`
    /// while it is incomplete.
    fn header(&self, src: &[u8]) -> Result<Option<(u64, usize)>, FrameError> {
        let Some(src) = src.get(self.offset..) else {
            return Ok(None);
        };
        Ok(self.field.read(src)?.map(|(field, size)| (field, self.offset + size)))
    }

    /// All that `decode` has to deal with.
    #[inline(never)]
    fn decode_any(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        if let Some(skipped) = self.skip.advance(src, 0) {
            self.renew();
            return Ok(skipped);
        }
        let Some((field, header)) = self.header(src)? else {
            let field = self.field.width();
            let field = field.unwrap_or_else(|| src.len().saturating_sub(self.offset) + 1);
            return Ok(Decoded::NeedMore(self.offset.saturating_add(field) - src.len()));
        };
        let claim = field.checked_add_signed(self.adjustment).ok_or(FrameError::Malformed(
            Malformed::Adjustment { field, adjustment: self.adjustment },
        ))?;
        let Some(len) = usize::try_from(claim).ok().filter(|len| *len <= self.max) else {
            self.skip = Skip::start(header as u128 + u128::from(claim));
            self.renew();
            return Err(FrameError::TooLong { max: self.max, len: Some(claim) });
        };
        let received = src.len() - header;
        if received < len {
            return Ok(Decoded::NeedMore(len - received));
        }
        let size = header + len;
        Ok(Decoded::Frame(Span { payload: header..size, consumed: size }))
    }
}

impl Decoder for LengthDelimited {
    #[inline]
    fn decode(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        match self.decode_whole(src) {
            Some(span) => Ok(Decoded::Frame(span)),
            None => self.decode_any(src),
        }
    }

    #[inline(always)]
    fn decode_whole(&mut self, src: &[u8]) -> Option<Span> {
        let (len, header) = self.ordinary?.read_fixed(src)?;
        let len = usize::try_from(len).ok()?;
        if len > self.max || len > src.len() - header {
            return None;
        }
        let end = header + len;
        Some(Span { payload: header..end, consumed: end })
    }

    fn decode_eof(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        match self.decode(src)? {
            Decoded::NeedMore(_) if self.skip.is_active() => Err(self.skip.truncated()),
            Decoded::NeedMore(missing) if !src.is_empty() => {
                let got = src.len() as u64;
                let header_is_whole = self.header(src)?.is_some();
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
        let field = self.field.width().unwrap_or(VARINT_MAX);
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
        if self.field.width().is_some_and(|width| width < 8 && field >> (8 * width) != 0) {
            return Err(overflow);
        }
        header.resize(header.len() + self.offset, 0);
        self.field.write(field, header);
        Ok(&[])
    }
}

impl Field {
    /// Its size in bytes, unless that depends on the value.
    const fn width(self) -> Option<usize> {
        match self {
            Self::U8 => Some(1),
            Self::U16 | Self::U16Le => Some(2),
            Self::U32 | Self::U32Le => Some(4),
            Self::U64 | Self::U64Le => Some(8),
            Self::Varint => None,
        }
    }

    /// The value at the front of `src` and its size in bytes; `None` while it is incomplete.
    fn read(self, src: &[u8]) -> Result<Option<(u64, usize)>, FrameError> {
        match self {
            Self::Varint => varint(src),
            _ => Ok(self.read_fixed(src)),
        }
    }

    /// The same; also `None` for a varint of more than one byte.
    #[inline(always)]
    fn read_fixed(self, src: &[u8]) -> Option<(u64, usize)> {
        match self {
            Self::U8 => src.first().map(|b| (u64::from(*b), 1)),
            Self::U16 => src.first_chunk().map(|b| (u64::from(u16::from_be_bytes(*b)), 2)),
            Self::U32 => src.first_chunk().map(|b| (u64::from(u32::from_be_bytes(*b)), 4)),
            Self::U64 => src.first_chunk().map(|b| (u64::from_be_bytes(*b), 8)),
            Self::U16Le => src.first_chunk().map(|b| (u64::from(u16::from_le_bytes(*b)), 2)),
            Self::U32Le => src.first_chunk().map(|b| (u64::from(u32::from_le_bytes(*b)), 4)),
            Self::U64Le => src.first_chunk().map(|b| (u64::from_le_bytes(*b), 8)),
            Self::Varint => src.first().filter(|b| **b < 0x80).map(|b| (u64::from(*b), 1)),
        }
    }

    /// Appends `value`, which fits.
    fn write(self, value: u64, out: &mut Vec<u8>) {
        let (big, little) = (value.to_be_bytes(), value.to_le_bytes());
        match self {
            Self::U8 => out.push(little[0]),
            Self::U16 => out.extend_from_slice(&big[6..]),
            Self::U32 => out.extend_from_slice(&big[4..]),
            Self::U64 => out.extend_from_slice(&big),
            Self::U16Le => out.extend_from_slice(&little[..2]),
            Self::U32Le => out.extend_from_slice(&little[..4]),
            Self::U64Le => out.extend_from_slice(&little),
            Self::Varint => push_varint(value, out),
        }
    }
}

/// The varint at the front of `src` and its size in bytes; `None` while it is incomplete.
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
