//! Limits: connections, descriptors, idle time.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::{
    Engine,
    support::{Ended, PATIENCE, client, noise, usage::cpu_ticks},
};

pub(crate) const TESTS: crate::Tests = tests![
    at_the_limit_others_wait_until_a_connection_ends,
    an_idle_connection_is_ended_and_told_so,
    zero_means_no_idle_timeout,
    once_serves_one_connection_and_ends,
    a_lack_of_descriptors_neither_ends_nor_spins_the_server,
];

fn echoes(mut stream: &TcpStream, byte: u8) -> bool {
    let mut back = [0];
    stream.write_all(&[byte]).is_ok() && stream.read_exact(&mut back).is_ok() && back == [byte]
}

fn at_the_limit_others_wait_until_a_connection_ends(engine: Engine) {
    let server = engine.start(&["--max-connections", "2"]);
    let (a, b) = (server.connect(), server.connect());
    assert!(echoes(&a, 1) && echoes(&b, 2));
    // The kernel accepts for the backlog; the server does not, so nothing comes back yet.
    let waiting = server.connect();
    waiting.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert!(!echoes(&waiting, 3));
    drop(a);
    waiting.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut back = [0];
    (&waiting).read_exact(&mut back).unwrap();
    assert_eq!(back, [3]);
    assert!(echoes(&b, 4), "the others never noticed");
}

fn an_idle_connection_is_ended_and_told_so(engine: Engine) {
    let server = engine.start(&["-v", "--idle-timeout", "400ms"]);
    let mut idle = server.connect();
    let start = Instant::now();
    assert!(echoes(&idle, 1));
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"");
    assert!(start.elapsed() >= Duration::from_millis(400));
    // We may still be sending: that is discarded, not answered with a reset.
    idle.write_all(&noise(100_000)).unwrap();
    drop(idle);
    let line = server.wait_for_log("disconnected");
    assert!(line.contains("why=\"idle\""), "{line}");
}

fn zero_means_no_idle_timeout(engine: Engine) {
    let server = engine.start(&["--idle-timeout", "0s"]);
    let stream = server.connect();
    assert!(echoes(&stream, 1) && echoes(&stream, 2));
}

fn once_serves_one_connection_and_ends(engine: Engine) {
    let server = engine.start(&["--once"]);
    client(&server).assert().success();
    let ended: Ended = server.wait();
    assert!(ended.status.success());
    assert_eq!(ended.count("connections"), 1);
}

fn a_lack_of_descriptors_neither_ends_nor_spins_the_server(engine: Engine) {
    let server = engine.start_after("ulimit -n 64", &["--max-connections", "1000"]);
    let mut all = vec![server.connect()];
    assert!(echoes(&all[0], 1));
    all.extend((1..100).map(|_| server.connect()));
    let log = server.wait_for_log("cannot accept; pausing, connections go on");
    assert!(log.contains("Too many open files"), "{log}");
    // The first was accepted before the descriptors ran out, the last was not.
    assert!(echoes(&all[0], 1), "existing connections go on");
    let before = cpu_ticks(server.pid());
    all[99].set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert!(!echoes(&all[99], 2));
    let spent = cpu_ticks(server.pid()) - before;
    assert!(spent < 10, "{spent} ticks of CPU in half a second of waiting: the server spins");
    // When connections end, who waited is served.
    let (last, others) = all.split_last().unwrap();
    for stream in others {
        stream.shutdown(std::net::Shutdown::Both).unwrap();
    }
    last.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut back = [0];
    let mut last = last;
    last.read_exact(&mut back).unwrap();
    assert_eq!(back, [2]);
}
