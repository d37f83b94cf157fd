//! Bytes that come back otherwise, or not when they should.

use std::io::Read;

use super::{End, Row, half_close, hear, hears, returns, say};
use crate::support::noise;

pub(super) const CHANGED: &[Row] = &[
    ("banner", |server| hears(&server.connect(), b"220 ready\r\n", End::Silence)),
    ("http-error", |server| {
        let page = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        returns(server, b"hello", page, End::Fin);
    }),
    ("extra-byte", |server| returns(server, b"hello", b"hello\0", End::Fin)),
    ("crlf", |server| returns(server, b"a\nb\r\n", b"a\r\nb\r\r\n", End::Fin)),
    ("strip-cr", |server| returns(server, b"\ra\r\n", b"a\n", End::Fin)),
    ("drop-nul", |server| returns(server, b"\0a\0\0b", b"ab", End::Fin)),
    ("seven-bit", |server| returns(server, b"a\xe1\xff", b"aa\x7f", End::Fin)),
    ("telnet", |server| returns(server, b"a\xffb", b"a\xff\xffb", End::Fin)),
    ("utf8", |server| returns(server, b"\xc3\xa4\xff", b"\xc3\xa4\xef\xbf\xbd", End::Fin)),
    ("corrupt-after=3", |server| returns(server, b"hello", b"hel\x7co", End::Fin)),
    ("duplicate-after=3", |server| returns(server, b"hello", b"hellolo", End::Fin)),
    ("swap-after=3", |server| returns(server, b"hello", b"helol", End::Fin)),
    ("drop-after=3", |server| returns(server, b"hello", b"hel", End::Fin)),
];

pub(super) const KEPT_BACK: &[Row] = &[
    ("line-buffered", |server| {
        let stream = server.connect();
        say(&stream, b"ab");
        hears(&stream, b"", End::Silence);
        say(&stream, b"c\nd");
        hear(&stream, b"abc\n");
        half_close(&stream);
        hears(&stream, b"d", End::Fin);
    }),
    ("block-buffered=4B", |server| {
        let stream = server.connect();
        say(&stream, b"hello");
        hears(&stream, b"hell", End::Silence);
        half_close(&stream);
        hears(&stream, b"o", End::Fin);
    }),
    ("absorb=64MiB", |server| {
        // Far more than the system's buffers take.
        let (stream, sent) = (server.connect(), noise(40 << 20));
        say(&stream, &sent);
        half_close(&stream);
        let mut back = Vec::new();
        (&stream).read_to_end(&mut back).unwrap();
        assert!(back == sent);
    }),
];
