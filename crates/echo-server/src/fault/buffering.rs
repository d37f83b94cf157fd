//! Bytes that are kept back, or taken without end.

use super::{
    catalog::{
        Entry,
        Kind::Stream,
        Value::{Bytes, Plain},
    },
    schedule::Schedule,
    spoiler::{Spoiler, each},
};

pub(super) const FAULTS: &[Entry] = &[
    Entry {
        name: "line-buffered",
        kind: Stream(Plain(|| each(LineBuffered::default()))),
        does: "bytes come back when a newline has come, the rest at FIN or after 64 KiB",
    },
    Entry {
        name: "block-buffered",
        kind: Stream(Bytes("4KiB", |size| {
            each(BlockBuffered { size: usize::try_from(size).unwrap_or(usize::MAX), held: vec![] })
        })),
        does: "bytes come back in blocks of this size, the rest at FIN, as through a pipe and stdio",
    },
    Entry {
        name: "absorb",
        kind: Stream(Bytes("256MiB", |room| {
            each(Absorb { room: usize::try_from(room).unwrap_or(usize::MAX) })
        })),
        does: "up to so much is taken from a peer that does not read: no back-pressure, big windows",
    },
];

/// A line that is longer comes in parts.
const LONGEST_LINE: usize = 64 << 10;

#[derive(Clone, Default)]
struct LineBuffered {
    /// No newline in it; at most [`LONGEST_LINE`] and a chunk.
    held: Vec<u8>,
}

impl Spoiler for LineBuffered {
    fn returned(&mut self, bytes: &[u8], out: &mut Schedule) {
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let (lines, rest) = bytes.split_at(end);
        if !lines.is_empty() {
            self.held.extend_from_slice(lines);
            out.send(&self.held);
            self.held.clear();
        }
        self.held.extend_from_slice(rest);
        if self.held.len() >= LONGEST_LINE {
            out.send(&self.held);
            self.held.clear();
        }
    }

    fn ended(&mut self, out: &mut Schedule) {
        out.send(&self.held);
        out.fin();
    }
}

#[derive(Clone)]
struct BlockBuffered {
    size: usize,
    /// At most `size`, and a chunk.
    held: Vec<u8>,
}

impl Spoiler for BlockBuffered {
    fn returned(&mut self, bytes: &[u8], out: &mut Schedule) {
        self.held.extend_from_slice(bytes);
        let size = self.size.max(1);
        let whole = self.held.len() - self.held.len() % size;
        out.send(&self.held[..whole]);
        self.held.drain(..whole);
    }

    fn ended(&mut self, out: &mut Schedule) {
        out.send(&self.held);
        out.fin();
    }
}

#[derive(Clone)]
struct Absorb {
    room: usize,
}

impl Spoiler for Absorb {
    fn room(&self) -> usize {
        self.room
    }
}
