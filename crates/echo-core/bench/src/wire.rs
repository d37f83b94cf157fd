//! The bytes that everybody decodes: frames of one payload size, or of mixed sizes.

use echo_core::{Decoded, Decoder, Encoder, Framing};

/// Payload bytes on a wire: enough to time, little enough to stay in a core's second-level cache.
const PAYLOAD_BYTES: usize = 192 << 10;

/// How long the payloads of a wire are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// All of them so many bytes.
    Of(usize),
    /// 1 to 255 bytes in no order that a branch predictor could learn; 128 on average.
    Mixed,
}

impl Size {
    pub(crate) const ALL: [Self; 5] =
        [Self::Of(16), Self::Of(64), Self::Of(256), Self::Of(4096), Self::Mixed];

    pub(crate) fn label(self) -> String {
        match self {
            Self::Of(bytes) => bytes.to_string(),
            Self::Mixed => "mixed".to_owned(),
        }
    }
}

/// What a contender has seen of a wire; has to be all of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
}

impl Tally {
    /// Takes a frame as a program would: it gets to see where the payload is and how long.
    #[inline(always)]
    pub(crate) fn take(&mut self, payload: &[u8]) {
        let payload = std::hint::black_box(payload);
        self.frames += 1;
        self.bytes += payload.len() as u64;
    }
}

/// Encoded frames, and what has to come out of them.
pub(crate) struct Wire {
    framing: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) expected: Tally,
}

impl Wire {
    /// Frames of `framing`, with payloads of lower-case letters, in which no delimiter occurs.
    pub(crate) fn new(framing: &str, size: Size) -> Self {
        let codec = framing.parse::<Framing>().expect("a framing").codec();
        let mut random = 0x2545_f491_u32;
        let (bytes, expected) = (Vec::new(), Tally::default());
        let mut wire = Self { framing: framing.to_owned(), bytes, expected };
        let letters: Vec<u8> = (b'a'..=b'z').cycle().take(8192).collect();
        while wire.expected.bytes < PAYLOAD_BYTES as u64 {
            // Xorshift (Marsaglia, 2003).
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            let len = match size {
                Size::Of(bytes) => bytes,
                Size::Mixed => 1 + random as usize % 255,
            };
            let from = random as usize % 4096;
            let payload = &letters[from..from + len];
            codec.encode_to(payload, &mut wire.bytes).expect("letters fit every framing");
            wire.expected.frames += 1;
            wire.expected.bytes += len as u64;
        }
        wire
    }

    /// Every payload, for senders.
    pub(crate) fn payloads(&self) -> Vec<&[u8]> {
        let mut decoder = self.framing.parse::<Framing>().expect("a framing").codec();
        let mut payloads = Vec::new();
        let mut rest = &self.bytes[..];
        while let Ok(Decoded::Frame(span)) = decoder.decode(rest) {
            payloads.push(&rest[span.payload]);
            rest = &rest[span.consumed..];
        }
        payloads
    }

    /// What a sender has to show, if it has written this wire.
    pub(crate) fn tally_of_sent(&self, sent: &[u8]) -> Tally {
        let len = std::hint::black_box(sent).len();
        if len == self.bytes.len() { self.expected } else { Tally::default() }
    }
}
