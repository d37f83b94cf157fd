//! Peers that serve one connection, but not many, or not for long.

use std::{
    io,
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use super::idle_limit_of;
use crate::check::{
    case::{
        Broken,
        Outcome::{Fail, Warn},
        Seen,
    },
    peer::{Peer, assert_good_passes, assert_judged, close, echo, echo_changed, reset},
};

/// How long the peers here let a connection be idle.
const PATIENCE: Duration = Duration::from_millis(400);

#[test]
fn a_service_that_serves_them_all_passes() {
    assert_good_passes("conn");
}

#[test]
fn a_service_that_looks_late_at_a_connection_is_warned_of() {
    let late = |stream| {
        thread::sleep(Duration::from_millis(300));
        echo(stream)
    };
    let peer = Peer::each(move |_, stream| late(stream));
    assert_judged([("conn.accept", peer, Warn, "at best")]);
}

#[test]
fn a_service_that_ends_after_some_connections_is_caught() {
    let mortal = Peer::new(|listener| {
        listener.incoming().flatten().take(5).for_each(|stream| drop(echo(stream)));
    });
    assert_judged([("conn.serial", mortal, Fail, "connection 6: ")]);
}

#[test]
fn bytes_of_another_connection_are_named() {
    let last = Arc::new(Mutex::new(Vec::new()));
    let mixed = Peer::each(move |_, mut stream| {
        echo_changed(&mut stream, |bytes| {
            let mut last = last.lock().unwrap();
            let theirs = std::mem::replace(&mut *last, bytes.clone());
            bytes.iter_mut().zip(theirs).for_each(|(byte, other)| *byte = other);
            true
        })
    });
    assert_judged([("conn.crosstalk", mixed, Fail, "connection ")]);
}

#[test]
fn how_many_are_served_at_once_is_counted() {
    let one = Peer::new(|listener| {
        listener.incoming().flatten().for_each(|stream| drop(echo(stream)));
    });
    let open = Arc::new(AtomicUsize::new(0));
    let some = Peer::each(move |_, stream| {
        if open.fetch_add(1, Ordering::Relaxed) >= 64 {
            return reset(stream);
        }
        echo(stream)
    });
    assert_judged([
        ("conn.burst", one, Fail, "1 of 256 were served"),
        ("conn.burst", some, Warn, "64 of 256 were served"),
    ]);
}

#[test]
fn connections_that_are_not_given_back_are_missed_in_the_end() {
    // How many there are in all is a matter of the machine; these are few on any.
    let leaky = Peer::new(|listener| {
        let mut last = None;
        for (number, stream) in listener.incoming().flatten().enumerate() {
            if number < 10 {
                thread::spawn(|| echo(stream));
            } else {
                last.replace(stream);
            }
        }
    });
    assert_judged([("conn.churn", leaky, Fail, " connections: 0 of 64 bytes came back")]);
}

/// Returns everything until nothing has come for a while.
fn echo_while_busy(stream: &mut TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    match echo_changed(stream, |_| true) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.set_read_timeout(None),
        ended => ended,
    }
}

fn closing() -> Peer {
    Peer::each(|_, mut stream| {
        echo_while_busy(&mut stream)?;
        close(stream)
    })
}

#[test]
fn a_connection_that_does_not_survive_a_pause_is_caught() {
    let words = "after 1.5 s of silence: 0 of 64 bytes came back, then FIN";
    assert_judged([("conn.idle", closing(), Fail, words)]);
}

#[test]
fn the_idle_limit_is_told_and_how_the_end_looks() {
    let limits = [1, 2, 4].map(|n| PATIENCE * n / 2);
    let seen_of = |peer: Peer| peer.seen_by(|trial| idle_limit_of(trial, &limits));

    let seen = seen_of(closing());
    assert!(
        matches!(&seen, Ok(Seen::Odd(words)) if words.starts_with("closed with FIN")),
        "{seen:?}"
    );

    let seen = seen_of(Peer::each(|_, mut stream| {
        echo_while_busy(&mut stream)?;
        reset(stream)
    }));
    assert!(
        matches!(&seen, Err(Broken::Promise(words)) if words.starts_with("RST came")),
        "{seen:?}"
    );

    let seen = seen_of(Peer::each(|_, mut stream| {
        echo_while_busy(&mut stream)?;
        io::copy(&mut stream, &mut io::sink()).map(drop)
    }));
    let is_silence = |words: &str| words.starts_with("gone without a word between");
    assert!(matches!(&seen, Err(Broken::Promise(words)) if is_silence(words)), "{seen:?}");

    let seen = seen_of(Peer::good());
    assert!(matches!(&seen, Ok(Seen::Kept(words)) if words.starts_with("still there")), "{seen:?}");
}
