//! A framing chosen at run time: its name on a command line, and the codec it stands for.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::{fmt, num::NonZeroUsize, str::FromStr};

use thiserror::Error;

use super::{
    Decoded, Decoder, Delimited, Encoder, FixedLength, LengthDelimited, Netstring, Raw, Span,
};
use crate::{EncodeError, FrameError};

/// A framing as people write it: `raw`, `line`, `delim:0d0a`, `fixed:512`, `u8`, `u16`, `u32`,
/// `u64`, `u16le`, `u32le`, `u64le`, `varint` or `netstring`.
///
/// Several delimiters are separated by commas: `delim:0d0a,0a`. Hexadecimal digits are read in
/// either case and printed in lower case. Limits are not part of the text, see
/// [`Codec::max_payload`].
///
/// ```
/// use echo_core::Framing;
///
/// let framing: Framing = "delim:0D0A,0a".parse()?;
/// assert_eq!(framing.to_string(), "delim:0d0a,0a");
/// # Ok::<(), echo_core::ParseFramingError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Framing {
    /// Bytes as they come, [`Raw`].
    #[default]
    Raw,
    /// Lines ended by LF or CRLF, [`Delimited::lines`].
    Line,
    /// Frames ended by one of these, [`Delimited::by_any`].
    Delimited(DelimiterList),
    /// Frames of so many bytes, [`FixedLength`].
    Fixed(NonZeroUsize),
    /// [`LengthDelimited::u8`].
    U8,
    /// [`LengthDelimited::u16`].
    U16,
    /// [`LengthDelimited::u32`].
    U32,
    /// [`LengthDelimited::u64`].
    U64,
    /// [`LengthDelimited::u16_le`].
    U16Le,
    /// [`LengthDelimited::u32_le`].
    U32Le,
    /// [`LengthDelimited::u64_le`].
    U64Le,
    /// [`LengthDelimited::varint`].
    Varint,
    /// [`Netstring`].
    Netstring,
}

/// At least one delimiter, none of them empty. Comes from parsing a [`Framing`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelimiterList(Box<[Box<[u8]>]>);

/// Every framing whose text is one fixed word.
const WORDS: [(&str, Framing); 11] = [
    ("raw", Framing::Raw),
    ("line", Framing::Line),
    ("u8", Framing::U8),
    ("u16", Framing::U16),
    ("u32", Framing::U32),
    ("u64", Framing::U64),
    ("u16le", Framing::U16Le),
    ("u32le", Framing::U32Le),
    ("u64le", Framing::U64Le),
    ("varint", Framing::Varint),
    ("netstring", Framing::Netstring),
];

impl Framing {
    /// A codec of this framing, with its default limit.
    #[must_use]
    pub fn codec(&self) -> Codec {
        match self {
            Self::Raw => Codec::Raw(Raw),
            Self::Line => Codec::Delimited(Delimited::lines()),
            Self::Delimited(list) => Codec::Delimited(Delimited::of_list(&list.0)),
            Self::Fixed(len) => Codec::Fixed(FixedLength::of(*len)),
            Self::U8 => Codec::Length(LengthDelimited::u8()),
            Self::U16 => Codec::Length(LengthDelimited::u16()),
            Self::U32 => Codec::Length(LengthDelimited::u32()),
            Self::U64 => Codec::Length(LengthDelimited::u64()),
            Self::U16Le => Codec::Length(LengthDelimited::u16_le()),
            Self::U32Le => Codec::Length(LengthDelimited::u32_le()),
            Self::U64Le => Codec::Length(LengthDelimited::u64_le()),
            Self::Varint => Codec::Length(LengthDelimited::varint()),
            Self::Netstring => Codec::Netstring(Netstring::new()),
        }
    }
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(len) => write!(f, "fixed:{len}"),
            Self::Delimited(list) => {
                for (i, delimiter) in list.0.iter().enumerate() {
                    f.write_str(if i == 0 { "delim:" } else { "," })?;
                    delimiter.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                }
                Ok(())
            }
            word => {
                let known = WORDS.iter().find(|(_, framing)| framing == word);
                f.write_str(known.map_or("", |(text, _)| text))
            }
        }
    }
}

impl FromStr for Framing {
    type Err = ParseFramingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((_, framing)) = WORDS.iter().find(|(word, _)| *word == text) {
            return Ok(framing.clone());
        }
        if let Some(len) = text.strip_prefix("fixed:") {
            // `usize::from_str` takes a plus sign; a framing has one spelling only.
            let digits = !len.is_empty() && len.bytes().all(|byte| byte.is_ascii_digit());
            let len = len.parse::<usize>().ok().filter(|_| digits);
            let len = len.ok_or(ParseFramingError::Length)?;
            return NonZeroUsize::new(len).map(Self::Fixed).ok_or(ParseFramingError::ZeroLength);
        }
        if let Some(list) = text.strip_prefix("delim:") {
            let list: Result<Vec<_>, _> = list.split(',').map(parse_delimiter).collect();
            return Ok(Self::Delimited(DelimiterList(list?.into())));
        }
        Err(ParseFramingError::Unknown(text.into()))
    }
}

