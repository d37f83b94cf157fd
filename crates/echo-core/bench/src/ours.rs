//! What is measured of this crate: every codec by itself, under [`Deframer`], under [`Receiver`].

use echo_core::{
    Decoded, Decoder, Deframer, Delimited, Encoder, FixedLength, Framing, LengthDelimited,
    Netstring, Polled, Raw, Receiver, Sender,
};

use crate::{
    harness::{Contender, Run},
    wire::{Tally, Wire},
};

/// What one push holds, for ourselves and for the peers: one read of the default size.
pub(crate) const CHUNK: usize = echo_core::DEFAULT_READ_SIZE;

/// The name under which the targets know us.
pub(crate) const LENT: &str = "echo-core";
/// The same with every payload copied into a vector of its own.
pub(crate) const OWNED: &str = "echo-core, to_vec";

/// Every way to receive frames of `work`.
macro_rules! receive {
    ($into:ident, $work:literal, $decoder:expr) => {
        $into.extend([
            Contender::new(($work, "alone", LENT), |wire| Box::new(|| alone($decoder, wire))),
            Contender::new(($work, "deframer", LENT), |wire| Box::new(|| deframer($decoder, wire))),
            Contender::new(($work, "deframer", OWNED), |wire| {
                Box::new(|| deframer_owned($decoder, wire))
            }),
            Contender::new(($work, "receiver", LENT), |wire| {
                Box::new(|| receiver($decoder, &wire.bytes[..]))
            }),
            Contender::new(($work, "receiver", OWNED), |wire| {
                Box::new(|| receiver_owned($decoder, wire))
            }),
        ]);
    };
}

/// Ours for the framings that have peers.
pub(crate) fn beside_peers() -> Vec<Contender> {
    let mut all = Vec::new();
    receive!(all, "u32", LengthDelimited::u32());
    receive!(all, "u64", LengthDelimited::u64());
    receive!(all, "line", Delimited::lines());
    receive!(all, "delim:0d0a", Delimited::by(b"\r\n").expect("not empty"));
    receive!(all, "delim:2c,3b,0a,0d", any_of_four());
    all.extend([
        Contender::new(("u32", "deframer", "echo-core, Framing"), |wire| run_time("u32", wire)),
        Contender::new(("line", "deframer", "echo-core, Framing"), |wire| run_time("line", wire)),
        Contender::new(("u32", "send", LENT), |wire| send(LengthDelimited::u32(), wire)),
        Contender::new(("line", "send", LENT), |wire| send(Delimited::lines(), wire)),
    ]);
    all
}

/// Ours for the framings that have no peer.
pub(crate) fn the_rest() -> Vec<Contender> {
    let mut all = Vec::new();
    receive!(all, "u16", LengthDelimited::u16());
    receive!(all, "u16le", LengthDelimited::u16_le());
    receive!(all, "u32le", LengthDelimited::u32_le());
    receive!(all, "u64le", LengthDelimited::u64_le());
    receive!(all, "varint", LengthDelimited::varint());
    receive!(all, "netstring", Netstring::new());
    receive!(all, "delim:2c,3b,0a", Delimited::by_any(&[",", ";", "\n"]).expect("not empty"));
    receive!(all, "delim:0d0a,0a0a", Delimited::by_any(&["\r\n", "\n\n"]).expect("not empty"));
    all
}

/// Ours for payloads of up to 255 bytes.
pub(crate) fn the_small() -> Vec<Contender> {
    let mut all = Vec::new();
    receive!(all, "u8", LengthDelimited::u8());
    all
}

/// Ours for payloads of one size, of which `fixed` and `raw` have to be told.
pub(crate) fn fixed() -> Vec<Contender> {
    let fixed = |wire: &Wire| {
        let len = (wire.expected.bytes / wire.expected.frames) as usize;
        FixedLength::new(len).expect("not empty")
    };
    vec![
        Contender::new(("fixed", "alone", LENT), move |wire| {
            Box::new(move || alone(fixed(wire), wire))
        }),
        Contender::new(("fixed", "deframer", LENT), move |wire| {
            Box::new(move || deframer(fixed(wire), wire))
        }),
        Contender::new(("fixed", "receiver", LENT), move |wire| {
            Box::new(move || receiver(fixed(wire), &wire.bytes[..]))
        }),
        Contender::new(("fixed", "deframer", "echo-core, Raw in reads of 16 KiB"), |wire| {
            Box::new(|| Tally { frames: wire.expected.frames, ..deframer(Raw, wire) })
        }),
    ]
}

/// `AnyDelimiterCodec`'s own default set.
pub(crate) fn any_of_four() -> Delimited {
    Delimited::by_any(&[",", ";", "\n", "\r"]).expect("not empty")
}

fn run_time<'w>(framing: &str, wire: &'w Wire) -> Run<'w> {
    let codec = framing.parse::<Framing>().expect("a framing").codec();
    Box::new(move || deframer(codec, wire))
}

/// The loop of a driver that has everything in memory already.
fn alone(mut decoder: impl Decoder, wire: &Wire) -> Tally {
    let mut tally = Tally::default();
    let mut rest = &wire.bytes[..];
    loop {
        let span = match decoder.decode_whole(rest) {
            Some(span) => span,
            None => match decoder.decode(rest) {
                Ok(Decoded::Frame(span)) => span,
                _ => return tally,
            },
        };
        tally.take(&rest[span.payload]);
        rest = &rest[span.consumed..];
    }
}

fn deframer(decoder: impl Decoder, wire: &Wire) -> Tally {
    let mut tally = Tally::default();
    let mut deframer = Deframer::new(decoder);
    for chunk in wire.bytes.chunks(CHUNK) {
        deframer.push(chunk);
        while let Ok(Polled::Frame(payload)) = deframer.poll() {
            tally.take(payload);
        }
    }
    tally
}

fn deframer_owned(decoder: impl Decoder, wire: &Wire) -> Tally {
    let mut tally = Tally::default();
    let mut deframer = Deframer::new(decoder);
    for chunk in wire.bytes.chunks(CHUNK) {
        deframer.push(chunk);
        while let Ok(Polled::Frame(payload)) = deframer.poll() {
            let owned = payload.to_vec();
            tally.take(&owned);
        }
    }
    tally
}

pub(crate) fn receiver(decoder: impl Decoder, reader: impl std::io::Read) -> Tally {
    let mut tally = Tally::default();
    let mut receiver = Receiver::new(reader, decoder);
    while let Ok(Some(payload)) = receiver.recv() {
        tally.take(payload);
    }
    tally
}

fn receiver_owned(decoder: impl Decoder, wire: &Wire) -> Tally {
    let mut tally = Tally::default();
    let mut receiver = Receiver::new(&wire.bytes[..], decoder);
    while let Ok(Some(payload)) = receiver.recv() {
        let owned = payload.to_vec();
        tally.take(&owned);
    }
    tally
}

fn send<'w>(encoder: impl Encoder + 'w, wire: &'w Wire) -> Run<'w> {
    let payloads = wire.payloads();
    let out = Vec::with_capacity(wire.bytes.len());
    Box::new(move || {
        let mut sender = Sender::new(out, encoder);
        for payload in payloads {
            sender.send(payload).expect("fits");
        }
        wire.tally_of_sent(&sender.into_parts().0)
    })
}
