//! Other bytes than were sent: more, fewer, changed, or in another order.

use super::{
    catalog::{
        Entry,
        Kind::Stream,
        Value::{Bytes, Plain},
    },
    schedule::Schedule,
    spoiler::{Spoiler, Spoilers, each},
};

pub(super) const FAULTS: &[Entry] = &[
    Entry {
        name: "banner",
        kind: Stream(Plain(|| each(Banner))),
        does: "a greeting on connect, before anything was sent, as FTP and SMTP servers have it",
    },
    Entry {
        name: "http-error",
        kind: Stream(Plain(|| each(HttpError { is_said: false }))),
        does: "a page with 400 Bad Request, then FIN, as an HTTP proxy answers to other protocols",
    },
    Entry {
        name: "extra-byte",
        kind: Stream(Plain(|| mapped(|bytes| [bytes, b"\0"].concat()))),
        does: "a NUL after each chunk, as C programs send that count the end of the string",
    },
    Entry {
        name: "crlf",
        kind: Stream(Plain(|| mapped(|bytes| replaced(bytes, b'\n', b"\r\n")))),
        does: "LF becomes CR LF, as in a text mode",
    },
    Entry {
        name: "strip-cr",
        kind: Stream(Plain(|| mapped(|bytes| replaced(bytes, b'\r', b"")))),
        does: "CR vanishes, as in a text mode the other way round",
    },
    Entry {
        name: "drop-nul",
        kind: Stream(Plain(|| mapped(|bytes| replaced(bytes, 0, b"")))),
        does: "NUL bytes vanish, as where strings end with one",
    },
    Entry {
        name: "seven-bit",
        kind: Stream(Plain(|| mapped(|bytes| bytes.iter().map(|byte| byte & 0x7f).collect()))),
        does: "the top bit of each byte is cleared, as on a path for ASCII",
    },
    Entry {
        name: "telnet",
        kind: Stream(Plain(|| mapped(|bytes| replaced(bytes, 0xff, b"\xff\xff")))),
        does: "0xFF comes back twice, as a telnet gateway escapes it (RFC 854)",
    },
    Entry {
        name: "utf8",
        kind: Stream(Plain(|| mapped(|bytes| String::from_utf8_lossy(bytes).into_owned().into()))),
        does: "what is no UTF-8 within a chunk becomes U+FFFD, as where bytes are taken for text",
    },
    Entry {
        name: "corrupt-after",
        kind: Stream(Bytes("64KiB", |after| once(after, flip_a_bit))),
        does: "one bit of the first byte after SIZE flips, as bad memory does it behind the checksum",
    },
    Entry {
        name: "duplicate-after",
        kind: Stream(Bytes("64KiB", |after| once(after, send_twice))),
        does: "the first chunk after SIZE comes back twice, as from a write that is retried wrongly",
    },
    Entry {
        name: "swap-after",
        kind: Stream(Bytes("64KiB", |after| once(after, swap_halves))),
        does: "two pieces after SIZE come back in the wrong order, as from two threads on one socket",
    },
    Entry {
        name: "drop-after",
        kind: Stream(Bytes("64KiB", |after| once(after, |_, _| true))),
        does: "the first chunk after SIZE is lost, as where the result of a write is not looked at",
    },
];

#[derive(Clone)]
struct Banner;

impl Spoiler for Banner {
    fn connected(&mut self, out: &mut Schedule) {
        out.send(b"220 ready\r\n");
    }
}

#[derive(Clone)]
struct HttpError {
    is_said: bool,
}

impl Spoiler for HttpError {
    fn returned(&mut self, _bytes: &[u8], out: &mut Schedule) {
        if !self.is_said {
            self.is_said = true;
            out.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            out.close_in_order();
        }
    }
}

/// Changes every chunk in the same way.
#[derive(Clone)]
struct Mapped(fn(&[u8]) -> Vec<u8>);

fn mapped(map: fn(&[u8]) -> Vec<u8>) -> Spoilers {
    each(Mapped(map))
}

impl Spoiler for Mapped {
    fn returned(&mut self, bytes: &[u8], out: &mut Schedule) {
        out.send(&(self.0)(bytes));
    }
}

fn replaced(bytes: &[u8], byte: u8, by: &[u8]) -> Vec<u8> {
    let replace = |it: &u8| if *it == byte { by.to_vec() } else { vec![*it] };
    bytes.iter().flat_map(replace).collect()
}

/// Spoils the first chunk, or rest of one, that begins after so many bytes.
#[derive(Clone)]
struct Once {
    left: u64,
    is_done: bool,
    /// Sends what becomes of a chunk; false when it was not one that could be spoilt.
    spoil: fn(&[u8], &mut Schedule) -> bool,
}

fn once(after: u64, spoil: fn(&[u8], &mut Schedule) -> bool) -> Spoilers {
    each(Once { left: after, is_done: false, spoil })
}

impl Spoiler for Once {
    fn returned(&mut self, bytes: &[u8], out: &mut Schedule) {
        let (before, after) = split(bytes, &mut self.left);
        out.send(before);
        if self.is_done || after.is_empty() {
            out.send(after);
        } else {
            self.is_done = (self.spoil)(after, out);
        }
    }
}

/// The bytes that still are of the first `left`, and those after them.
pub(super) fn split<'a>(bytes: &'a [u8], left: &mut u64) -> (&'a [u8], &'a [u8]) {
    let n = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    *left -= u64::try_from(n).unwrap_or(*left);
    bytes.split_at(n)
}

fn flip_a_bit(bytes: &[u8], out: &mut Schedule) -> bool {
    let mut bytes = bytes.to_vec();
    if let Some(first) = bytes.first_mut() {
        *first ^= 0x10;
    }
    out.send(&bytes);
    true
}

fn send_twice(bytes: &[u8], out: &mut Schedule) -> bool {
    out.send(bytes);
    out.send(bytes);
    true
}

fn swap_halves(bytes: &[u8], out: &mut Schedule) -> bool {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    out.send(second);
    out.send(first);
    !first.is_empty()
}
