//! How the bytes of a connection are echoed.

use echo_core::{Codec, Decoded, Decoder, FrameError, Raw};

/// As they come, which takes no memory, or in the whole frames of a codec.
#[derive(Debug)]
pub(crate) enum Framed {
    Raw,
    By(Box<Codec>),
}

impl Framed {
    pub(crate) fn new(codec: &Codec) -> Self {
        match codec {
            Codec::Raw(_) => Self::Raw,
            codec => Self::By(Box::new(codec.clone())),
        }
    }
}

impl Decoder for Framed {
    #[inline]
    fn decode(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        match self {
            Self::Raw => Raw.decode(src),
            Self::By(codec) => codec.decode(src),
        }
    }

    fn decode_eof(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        match self {
            Self::Raw => Raw.decode_eof(src),
            Self::By(codec) => codec.decode_eof(src),
        }
    }

    fn is_skipping(&self) -> bool {
        matches!(self, Self::By(codec) if codec.is_skipping())
    }

    fn max_buffered(&self) -> Option<usize> {
        match self {
            Self::Raw => Raw.max_buffered(),
            Self::By(codec) => codec.max_buffered(),
        }
    }
}
