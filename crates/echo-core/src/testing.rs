//! Holds a decoder to the first guarantee: what comes out depends on the bytes only, never on where
//! reads cut them.

use alloc::{vec, vec::Vec};

use crate::{Decoder, Deframer, FrameError, Polled};

/// What a decoder made of a stream, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A frame, with its payload.
    Frame(Vec<u8>),
    /// An error; after one that is final, the bytes in `partial()` follow and the stream is over.
    Error(FrameError),
    /// The bytes left over after a final error.
    Partial(Vec<u8>),
    /// The orderly end.
    Closed,
}

/// Decodes a stream that arrives in `chunks` and then ends.
///
/// # Panics
/// When a final error or the end, asked for again, is not the same.
pub fn events<'a, D: Decoder>(
    decoder: D,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Event> {
    let mut deframer = Deframer::with_read_size(decoder, 16);
    let mut events = Vec::new();
    for chunk in chunks {
        deframer.push(chunk);
        if poll_all(&mut deframer, &mut events) {
            return events;
        }
    }
    deframer.close();
    let over = poll_all(&mut deframer, &mut events);
    assert!(over, "a closed stream has to end");
    events
}

/// Asserts that `wire` decodes to the same frames and errors whole, byte by byte, cut in two at
/// every place, in pieces of every small size, and in random pieces. Returns those events.
///
/// For wires of more than 4 KiB, a sample of the cuts is tried. Not for decoders that frame by
/// reads, such as [`Raw`](crate::Raw): only the concatenation of their frames is invariant.
///
/// ```
/// use echo_core::{Delimited, testing::assert_chunk_invariant};
///
/// assert_chunk_invariant(|| Delimited::lines().max_payload(5), b"a\r\n\r\r\nhello\r\nhello!\nx");
/// ```
///
/// # Panics
/// When a cut changes the outcome; the message says which.
pub fn assert_chunk_invariant<D: Decoder>(decoder: impl Fn() -> D, wire: &[u8]) -> Vec<Event> {
    let whole = events(decoder(), [wire]);
    let step = wire.len() / 4096 + 1;
    for at in (0..=wire.len()).step_by(step) {
        let (a, b) = wire.split_at(at);
        assert_eq!(events(decoder(), [a, b]), whole, "cut at byte {at} of {wire:?}");
    }
    for size in 1..=wire.len().min(17) {
        assert_eq!(events(decoder(), wire.chunks(size)), whole, "pieces of {size} of {wire:?}");
    }
    for seed in 1..=32 {
        let pieces = random_pieces(wire, seed);
        assert_eq!(events(decoder(), pieces), whole, "random pieces, seed {seed}, of {wire:?}");
    }
    whole
}

/// Cuts `wire` in pieces of 0 to 63 bytes, the same for the same `seed` (not 0).
#[must_use]
pub fn random_pieces(mut wire: &[u8], seed: u32) -> Vec<&[u8]> {
    let mut state = seed;
    let mut pieces = vec![];
    while !wire.is_empty() {
        // Xorshift (Marsaglia, 2003).
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let (piece, rest) = wire.split_at(wire.len().min((state % 64) as usize));
        pieces.push(piece);
        wire = rest;
    }
    pieces
}

/// Polls until more bytes are needed (false) or nothing more will come (true).
fn poll_all<D: Decoder>(deframer: &mut Deframer<D>, events: &mut Vec<Event>) -> bool {
    loop {
        match deframer.poll() {
            Ok(Polled::Frame(payload)) => events.push(Event::Frame(payload.to_vec())),
            Ok(Polled::NeedRead) => return false,
            Ok(Polled::Closed) => {
                assert_eq!(deframer.poll(), Ok(Polled::Closed), "the end comes again");
                events.push(Event::Closed);
                return true;
            }
            Err(error) => {
                events.push(Event::Error(error));
                if !error.is_resumable() {
                    assert_eq!(deframer.poll(), Err(error), "a final error comes again");
                    // Beyond a malformed byte it depends on the reads how much has arrived.
                    if matches!(error, FrameError::Truncated { .. }) {
                        events.push(Event::Partial(deframer.partial().to_vec()));
                    }
                    return true;
                }
            }
        }
    }
}
