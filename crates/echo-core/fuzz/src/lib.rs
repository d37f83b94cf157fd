//! What has to hold whatever bytes come in: one function per fuzz target.
//!
//! Each takes raw bytes, reads a codec's options off their front, and panics when a property breaks.
//! The fuzz targets, the replay of their seeds on stable Rust, and proptest all call these.

mod input;
mod requests;

use echo_core::{
    Codec, Decoder, Deframer, Delimited, EncodeError, Encoder, FixedLength, FrameError, Framing,
    LengthDelimited, Netstring, Polled,
    testing::{Event, events, random_pieces},
};
use input::Input;

/// Takes any bytes, and panics when what should hold does not.
pub type Property = fn(&[u8]);

/// Every target, by the name of its seeds' folder.
pub const TARGETS: [(&str, Property); 7] = [
    ("delimited", delimited),
    ("length", length),
    ("netstring", netstring),
    ("fixed", fixed),
    ("round_trip", round_trip),
    ("requests", requests),
    ("framing_text", framing_text),
];

/// [`Delimited`] does the same wherever its stream is cut, in bounded memory, and agrees with the
/// rule as it is written down: the earliest match end wins, on a tie the longest.
pub fn delimited(data: &[u8]) {
    let mut input = Input(data);
    let (delimiters, max) = (input.delimiters(), input.below(12));
    let allow_unterminated = input.below(2) == 1;
    let (seed, wire) = (input.byte(), input.0);
    let decoder = || {
        let decoder = Delimited::by_any(&delimiters).expect("no empty delimiter").max_payload(max);
        if allow_unterminated { decoder.allow_unterminated() } else { decoder }
    };
    let events = decodes_soundly(decoder, wire, seed);
    let expected = by_the_rule(&delimiters, max, wire);
    let delimited = events.get(..expected.len()).unwrap_or_default();
    assert_eq!(delimited, expected, "{delimiters:?}, max {max}: {}", wire.escape_ascii());
    assert!(events.len() - expected.len() <= 3, "one tail: {events:?}");
}

/// [`LengthDelimited`] in every form does the same wherever its stream is cut, in bounded memory.
pub fn length(data: &[u8]) {
    let mut input = Input(data);
    let codec = input.length();
    let (seed, wire) = (input.byte(), input.0);
    decodes_soundly(|| codec.clone(), wire, seed);
}

/// The same for [`Netstring`].
pub fn netstring(data: &[u8]) {
    let mut input = Input(data);
    let max = input.below(12);
    let (seed, wire) = (input.byte(), input.0);
    decodes_soundly(|| Netstring::new().max_payload(max), wire, seed);
}

/// The same for [`FixedLength`].
pub fn fixed(data: &[u8]) {
    let mut input = Input(data);
    let len = input.below(40) + 1;
    let (seed, wire) = (input.byte(), input.0);
    decodes_soundly(|| FixedLength::new(len).expect("not 0"), wire, seed);
}

/// What a codec encodes, it decodes to the same payloads; what it refuses would not come back.
pub fn round_trip(data: &[u8]) {
    let mut input = Input(data);
    let codec = input.codec();
    let (mut wire, mut expected) = (Vec::new(), Vec::new());
    while !input.0.is_empty() {
        let len = input.below(20);
        let payload = input.bytes(len);
        let before = wire.len();
        match codec.encode_to(payload, &mut wire) {
            Ok(()) => expected.push(Event::Frame(payload.to_vec())),
            Err(error) => {
                assert_eq!(wire.len(), before, "nothing is written of what is refused");
                is_refused_for_a_reason(&codec, payload, error);
            }
        }
    }
    expected.push(Event::Closed);
    assert_eq!(events(codec.clone(), [&wire[..]]), expected, "{codec:?}: {}", wire.escape_ascii());
}

/// Requests of all kinds on one connection give the same whether everything is there at once, or
/// comes in pieces and some requests are given up in between.
pub fn requests(data: &[u8]) {
    requests::requests(data);
}

