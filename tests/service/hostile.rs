//! Peers that do everything wrong that TCP allows, and that the other connections must not notice.

use std::{
    io::{Read, Write},
    net::Shutdown,
};

use crate::{
    Engine,
    support::{
        client, noise,
        peers::{connect_with_small_buffer, reset, write_one_by_one},
    },
};

pub(crate) const TESTS: crate::Tests = tests![
    one_byte_segments_come_back_in_order,
    resets_hurt_nobody_else,
    a_peer_that_does_not_read_stops_only_itself,
];

fn one_byte_segments_come_back_in_order(engine: Engine) {
    let server = engine.start(&[]);
    let stream = server.connect();
    let sent = noise(2_000);
    write_one_by_one(&stream, &sent);
    stream.shutdown(Shutdown::Write).unwrap();
    let mut returned = Vec::new();
    (&stream).read_to_end(&mut returned).unwrap();
    assert!(returned == sent);
}

fn resets_hurt_nobody_else(engine: Engine) {
    let server = engine.start(&["-v"]);
    let mut neighbour = server.connect();
    for round in 0..50_u8 {
        let mut victim = server.connect();
        victim.write_all(&noise(100_000)[..usize::from(round) * 2_000]).unwrap();
        reset(victim);
        neighbour.write_all(&[round]).unwrap();
        let mut back = [0];
        neighbour.read_exact(&mut back).unwrap();
        assert_eq!(back, [round]);
    }
    drop(neighbour);
    assert!(server.stop().status.success());
}

fn a_peer_that_does_not_read_stops_only_itself(engine: Engine) {
    let server = engine.start(&[]);
    let stuck = connect_with_small_buffer(server.address());
    stuck.set_nonblocking(true).unwrap();
    // Until neither we nor the server can write any more.
    let mut taken = 0_usize;
    let piece = noise(64 << 10);
    while let Ok(n) = (&stuck).write(&piece) {
        taken += n;
        assert!(taken < 256 << 20, "the server buffers without a bound");
    }
    client(&server).assert().success();
    // Reading at last, it gets everything.
    stuck.set_nonblocking(false).unwrap();
    stuck.shutdown(Shutdown::Write).unwrap();
    let mut returned = 0;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match (&stuck).read(&mut buffer).unwrap() {
            0 => break,
            n => returned += n,
        }
    }
    assert_eq!(returned, taken);
}
