//! What others offer for the same work, each used the way its own documentation shows.

use std::{
    io::{BufRead, BufReader, Read, Write},
    pin::pin,
    task::{Context, Poll, Waker},
};

use asynchronous_codec::Decoder as AsyncDecoder;
use bstr::io::BufReadExt;
use bytes::BytesMut;
use echo_core::{Delimited, LengthDelimited, codec::Compat};
use futures_util::StreamExt;
use linereader::LineReader;
use tokio_util::codec::{
    AnyDelimiterCodec, Decoder, Encoder, FramedRead, LengthDelimitedCodec, LinesCodec,
};

use crate::{
    harness::{Contender, Run},
    ours::{CHUNK, any_of_four},
    wire::{Tally, Wire},
};

pub(crate) const TOKIO: &str = "tokio-util";
pub(crate) const ASYNC: &str = "asynchronous-codec";
/// Our codecs in tokio-util's own driver, where frames are owned without a copy, as its own are.
pub(crate) const COMPAT: &str = "echo-core in tokio-util's Framed";
pub(crate) const BSTR: &str = "bstr for_byte_record";
pub(crate) const LINEREADER: &str = "linereader";

/// Every way tokio-util decodes frames of `work`.
macro_rules! tokio {
    ($into:ident, $work:literal, $who:expr, $codec:expr) => {
        $into.extend([
            Contender::new(($work, "alone", $who), |wire| tokio_alone($codec, wire)),
            Contender::new(($work, "deframer", $who), |wire| {
                Box::new(|| tokio_pushed($codec, wire))
            }),
            Contender::new(($work, "receiver", $who), |wire| {
                Box::new(|| tokio_framed_read($codec, wire))
            }),
        ]);
    };
}

pub(crate) fn all() -> Vec<Contender> {
    let mut all = vec![
        Contender::new(("u64", "alone", ASYNC), |wire| {
            async_alone(asynchronous_codec::LengthCodec, wire)
        }),
        Contender::new(("u64", "deframer", ASYNC), |wire| {
            Box::new(|| async_pushed(asynchronous_codec::LengthCodec, wire))
        }),
        Contender::new(("line", "alone", ASYNC), |wire| {
            async_alone(asynchronous_codec::LinesCodec, wire)
        }),
        Contender::new(("line", "deframer", ASYNC), |wire| {
            Box::new(|| async_pushed(asynchronous_codec::LinesCodec, wire))
        }),
        Contender::new(("line", "alone", BSTR), |wire| Box::new(|| bstr(&wire.bytes[..]))),
        Contender::new(("line", "receiver", BSTR), |wire| {
            Box::new(|| bstr(BufReader::new(&wire.bytes[..])))
        }),
        Contender::new(("line", "receiver", "bstr, BufReader of 16 KiB"), |wire| {
            Box::new(|| bstr(BufReader::with_capacity(CHUNK, &wire.bytes[..])))
        }),
        Contender::new(("line", "receiver", LINEREADER), |wire| Box::new(|| line_reader(wire))),
        Contender::new(("line", "receiver", "std read_until"), |wire| {
            Box::new(|| read_until(BufReader::new(&wire.bytes[..])))
        }),
        Contender::new(("u32", "receiver", "std read_exact"), |wire| Box::new(|| read_exact(wire))),
        Contender::new(("u32", "send", "tokio-util encode, write"), |wire| {
            tokio_send(LengthDelimitedCodec::new(), |payload| payload, wire)
        }),
        Contender::new(("line", "send", "tokio-util encode, write"), |wire| {
            let text = |payload| std::str::from_utf8(payload).expect("letters");
            tokio_send(LinesCodec::new(), text, wire)
        }),
    ];
    tokio!(all, "u32", TOKIO, LengthDelimitedCodec::new());
    tokio!(all, "u32", COMPAT, Compat::new(LengthDelimited::u32()));
    tokio!(all, "u64", TOKIO, LengthDelimitedCodec::builder().length_field_length(8).new_codec());
    tokio!(all, "line", TOKIO, LinesCodec::new());
    tokio!(all, "line", COMPAT, Compat::new(Delimited::lines()));
    tokio!(all, "delim:2c,3b,0a,0d", TOKIO, AnyDelimiterCodec::default());
    tokio!(all, "delim:2c,3b,0a,0d", COMPAT, Compat::new(any_of_four()));
    all
}

/// Lent or owned, the payload of whatever a codec hands out.
trait AsPayload {
    fn as_payload(&self) -> &[u8];
}

impl AsPayload for BytesMut {
    fn as_payload(&self) -> &[u8] {
        self
    }
}

impl AsPayload for bytes::Bytes {
    fn as_payload(&self) -> &[u8] {
        self
    }
}

