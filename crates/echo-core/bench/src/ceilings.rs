//! The least that has to be done: bare loops without limits, errors or state between reads.

use std::io::{IoSlice, Read, Write};

use crate::{
    harness::Contender,
    ours::CHUNK,
    wire::{Tally, Wire},
};

/// What the targets call the ceiling of a framing.
pub(crate) const CEILING: &str = "bare loop";

/// A bare search for frames.
trait Spans {
    /// Shows each whole frame's payload to `each`, and returns where the last one ends.
    fn spans(src: &[u8], each: impl FnMut(&[u8])) -> usize;
}

/// Reads the length, takes the payload, steps over it.
struct Lengths;

/// What memchr finds.
struct Lines;

/// What memmem finds.
struct CrLf;

/// A comparison per byte and delimiter.
struct AnyOfFour;

pub(crate) fn all() -> Vec<Contender> {
    let mut all = Vec::new();
    add::<Lengths>(&mut all, "u32");
    add::<Lines>(&mut all, "line");
    add::<CrLf>(&mut all, "delim:0d0a");
    add::<AnyOfFour>(&mut all, "delim:2c,3b,0a,0d");
    all.push(Contender::new(("u32", "send", "bare write_vectored"), |wire| {
        let payloads = wire.payloads();
        let mut out = Vec::with_capacity(wire.bytes.len());
        Box::new(move || {
            for payload in payloads {
                let header = (payload.len() as u32).to_be_bytes();
                let frame = [IoSlice::new(&header), IoSlice::new(payload)];
                let n = out.write_vectored(&frame).expect("memory does not fail");
                assert_eq!(n, 4 + payload.len());
            }
            wire.tally_of_sent(&out)
        })
    }));
    all
}

fn add<S: Spans>(all: &mut Vec<Contender>, work: &'static str) {
    all.extend([
        Contender::new((work, "alone", CEILING), |wire| Box::new(|| alone::<S>(wire))),
        Contender::new((work, "deframer", CEILING), |wire| Box::new(|| pushed::<S>(wire))),
        Contender::new((work, "receiver", CEILING), |wire| Box::new(|| read::<S>(wire))),
    ]);
}

fn alone<S: Spans>(wire: &Wire) -> Tally {
    let mut tally = Tally::default();
    S::spans(&wire.bytes, |payload| tally.take(payload));
    tally
}

fn pushed<S: Spans>(wire: &Wire) -> Tally {
    let mut tally = Tally::default();
    let mut buffer = Vec::new();
    for chunk in wire.bytes.chunks(CHUNK) {
        buffer.extend_from_slice(chunk);
        let consumed = S::spans(&buffer, |payload| tally.take(payload));
        buffer.drain(..consumed);
    }
    tally
}

fn read<S: Spans>(wire: &Wire) -> Tally {
    let mut tally = Tally::default();
    let mut reader = &wire.bytes[..];
    let mut buffer = vec![0; CHUNK];
    let mut end = 0;
    loop {
        let n = reader.read(&mut buffer[end..]).expect("memory does not fail");
        if n == 0 {
            return tally;
        }
        end += n;
        let consumed = S::spans(&buffer[..end], |payload| tally.take(payload));
        buffer.copy_within(consumed..end, 0);
        end -= consumed;
    }
}

impl Spans for Lengths {
    #[inline]
    fn spans(src: &[u8], mut each: impl FnMut(&[u8])) -> usize {
        let mut at = 0;
        while let Some(header) = src.get(at..).and_then(<[u8]>::first_chunk) {
            let start = at + 4;
            let end = start + u32::from_be_bytes(*header) as usize;
            let Some(payload) = src.get(start..end) else {
                break;
            };
            each(payload);
            at = end;
        }
        at
    }
}

impl Spans for Lines {
    #[inline]
    fn spans(src: &[u8], mut each: impl FnMut(&[u8])) -> usize {
        let mut start = 0;
        for lf in memchr::memchr_iter(b'\n', src) {
            each(&src[start..lf]);
            start = lf + 1;
        }
        start
    }
}

impl Spans for CrLf {
    #[inline]
    fn spans(src: &[u8], mut each: impl FnMut(&[u8])) -> usize {
        let mut start = 0;
        for cr in memchr::memmem::find_iter(src, b"\r\n") {
            each(&src[start..cr]);
            start = cr + 2;
        }
        start
    }
}

impl Spans for AnyOfFour {
    #[inline]
    fn spans(src: &[u8], mut each: impl FnMut(&[u8])) -> usize {
        let mut start = 0;
        for (at, byte) in src.iter().enumerate() {
            if matches!(byte, b',' | b';' | b'\n' | b'\r') {
                each(&src[start..at]);
                start = at + 1;
            }
        }
        start
    }
}
