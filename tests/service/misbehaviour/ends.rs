//! Connections that end in the wrong way.

use std::io::{Read, Write};

use super::{End, Row, half_close, hear, hears, returns, round_trip, say};
use crate::support::{noise, usage::until};

pub(super) const ROWS: &[Row] = &[
    ("truncate-after=3", |server| {
        let stream = server.connect();
        say(&stream, b"hello");
        hears(&stream, b"hel", End::Silence);
        half_close(&stream);
        hears(&stream, b"", End::Fin);
    }),
    ("cap=3", |server| {
        let stream = server.connect();
        say(&stream, b"hello");
        hears(&stream, b"hel", End::Fin);
        say(&stream, &noise(1 << 20)); // is taken
        half_close(&stream);
        hears(&stream, b"", End::Fin);
    }),
    ("close-after=3", |server| {
        let stream = server.connect();
        say(&stream, b"hello");
        hears(&stream, b"hel", End::Fin);
        until("the socket is closed", || (&stream).write_all(b"x").is_err());
    }),
    ("reset-after=3", |server| {
        let stream = server.connect();
        say(&stream, b"hello");
        hears(&stream, b"hel", End::Rst);
    }),
    ("stall-after=3", |server| {
        let stream = server.connect();
        say(&stream, b"hello");
        hears(&stream, b"hel", End::Silence);
        half_close(&stream);
        hears(&stream, b"", End::Silence);
    }),
    ("close-after-first", |server| {
        let stream = server.connect();
        say(&stream, b"hello");
        hears(&stream, b"hello", End::Fin);
    }),
    ("lose-tail", |server| {
        let stream = server.connect();
        round_trip(&stream, b"hello");
        say(&stream, b"world");
        half_close(&stream);
        hears(&stream, b"", End::Fin);
    }),
    ("never-close", |server| {
        returns(server, b"hello", b"hello", End::Silence);
    }),
    ("reset-on-close", |server| {
        returns(server, b"hello", b"hello", End::Rst);
    }),
    ("idle-close=300ms", |server| {
        let mut stream = server.connect();
        round_trip(&stream, b"hello");
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }),
    ("idle-reset=300ms", |server| {
        let mut stream = server.connect();
        round_trip(&stream, b"hello");
        let error = stream.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }),
    ("idle-drop=200ms", |server| {
        let stream = server.connect();
        say(&stream, b"hello");
        hear(&stream, b"hello");
        hears(&stream, b"", End::Silence);
        say(&stream, b"are you there?");
        half_close(&stream);
        hears(&stream, b"", End::Silence);
    }),
];