impl AsPayload for String {
    fn as_payload(&self) -> &[u8] {
        self.as_bytes()
    }
}

fn tokio_alone<'w, D>(mut codec: D, wire: &Wire) -> Run<'w>
where
    D: Decoder<Item: AsPayload> + 'w,
{
    let mut src = BytesMut::from(&wire.bytes[..]);
    Box::new(move || {
        let mut tally = Tally::default();
        while let Ok(Some(frame)) = codec.decode(&mut src) {
            tally.take(frame.as_payload());
        }
        tally
    })
}

fn tokio_pushed<D: Decoder<Item: AsPayload>>(mut codec: D, wire: &Wire) -> Tally {
    let mut tally = Tally::default();
    let mut src = BytesMut::new();
    for chunk in wire.bytes.chunks(CHUNK) {
        src.extend_from_slice(chunk);
        while let Ok(Some(frame)) = codec.decode(&mut src) {
            tally.take(frame.as_payload());
        }
    }
    tally
}

/// The reader always has bytes, so the future is ready when it is first asked.
fn tokio_framed_read<D: Decoder<Item: AsPayload>>(codec: D, wire: &Wire) -> Tally {
    let receiving = async {
        let mut tally = Tally::default();
        let mut frames = pin!(FramedRead::new(&wire.bytes[..], codec));
        while let Some(Ok(frame)) = frames.next().await {
            tally.take(frame.as_payload());
        }
        tally
    };
    match pin!(receiving).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(tally) => tally,
        Poll::Pending => Tally::default(),
    }
}

fn async_alone<'w, D>(mut codec: D, wire: &Wire) -> Run<'w>
where
    D: AsyncDecoder<Item: AsPayload> + 'w,
{
    let mut src = BytesMut::from(&wire.bytes[..]);
    Box::new(move || {
        let mut tally = Tally::default();
        while let Ok(Some(frame)) = codec.decode(&mut src) {
            take_async(&mut tally, &frame);
        }
        tally
    })
}

fn async_pushed<D: AsyncDecoder<Item: AsPayload>>(mut codec: D, wire: &Wire) -> Tally {
    let mut tally = Tally::default();
    let mut src = BytesMut::new();
    for chunk in wire.bytes.chunks(CHUNK) {
        src.extend_from_slice(chunk);
        while let Ok(Some(frame)) = codec.decode(&mut src) {
            take_async(&mut tally, &frame);
        }
    }
    tally
}

/// Its lines keep their LF.
fn take_async(tally: &mut Tally, frame: &impl AsPayload) {
    let payload = frame.as_payload();
    tally.take(payload.strip_suffix(b"\n").unwrap_or(payload));
}

fn bstr(mut reader: impl BufRead) -> Tally {
    let mut tally = Tally::default();
    let done = reader.for_byte_record(b'\n', |line| {
        tally.take(line);
        Ok(true)
    });
    done.expect("memory does not fail");
    tally
}

/// Its lines keep their LF.
fn line_reader(wire: &Wire) -> Tally {
    let mut tally = Tally::default();
    let mut reader = LineReader::new(&wire.bytes[..]);
    while let Some(Ok(line)) = reader.next_line() {
        tally.take(&line[..line.len() - 1]);
    }
    tally
}

fn read_until(mut reader: impl BufRead) -> Tally {
    let mut tally = Tally::default();
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).expect("memory does not fail") > 0 {
        tally.take(&line[..line.len() - 1]);
        line.clear();
    }
    tally
}

/// Header, then body, into a vector that is used again.
fn read_exact(wire: &Wire) -> Tally {
    let mut tally = Tally::default();
    let mut reader = BufReader::new(&wire.bytes[..]);
    let (mut header, mut payload) = ([0; 4], Vec::new());
    while reader.read_exact(&mut header).is_ok() {
        payload.resize(u32::from_be_bytes(header) as usize, 0);
        reader.read_exact(&mut payload).expect("whole frames");
        tally.take(&payload);
    }
    tally
}

fn tokio_send<'w, I: 'w, E: Encoder<I> + 'w>(
    mut codec: E,
    item: impl Fn(&'w [u8]) -> I,
    wire: &'w Wire,
) -> Run<'w> {
    let items: Vec<I> = wire.payloads().into_iter().map(item).collect();
    let mut out = Vec::with_capacity(wire.bytes.len());
    Box::new(move || {
        let mut frame = BytesMut::new();
        for item in items {
            assert!(codec.encode(item, &mut frame).is_ok());
            out.write_all(&frame).expect("memory does not fail");
            frame.clear();
        }
        wire.tally_of_sent(&out)
    })
}
