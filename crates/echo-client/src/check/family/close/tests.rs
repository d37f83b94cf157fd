//! Peers that end connections as they should not.

use std::{
    io,
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::check::{
    case::Outcome::{Fail, Warn},
    peer::{Peer, assert_good_passes, assert_judged, close, echo, echo_changed, echo_up_to, reset},
};

#[test]
fn a_service_that_ends_connections_in_order_passes() {
    assert_good_passes("close");
}

#[test]
fn the_tail_that_is_lost_is_measured() {
    let half = |mut stream| {
        echo_up_to(&mut stream, 512 << 10)?;
        close(stream)
    };
    let first_fin_ends_it = |mut stream: TcpStream| {
        let mut held = Vec::new();
        echo_changed(&mut stream, |bytes| {
            held.append(bytes);
            true
        })
    };
    assert_judged([
        (
            "close.half-drain",
            Peer::each(move |_, stream| half(stream)),
            Fail,
            "1 MiB: 524,288 of 1,048,576 bytes came back, then FIN",
        ),
        (
            "close.half-drain",
            Peer::each(move |_, stream| first_fin_ends_it(stream)),
            Fail,
            "1 B: 0 of 1 bytes came back, then FIN",
        ),
    ]);
}

#[test]
fn an_end_that_is_late_or_never_comes_is_told_from_one_that_comes_at_once() {
    let late = |mut stream| {
        echo_up_to(&mut stream, usize::MAX)?;
        thread::sleep(Duration::from_millis(400));
        close(stream)
    };
    let never = |mut stream| {
        echo_up_to(&mut stream, usize::MAX)?;
        loop {
            thread::park();
        }
    };
    assert_judged([
        ("close.eof-delay", Peer::each(move |_, stream| late(stream)), Warn, "ms at best"),
        ("close.eof-delay", Peer::each(move |_, stream| never(stream)), Fail, "nothing for 2 s"),
        ("close.half-empty", Peer::each(move |_, stream| never(stream)), Fail, "nothing for 2 s"),
    ]);
}

#[test]
fn a_service_that_closes_first_is_told_by_the_message_that_it_missed() {
    let once = |mut stream| {
        echo_up_to(&mut stream, 64)?;
        close(stream)
    };
    assert_judged([(
        "close.not-first",
        Peer::each(move |_, stream| once(stream)),
        Fail,
        "message 2: 0 of 64 bytes came back, then FIN",
    )]);
}

#[test]
fn rst_in_place_of_fin_is_named() {
    let abrupt = |mut stream| {
        echo_up_to(&mut stream, usize::MAX)?;
        reset(stream)
    };
    assert_judged([
        ("close.no-rst", Peer::each(move |_, stream| abrupt(stream)), Fail, "then RST"),
        (
            "close.half-empty",
            Peer::each(move |_, stream| abrupt(stream)),
            Fail,
            "instead of FIN came RST",
        ),
    ]);
}

#[test]
fn a_service_that_a_reset_ends_is_caught() {
    let mortal = Peer::new(|listener| {
        let _ = listener.incoming().flatten().try_for_each(echo);
    });
    let words = "after a reset before a byte was sent: ";
    assert_judged([("close.reset", mortal, Fail, words)]);
}

#[test]
fn what_a_reset_does_to_its_neighbours_is_caught() {
    let was_reset = Arc::new(AtomicBool::new(false));
    let infected = Peer::each(move |_, mut stream| {
        let spoilt = echo_changed(&mut stream, |bytes| {
            if let (Some(byte), true) = (bytes.last_mut(), was_reset.load(Ordering::Relaxed)) {
                *byte ^= 1;
            }
            true
        });
        was_reset.fetch_or(spoilt.is_err(), Ordering::Relaxed);
        io::Result::Ok(())
    });
    assert_judged([("close.reset-isolated", infected, Fail, "a neighbour of reset ")]);
}
