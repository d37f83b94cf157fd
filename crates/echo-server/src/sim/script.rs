//! What a peer sends: by offset, so that no pipe has to hold bytes.
//!
//! ```text
//! | frame | frame | frame | frame | frame | ...     the same few frames again and again, or
//! | frame | frame | frame | bad frame, noise ...    none of which is echoed from the bad one on
//!                         ^ good
//! ```

use std::fmt;

use echo_core::{Codec, Encoder, Framing};

use super::rng::Rng;

/// The payload limit of framed runs.
pub(super) const MAX_PAYLOAD: usize = 24;

/// Framings to run with; what each breaks on behind good frames.
const FRAMINGS: [(&str, &[u8]); 8] = [
    ("raw", b""),
    ("raw", b""),
    ("line", b"a line that is longer than any is allowed to be here"),
    ("u8", b"\xff"),
    ("u32", b"\xff\xff\xff\xff"),
    ("varint", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
    ("netstring", b"00:,"),
    ("fixed:7", b""),
];

/// How the bytes of one run are framed.
#[derive(Debug, Clone)]
pub(super) struct Frames {
    pub(super) name: &'static str,
    pub(super) codec: Codec,
    bad: &'static [u8],
}

impl Frames {
    pub(super) fn choose(rng: &mut Rng) -> Self {
        let (name, bad) = rng.pick(&FRAMINGS);
        let framing: Framing = name.parse().unwrap();
        Self { name, codec: framing.codec().max_payload(MAX_PAYLOAD), bad }
    }
}

/// The stream of one peer.
pub(super) struct Script {
    bytes: Vec<u8>,
    /// Where in `bytes` frames end; empty when every byte is a frame of its own.
    ends: Vec<usize>,
    /// How much of the stream is good frames.
    good: usize,
}

impl Script {
    /// About `len` bytes of frames, again and again.
    pub(super) fn new(frames: &Frames, len: usize, rng: &mut Rng) -> Self {
        let mut bytes = Vec::with_capacity(len + 2 * MAX_PAYLOAD);
        let mut ends = Vec::new();
        if matches!(frames.codec, Codec::Raw(_)) {
            noise(&mut bytes, len, rng);
            return Self { bytes, ends, good: usize::MAX };
        }
        let mut payload = Vec::with_capacity(MAX_PAYLOAD);
        while bytes.len() < len {
            let size = match frames.codec {
                Codec::Fixed(_) => 7,
                _ => rng.below(MAX_PAYLOAD + 1),
            };
            payload.clear();
            noise(&mut payload, size, rng);
            if let Codec::Delimited(_) = frames.codec {
                payload.iter_mut().for_each(|byte| *byte |= 0x20); // neither CR nor LF
            }
            frames.codec.encode_to(&payload, &mut bytes).unwrap();
            ends.push(bytes.len());
        }
        Self { bytes, ends, good: usize::MAX }
    }

    /// A frame that breaks the framing comes behind the good ones, where the framing can be broken.
    pub(super) fn spoil(&mut self, frames: &Frames, rng: &mut Rng) {
        if !frames.bad.is_empty() {
            let keep = rng.below(self.ends.len());
            self.ends.truncate(keep);
            self.good = self.ends.last().copied().unwrap_or_default();
            self.bytes.truncate(self.good);
            self.bytes.extend_from_slice(frames.bad);
            noise(&mut self.bytes, 64, rng);
        }
    }

    /// The bytes at `offset` and behind.
    pub(super) fn fill(&self, offset: usize, out: &mut [u8]) {
        let mut at = offset % self.bytes.len();
        let mut out = out;
        while !out.is_empty() {
            let n = out.len().min(self.bytes.len() - at);
            let (now, rest) = out.split_at_mut(n);
            now.copy_from_slice(&self.bytes[at..at + n]);
            (out, at) = (rest, 0);
        }
    }

    /// Whether `bytes` are those at `offset`.
    pub(super) fn is(&self, offset: usize, bytes: &[u8]) -> bool {
        let mut at = offset % self.bytes.len();
        let mut bytes = bytes;
        while !bytes.is_empty() {
            let n = bytes.len().min(self.bytes.len() - at);
            let (now, rest) = bytes.split_at(n);
            if now != &self.bytes[at..at + n] {
                return false;
            }
            (bytes, at) = (rest, 0);
        }
        true
    }

    /// How many of the first `received` bytes are whole good frames.
    pub(super) fn whole(&self, received: usize) -> usize {
        let received = received.min(self.good);
        if self.ends.is_empty() {
            return received;
        }
        let (rounds, rest) = (received / self.bytes.len(), received % self.bytes.len());
        let ended = self.ends.partition_point(|end| *end <= rest);
        let whole = if ended == 0 { 0 } else { self.ends[ended - 1] };
        rounds * self.bytes.len() + whole
    }

    /// The length of one round.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}

fn noise(out: &mut Vec<u8>, len: usize, rng: &mut Rng) {
    let end = out.len() + len;
    while out.len() < end {
        out.extend_from_slice(&rng.next().to_le_bytes());
    }
    out.truncate(end);
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Script({} bytes, ends {:?}, good {})", self.bytes.len(), self.ends, self.good)
    }
}
