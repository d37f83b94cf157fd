//! What one connection does to another.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{End, Row, hear, hears, is_silent, returns, round_trip, say};
use crate::support::{Server, noise, peers::reset, usage::until};

pub(super) const ROWS: &[Row] = &[
    ("crosstalk", |server| {
        let (ours, theirs) = (server.connect(), server.connect());
        round_trip(&theirs, b"theirs");
        say(&ours, b"ours");
        hear(&ours, b"thei");
        drop(theirs);
        until("who has left is forgotten", || {
            say(&ours, b"ours");
            let mut back = [0; 4];
            (&ours).read_exact(&mut back).unwrap();
            back == *b"ours"
        });
    }),
    ("one-at-a-time", |server| {
        let first = server.connect();
        round_trip(&first, b"first");
        let second = server.connect();
        say(&second, b"second");
        hears(&second, b"", End::Silence);
        round_trip(&first, b"first");
        drop(first);
        hear(&second, b"second");
    }),
    ("stall-together", |server| {
        let (neighbour, stalls) = (server.connect(), server.connect());
        round_trip(&neighbour, b"before");
        fill(&stalls);
        say(&neighbour, b"now");
        hears(&neighbour, b"", End::Silence);
        drop(stalls);
        hear(&neighbour, b"now");
    }),
    ("unfair", |server| {
        // A hose that pauses by itself, on a busy machine, spares us.
        assert!((0..5).any(|_| waits_for_the_hose(server)));
        round_trip(&server.connect(), b"after");
    }),
    ("die-after-reset", |server| {
        let (neighbour, leaves) = (server.connect(), server.connect());
        round_trip(&neighbour, b"before");
        round_trip(&leaves, b"before");
        reset(leaves);
        until("nobody is answered", || {
            say(&neighbour, b"x");
            is_silent(&neighbour)
        });
        say(&neighbour, b"after");
        hears(&neighbour, b"", End::Silence);
        returns(server, b"newcomer", b"", End::Silence);
    }),
    ("leak=2", |server| {
        round_trip(&server.connect(), b"first");
        round_trip(&server.connect(), b"second");
        // One may slip in before it is noticed that the one before it has left.
        until("newcomers are not answered", || {
            let stream = server.connect();
            say(&stream, b"x");
            is_silent(&stream)
        });
    }),
    ("refuse-over=1", |server| {
        let first = server.connect();
        round_trip(&first, b"first");
        hears(&server.connect(), b"", End::Rst);
        round_trip(&first, b"first");
        drop(first);
        until("there is room again", || {
            let stream = server.connect();
            (&stream).write_all(b"x").is_ok() && (&stream).read(&mut [0]).is_ok()
        });
    }),
];

/// Sends without reading until nothing is taken any more.
fn fill(mut stream: &TcpStream) {
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let piece = noise(1 << 20);
    while stream.write_all(&piece).is_ok() {}
}

/// Whether somebody is answered only when another no longer pours.
fn waits_for_the_hose(server: &Server) -> bool {
    /// How long it pours.
    const POURS: Duration = Duration::from_millis(600);
    let (hose, waits) = (server.connect(), server.connect());
    round_trip(&waits, b"before");
    let pours = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| while (&hose).write_all(&[7; 256 << 10]).is_ok() {});
        scope.spawn(|| {
            let (mut buffer, mut start) = (vec![0; 256 << 10], None);
            while start.is_none_or(|start: Instant| start.elapsed() < POURS) {
                (&hose).read_exact(&mut buffer).unwrap();
                start.get_or_insert_with(Instant::now);
                pours.store(true, Ordering::Relaxed);
            }
            hose.shutdown(Shutdown::Both).unwrap();
        });
        until("the hose pours", || pours.load(Ordering::Relaxed));
        round_trip(&waits, b"now") >= POURS / 2
    })
}
