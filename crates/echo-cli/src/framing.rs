//! `--framing` and `--max-frame`.

use clap::Args;
use echo_core::{Codec, Framing};
use thiserror::Error;

/// How bytes are grouped into frames.
#[derive(Debug, Clone, Args)]
pub struct FramingArgs {
    /// Whole frames only: line, delim:HEX, fixed:N, u8, u16, u32, u64, u16le, u32le, u64le, varint
    /// or netstring; raw takes bytes as they come
    #[arg(long, default_value = "raw")]
    pub framing: Framing,

    /// The largest payload of a frame [default: 64KiB with delimiters, else 8MiB]
    #[arg(long, value_name = "SIZE", value_parser = crate::size)]
    pub max_frame: Option<usize>,
}

/// A limit for frames where there are none, or where each is of one size.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("--max-frame has no meaning with --framing {0}; leave it out, or choose another framing")]
pub struct NoFrameLimit(Framing);

impl FramingArgs {
    /// The codec asked for, to be cloned for each connection and direction.
    ///
    /// # Errors
    /// [`NoFrameLimit`] when there is a limit but nothing to limit.
    pub fn codec(&self) -> Result<Codec, NoFrameLimit> {
        let codec = self.framing.codec();
        match (self.max_frame, &self.framing) {
            (None, _) => Ok(codec),
            (Some(_), Framing::Raw | Framing::Fixed(_)) => Err(NoFrameLimit(self.framing.clone())),
            (Some(bytes), _) => Ok(codec.max_payload(bytes)),
        }
    }
}
