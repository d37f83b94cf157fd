//! The right bytes at the wrong time.

use std::{
    io::Read,
    time::{Duration, Instant},
};

use super::{End, Row, half_close, hear, hears, round_trip, say};
use crate::support::noise;

pub(super) const ROWS: &[Row] = &[
    ("delay=200ms", |server| {
        assert!(round_trip(&server.connect(), b"hello") >= Duration::from_millis(200));
    }),
    ("jitter=40ms", |server| {
        let stream = server.connect();
        let times: Vec<_> = (0..20).map(|_| round_trip(&stream, b"hello")).collect();
        let slowest = times.iter().max().unwrap();
        let fastest = times.iter().min().unwrap();
        // All twenty within a tenth of the range is one in 10^18.
        assert!(*slowest - *fastest >= Duration::from_millis(4), "{times:?}");
    }),
    ("drip=30ms", |server| {
        let (stream, start) = (server.connect(), Instant::now());
        say(&stream, b"hello");
        let mut buffer = [0; 5];
        for byte in b"hello" {
            assert_eq!((&stream).read(&mut buffer).unwrap(), 1);
            assert_eq!(buffer[0], *byte);
        }
        assert!(start.elapsed() >= Duration::from_millis(4 * 30));
    }),
    ("throttle=10KiB", |server| {
        let took = round_trip(&server.connect(), &noise(5 << 10));
        assert!(took >= Duration::from_millis(400), "{took:?}");
    }),
    ("nagle", |server| {
        let stream = server.connect();
        stream.set_nodelay(true).unwrap();
        let slowest = (0..30).map(|_| round_trip(&stream, b"ab")).max().unwrap();
        assert!(slowest >= Duration::from_millis(20), "{slowest:?}");
    }),
    ("slow-accept=300ms", |server| {
        let stream = server.connect();
        assert!(round_trip(&stream, b"hello") >= Duration::from_millis(250));
    }),
    ("eof-delay=400ms", |server| {
        let stream = server.connect();
        say(&stream, b"hello");
        hear(&stream, b"hello");
        let start = Instant::now();
        half_close(&stream);
        assert_eq!((&stream).read(&mut [0]).unwrap(), 0);
        assert!(start.elapsed() >= Duration::from_millis(400));
        hears(&stream, b"", End::Fin);
    }),
];
