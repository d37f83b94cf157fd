//! Peers that break one promise, and what the checks say.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use crate::check::{
    case::{
        Outcome::{Fail, Warn},
        Seen,
    },
    family::flow,
    peer::{Peer, assert_good_passes, assert_judged, lossy},
    trips::Trips,
};

#[test]
fn a_good_peer_passes() {
    assert_good_passes("flow");
}

#[test]
fn who_makes_others_wait_or_loses_what_has_to_wait_is_seen() {
    assert_judged([
        ("flow.slow-reader", lossy(), Fail, "bytes came back, then nothing"),
        (
            "flow.stalled-peer",
            one_lock(),
            Fail,
            "beside a connection that does not receive: 0 of 64",
        ),
        ("flow.fairness", unfair(), Fail, "beside a connection that returned"),
    ]);
}

#[test]
fn a_bottomless_buffer_is_seen() {
    let peer = Peer::each(|_, mut stream| io::copy(&mut stream, &mut io::sink()).map(drop));

    let (outcome, seen) = peer.judged_by("flow.absorbed");
    assert_eq!(outcome, Warn, "{seen}");
    assert_eq!(seen, "it took 64 MiB and would take more");
}

#[test]
fn messages_are_late_when_they_take_many_times_as_long_and_long() {
    let trips = |ms| {
        let mut trips = Trips::default();
        trips.add(Duration::from_millis(ms));
        trips
    };
    for (alone, beside, is_late) in
        [(1, 50, false), (1, 52, true), (20, 190, false), (20, 210, true)]
    {
        let seen = flow::compared(&trips(alone), &trips(beside), "another");
        assert_eq!(matches!(seen, Seen::Odd(_)), is_late, "{alone} ms, {beside} ms: {seen:?}");
    }
}

/// Returns each chunk in its own way.
fn echo_by(
    mut stream: TcpStream,
    write: impl Fn(&mut TcpStream, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            n => write(&mut stream, &buffer[..n])?,
        }
    }
}

/// Holds a lock that all share while it writes.
fn one_lock() -> Peer {
    let lock = Arc::new(Mutex::new(()));
    Peer::each(move |_, stream| {
        echo_by(stream, |stream, bytes| {
            let _held = lock.lock();
            stream.write_all(bytes)
        })
    })
}

/// Whoever sends little waits while somebody sends much.
fn unfair() -> Peer {
    const MUCH: usize = 1 << 10;
    let last_of_much = Arc::new(Mutex::new(None::<Instant>));
    Peer::each(move |_, stream| {
        let is_busy = || {
            let last = *last_of_much.lock().unwrap();
            last.is_some_and(|last| last.elapsed() < Duration::from_secs(10))
        };
        echo_by(stream, |stream, bytes| {
            if bytes.len() > MUCH {
                *last_of_much.lock().unwrap() = Some(Instant::now());
            }
            while bytes.len() <= MUCH && is_busy() {
                thread::sleep(Duration::from_millis(1));
            }
            stream.write_all(bytes)
        })
    })
}
