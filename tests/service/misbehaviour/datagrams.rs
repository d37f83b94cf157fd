//! Datagrams that come back otherwise, or elsewhere.

use std::{
    net::UdpSocket,
    time::{Duration, Instant},
};

use super::{Row, SILENCE};
use crate::support::{PATIENCE, Server};

pub(super) const ROWS: &[Row] = &[
    ("udp-merge", |server| {
        assert!(together(server, &[b"abcd"]));
        answers(server, &[b"alone"], [b"alone"]);
    }),
    ("udp-reorder", |server| {
        assert!(together(server, &[b"cd", b"ab"]));
        answers(server, &[b"alone"], [b"alone"]);
    }),
    ("udp-truncate=3", |server| answers(server, &[b"hello", b"ab"], [&b"hel"[..], b"ab"])),
    ("udp-drop-large=3", |server| answers(server, &[b"hello", b"abc"], [b"abc"])),
    ("udp-wrong-source", |server| {
        let socket = client();
        socket.send_to(b"hello", server.address()).unwrap();
        let mut buffer = [0; 10];
        let (n, from) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..n], b"hello");
        assert_ne!(from, server.address());
        assert_eq!(from.ip(), server.address().ip());
    }),
    ("udp-drop-empty", |server| answers(server, &[b"", b"a", b""], [b"a"])),
    ("udp-duplicate", |server| answers(server, &[b"ab"], [b"ab", b"ab"])),
    ("udp-crossed", |server| {
        let (ours, theirs) = (client(), client());
        theirs.send_to(b"theirs", server.address()).unwrap();
        assert_eq!(received(&theirs, 1), [b"theirs"]);
        ours.send_to(b"ours", server.address()).unwrap();
        assert_eq!(received(&theirs, 1), [b"ours"]);
        theirs.send_to(b"again", server.address()).unwrap();
        assert_eq!(received(&ours, 1), [b"again"]);
        assert_eq!(received(&theirs, 0), Vec::<Vec<u8>>::new());
    }),
    ("udp-delay=200ms", |server| {
        let (socket, start) = (client(), Instant::now());
        socket.send_to(b"hello", server.address()).unwrap();
        let mut buffer = [0; 10];
        let n = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..n], b"hello");
        assert!(start.elapsed() >= Duration::from_millis(200));
    }),
    ("udp-corrupt", |server| answers(server, &[b"abc", b""], [&b"arc"[..], b""])),
    ("udp-loss=3", |server| {
        let sent: [&[u8]; 7] = [b"1", b"2", b"3", b"4", b"5", b"6", b"7"];
        answers(server, &sent, [b"1", b"2", b"4", b"5", b"7"]);
    }),
];

fn client() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// A new client is sent this for these datagrams, from where it has sent them to, and no more.
#[track_caller]
fn answers<const N: usize>(server: &Server, sent: &[&[u8]], expected: [&[u8]; N]) {
    assert_eq!(answered(server, sent, N), expected);
}

/// What a new client is sent for these datagrams; at least `n` answers are waited for.
fn answered(server: &Server, sent: &[&[u8]], n: usize) -> Vec<Vec<u8>> {
    let socket = client();
    socket.connect(server.address()).unwrap();
    for datagram in sent {
        socket.send(datagram).unwrap();
    }
    received(&socket, n)
}

/// Whether that holds for two datagrams, which a busy machine may keep from coming close together.
fn together(server: &Server, expected: &[&[u8]]) -> bool {
    (0..5).any(|_| answered(server, &[b"ab", b"cd"], expected.len()) == expected)
}

/// What comes: `n` datagrams are waited for, and others until nothing has come for a while.
fn received(socket: &UdpSocket, n: usize) -> Vec<Vec<u8>> {
    let mut buffer = [0; 2048];
    let mut all = Vec::new();
    loop {
        let patience = if all.len() < n { PATIENCE } else { SILENCE };
        socket.set_read_timeout(Some(patience)).unwrap();
        match socket.recv(&mut buffer) {
            Ok(n) => all.push(buffer[..n].to_vec()),
            Err(_) => return all,
        }
    }
}
