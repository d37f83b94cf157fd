//! Peers that break one promise, and what the checks say.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

use crate::check::{
    case::Outcome::{Fail, Warn},
    peer::{Peer, assert_good_passes, assert_judged, echo_changed},
};

#[test]
fn a_good_peer_passes() {
    assert_good_passes("stream");
}

#[test]
fn bytes_that_are_kept_back_or_lost_are_seen() {
    assert_judged([
        ("stream.trickle", Peer::each(|_, stream| in_pairs(stream)), Fail, "byte 0, sent alone"),
        (
            "stream.boundaries",
            changed(|bytes| bytes.truncate(bytes.len() - usize::from(bytes.len() == 4096))),
            Fail,
            "message of 4,096 bytes: 4,095 of 4,096 bytes came back, then nothing",
        ),
        ("stream.pipeline", slow_to_read(|bytes| bytes.truncate(64)), Fail, "lost"),
        ("stream.fragments", slow_to_read(|bytes| bytes.truncate(8000)), Fail, "with seed"),
    ]);
}

#[test]
fn answers_that_are_late_or_come_in_drops_are_seen() {
    let ms = Duration::from_millis;
    assert_judged([
        ("stream.prompt", late(move |_| ms(30)), Warn, "a message takes 3"),
        ("stream.steady", late(move |nth| ms(nth % 2 * 20)), Warn, "half of them over 2"),
        ("stream.pace", Peer::each(|_, stream| drip(stream)), Warn, "of 4,096 bytes came back in "),
        ("stream.two-write", late(move |_| ms(60)), Warn, "two small writes take"),
    ]);
}

#[test]
#[cfg(target_os = "linux")]
fn nagles_algorithm_is_seen_where_answers_and_where_buffers_are_cut() {
    assert_judged([
        ("stream.two-write", under_nagle(64 << 10, 2), Warn, "acknowledged"),
        ("stream.two-write", under_nagle(4 << 10, 1), Warn, "the end of 4,097 bytes"),
    ]);
}

/// Returns what `change` makes of each chunk.
fn changed(change: fn(&mut Vec<u8>)) -> Peer {
    Peer::each(move |_, mut stream| {
        echo_changed(&mut stream, |bytes| {
            change(bytes);
            true
        })
    })
}

/// The same, and so slowly that a chunk is of many writes.
fn slow_to_read(change: fn(&mut Vec<u8>)) -> Peer {
    Peer::each(move |_, mut stream| {
        echo_changed(&mut stream, |bytes| {
            thread::sleep(Duration::from_millis(1));
            change(bytes);
            true
        })
    })
}

/// Waits before it returns the nth chunk.
fn late(by: impl Fn(u64) -> Duration + Clone + Send + 'static) -> Peer {
    Peer::each(move |_, mut stream| {
        let mut nth = 0;
        echo_changed(&mut stream, |_| {
            thread::sleep(by(nth));
            nth += 1;
            true
        })
    })
}

/// Returns no byte without another.
fn in_pairs(mut stream: TcpStream) -> io::Result<()> {
    let mut pair = [0; 2];
    loop {
        stream.read_exact(&mut pair)?;
        stream.write_all(&pair)?;
    }
}

/// A byte a millisecond.
fn drip(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut byte = [0];
    loop {
        stream.read_exact(&mut byte)?;
        stream.write_all(&byte)?;
        thread::sleep(Duration::from_millis(1));
    }
}

/// Reads into a buffer of this size and returns it in so many writes.
#[cfg(target_os = "linux")]
fn under_nagle(size: usize, writes: usize) -> Peer {
    Peer::each(move |_, mut stream| {
        stream.set_nodelay(false)?;
        let mut buffer = vec![0; size];
        loop {
            let n = stream.read(&mut buffer)?;
            for piece in buffer[..n].chunks(n.div_ceil(writes).max(1)) {
                stream.write_all(piece)?;
            }
        }
    })
}
