//! The ring over this kernel's io_uring, where there is one.

use std::{net::Shutdown, os::unix::net::UnixStream};

use super::*;

/// A ring, or nothing where the system lets us have none.
fn ring() -> Option<Uring> {
    let mut ring = Uring::new(false).ok()?;
    ring.enable().unwrap();
    Some(ring)
}

#[test]
fn what_was_not_answered_for_want_of_room_does_not_count_as_submitted() {
    let Some(mut ring) = ring() else { return };
    let (ours, peer) = UnixStream::pair().unwrap();
    peer.shutdown(Shutdown::Both).unwrap();
    let socket = OwnedFd::from(ours);
    // Each is answered at once, and there are more than the kernel can hand us at once.
    let requests = 3 * COMPLETIONS;
    for index in 0..requests {
        let key = Key { index, generation: 0 };
        ring.push(key, Request::Receive { socket: &socket, group: Group::Small });
    }
    let (mut batch, mut answers) = (Batch::default(), 0);
    while !ring.enter(Wait::No).unwrap() {
        ring.reap(&mut batch);
        answers += batch.connections.drain(..).count();
    }
    ring.reap(&mut batch);
    answers += batch.connections.len();
    assert_eq!(answers, requests as usize);
}