/// What parses as a [`Framing`] prints as something that parses as the same.
pub fn framing_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let framing = match text.parse::<Framing>() {
        Ok(framing) => framing,
        Err(reason) => {
            assert!(!reason.to_string().is_empty());
            return;
        }
    };
    let printed = framing.to_string();
    assert_eq!(printed.parse::<Framing>().as_ref(), Ok(&framing), "{text:?} prints as {printed:?}");
    assert_eq!(printed, printed.to_lowercase());
    events(framing.codec(), [data]);
}

/// Chunk invariance and the memory bound. Returns the events.
fn decodes_soundly<D: Decoder>(decoder: impl Fn() -> D, wire: &[u8], seed: u8) -> Vec<Event> {
    let whole = events(decoder(), [wire]);
    let (front, back) = wire.split_at(usize::from(seed).min(wire.len()));
    let halves = [front, back];
    let pieces = random_pieces(wire, u32::from(seed) + 1);
    assert_eq!(events(decoder(), halves), whole, "cut at {seed}: {}", wire.escape_ascii());
    assert_eq!(events(decoder(), wire.chunks(1)), whole, "byte by byte: {}", wire.escape_ascii());
    assert_eq!(events(decoder(), pieces), whole, "random pieces: {}", wire.escape_ascii());
    stays_within_its_bound(decoder(), wire);
    whole
}

/// Memory stays under what the decoder may leave unconsumed, plus one read.
fn stays_within_its_bound<D: Decoder>(decoder: D, mut wire: &[u8]) {
    const READ: usize = 8;
    let bound = decoder.max_buffered();
    let mut deframer = Deframer::with_read_size(decoder, READ);
    while !wire.is_empty() {
        loop {
            match deframer.poll() {
                Ok(Polled::Frame(_)) | Err(FrameError::TooLong { .. }) => {}
                Ok(Polled::NeedRead) => break,
                Ok(Polled::Closed) | Err(_) => wire = &[],
            }
            if wire.is_empty() {
                break;
            }
        }
        let pending = deframer.partial().len();
        let space = deframer.space();
        if let Some(bound) = bound {
            let most = bound.saturating_add(READ);
            assert!(pending + space.len() <= most, "{pending} and {} of {most}", space.len());
        }
        let n = wire.len().min(space.len()).min(READ);
        space[..n].copy_from_slice(&wire[..n]);
        deframer.filled(n).expect("there was room");
        wire = &wire[n..];
    }
    if let Some(bound) = bound {
        let held = deframer.into_parts().1.capacity();
        assert!(held <= bound.saturating_add(READ), "{held} of {bound} and {READ} bytes");
    }
}

/// The frames that end in a delimiter, found in the slowest and plainest way.
fn by_the_rule(delimiters: &[Vec<u8>], max: usize, mut wire: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    'frames: loop {
        for end in 1..=wire.len() {
            let matching = delimiters.iter().filter(|d| wire[..end].ends_with(d));
            if let Some(longest) = matching.map(Vec::len).max() {
                let payload = &wire[..end - longest];
                events.push(if payload.len() > max {
                    Event::Error(FrameError::TooLong { max, len: None })
                } else {
                    Event::Frame(payload.to_vec())
                });
                wire = &wire[end..];
                continue 'frames;
            }
        }
        return events;
    }
}

fn is_refused_for_a_reason(codec: &Codec, payload: &[u8], error: EncodeError) {
    match error {
        EncodeError::TooLong { max, len } => assert!(len == payload.len() && len > max),
        EncodeError::WrongLength { expected, len } => assert_ne!(expected, len),
        EncodeError::Delimiter { at } => {
            assert!(at < payload.len() + 4, "no delimiter is longer");
            // Every other payload can be sent, so the delimiter is seen behind an empty one - unless
            // no payload can.
            let mut wire = payload.to_vec();
            let Ok(()) = codec.encode_to(b"", &mut wire) else { return };
            let first = events(codec.clone(), [&wire[..]]).into_iter().next();
            assert_ne!(
                first,
                Some(Event::Frame(payload.to_vec())),
                "{codec:?} refuses {payload:?}"
            );
        }
        EncodeError::LengthField { len } => assert_eq!(len, payload.len()),
        _ => {}
    }
}