/// Why a text is not a [`Framing`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseFramingError {
    /// The word is not the name of a framing.
    #[error(
        "unknown framing '{}'; use raw, line, delim:HEX[,HEX], fixed:N, u8, u16, u32, u64, u16le, \
         u32le, u64le, varint or netstring", .0.escape_debug()
    )]
    Unknown(String),
    /// `fixed:` is followed by something else than a number of bytes.
    #[error("fixed: takes a number of bytes, as in fixed:512")]
    Length,
    /// `fixed:0`: such frames would never use up the stream.
    #[error("fixed: takes at least 1 byte")]
    ZeroLength,
    /// A delimiter without a byte.
    #[error("an empty delimiter ends every frame at once; give its bytes in hex, as in delim:0d0a")]
    EmptyDelimiter,
    /// A delimiter with half a byte or with something that is not a hexadecimal digit.
    #[error("a delimiter is pairs of hexadecimal digits, as in delim:0d0a or delim:0d0a,0a")]
    Hex,
}

fn parse_delimiter(hex: &str) -> Result<Box<[u8]>, ParseFramingError> {
    if hex.is_empty() {
        return Err(ParseFramingError::EmptyDelimiter);
    }
    let digits: Option<Vec<u8>> = hex.chars().map(hex_digit).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0).ok_or(ParseFramingError::Hex)?;
    Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn hex_digit(c: char) -> Option<u8> {
    c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The codec of a [`Framing`] chosen at run time.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Codec {
    /// Bytes as they come.
    Raw(Raw),
    /// Lines or other delimiters.
    Delimited(Delimited),
    /// One size for all.
    Fixed(FixedLength),
    /// A length before every payload.
    Length(LengthDelimited),
    /// Netstrings.
    Netstring(Netstring),
}

impl Codec {
    /// The largest payload, in bytes. Without effect on `raw`, which has no limit, and on `fixed`,
    /// which is its own.
    #[must_use]
    pub fn max_payload(self, bytes: usize) -> Self {
        match self {
            Self::Raw(_) | Self::Fixed(_) => self,
            Self::Delimited(codec) => Self::Delimited(codec.max_payload(bytes)),
            Self::Length(codec) => Self::Length(codec.max_payload(bytes)),
            Self::Netstring(codec) => Self::Netstring(codec.max_payload(bytes)),
        }
    }

    fn decoder(&self) -> &dyn Decoder {
        match self {
            Self::Raw(codec) => codec,
            Self::Delimited(codec) => codec,
            Self::Fixed(codec) => codec,
            Self::Length(codec) => codec,
            Self::Netstring(codec) => codec,
        }
    }

    fn encoder(&self) -> &dyn Encoder {
        match self {
            Self::Raw(codec) => codec,
            Self::Delimited(codec) => codec,
            Self::Fixed(codec) => codec,
            Self::Length(codec) => codec,
            Self::Netstring(codec) => codec,
        }
    }
}

impl Decoder for Codec {
    #[inline]
    fn decode(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        match self {
            Self::Raw(codec) => codec.decode(src),
            Self::Delimited(codec) => codec.decode(src),
            Self::Fixed(codec) => codec.decode(src),
            Self::Length(codec) => codec.decode(src),
            Self::Netstring(codec) => codec.decode(src),
        }
    }

    #[inline(always)]
    fn decode_whole(&mut self, src: &[u8]) -> Option<Span> {
        match self {
            Self::Raw(codec) => codec.decode_whole(src),
            Self::Delimited(codec) => codec.decode_whole(src),
            Self::Fixed(codec) => codec.decode_whole(src),
            Self::Length(codec) => codec.decode_whole(src),
            Self::Netstring(codec) => codec.decode_whole(src),
        }
    }

    fn decode_eof(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        match self {
            Self::Raw(codec) => codec.decode_eof(src),
            Self::Delimited(codec) => codec.decode_eof(src),
            Self::Fixed(codec) => codec.decode_eof(src),
            Self::Length(codec) => codec.decode_eof(src),
            Self::Netstring(codec) => codec.decode_eof(src),
        }
    }

    fn resume_at(&mut self, offset: u64) {
        if let Self::Delimited(codec) = self {
            codec.resume_at(offset); // the only one with a memory
        }
    }

    fn is_skipping(&self) -> bool {
        self.decoder().is_skipping()
    }

    fn max_buffered(&self) -> Option<usize> {
        self.decoder().max_buffered()
    }
}

impl Encoder for Codec {
    fn encode(&self, payload: &[u8], header: &mut Vec<u8>) -> Result<&[u8], EncodeError> {
        self.encoder().encode(payload, header)
    }
}
