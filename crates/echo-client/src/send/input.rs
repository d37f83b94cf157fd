//! What is to be sent, piece by piece: each piece is one frame.

use std::{
    fs::File,
    io::{self, Read},
};

use anyhow::{Context, Error};
use echo_cli::FramingArgs;
use echo_core::{Codec, Decoded, Decoder, FrameError, Framing, Receiver, RecvError, Span};

use super::{READ_SIZE, args::SendArgs};

/// A message, a file or stdin.
pub(super) enum Input {
    /// One piece, then none.
    Message { text: String, taken: bool },
    /// A stream, and how it is cut.
    Stream { name: String, pieces: Box<Pieces>, count: u64 },
}

type Pieces = Receiver<Box<dyn Read + Send>, Box<dyn Decoder + Send>>;

impl Input {
    /// Opens what `args` name.
    pub(super) fn open(args: &SendArgs) -> anyhow::Result<Self> {
        let (name, reader): (_, Box<dyn Read + Send>) = match &args.file {
            None => return Ok(Self::Message { text: args.message.clone(), taken: false }),
            Some(path) if path.as_os_str() == "-" => ("stdin".to_owned(), Box::new(io::stdin())),
            Some(path) => {
                let name = format!("'{}'", path.display());
                let file = File::open(path).with_context(|| format!("cannot read {name}"))?;
                (name, Box::new(file))
            }
        };
        let pieces = Box::new(Receiver::with_read_size(
            reader,
            cut(&args.framing, args.framing.codec()?),
            READ_SIZE,
        ));
        Ok(Self::Stream { name, pieces, count: 0 })
    }

    /// The next piece, to be sent as one frame; `None` at the end.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<&[u8]>> {
        match self {
            Self::Message { taken: true, .. } => Ok(None),
            Self::Message { text, taken } => {
                *taken = true;
                Ok(Some(text.as_bytes()))
            }
            Self::Stream { name, pieces, count } => {
                *count += 1;
                pieces.recv().map_err(|error| match error {
                    RecvError::Io(error) => {
                        Error::new(error).context(format!("cannot read {name}"))
                    }
                    error => {
                        Error::new(error).context(format!("cannot take frame {count} from {name}"))
                    }
                })
            }
        }
    }

    /// What [`next`](Self::next) has returned last.
    pub(super) fn last_piece(&self) -> String {
        match self {
            Self::Message { .. } => "the message".to_owned(),
            Self::Stream { name, count, .. } => format!("frame {count} of {name}"),
        }
    }
}

/// How a stream is cut into frames of the framing that it is sent in.
fn cut(args: &FramingArgs, codec: Codec) -> Box<dyn Decoder + Send> {
    let largest = match (codec, &args.framing) {
        (Codec::Delimited(codec), _) => return Box::new(codec.allow_unterminated()),
        (Codec::Fixed(codec), _) => return Box::new(codec),
        (_, Framing::U8) => usize::from(u8::MAX),
        (_, Framing::U16 | Framing::U16Le) => usize::from(u16::MAX),
        _ => READ_SIZE,
    };
    Box::new(AsItComes { largest: largest.min(args.max_frame.unwrap_or(largest)).max(1) })
}

/// Pieces of up to `largest` bytes, as they come.
struct AsItComes {
    largest: usize, // >= 1
}

impl Decoder for AsItComes {
    fn decode(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        Ok(match src.len().min(self.largest) {
            0 => Decoded::NeedMore(1),
            n => Decoded::Frame(Span { payload: 0..n, consumed: n }),
        })
    }

    fn max_buffered(&self) -> Option<usize> {
        Some(0)
    }
}
