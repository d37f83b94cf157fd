//! Limits: connections, descriptors, idle time.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, Signal, prlimit};
use socket2::{Domain, SockRef, Socket, Type};

use crate::{
    Engine,
    support::{
        Ended, PATIENCE, client, noise,
        peers::reset,
        place::{Place, assert_echoes},
        usage::{anonymous_memory, cpu_ticks, open_descriptors, until},
    },
};

pub(crate) const TESTS: crate::Tests = tests![
    at_the_limit_others_wait_until_a_connection_ends,
    those_over_the_limit_are_left_to_the_system,
    an_idle_connection_is_ended_and_told_so,
    zero_means_no_idle_timeout,
    once_serves_one_connection_and_ends,
    once_is_not_ended_by_a_peer_that_was_gone_while_it_waited,
    an_idle_connection_costs_little_memory,
    a_lack_of_descriptors_neither_ends_nor_spins_the_server,
    one_address_has_so_many_connections_and_no_more,
    a_peer_that_does_not_read_is_cut_and_nobody_else,
    a_peer_that_reads_little_at_a_time_is_not_cut,
];

pub(crate) const TESTS_OF_WORKERS: crate::Tests = tests![spinning_makes_nobody_late];

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

fn those_over_the_limit_are_left_to_the_system(engine: Engine) {
    const OVER: usize = 100;
    let server = engine.start_alone(&["--max-connections", "2"]);
    let all: Vec<TcpStream> = (0..2 + OVER).map(|_| server.connect()).collect();
    for mut stream in &all {
        stream.write_all(b"x").unwrap();
    }
    assert!(echoes(&all[0], b'x'));
    let descriptors = open_descriptors(server.pid());
    assert!(descriptors < OVER, "{descriptors} open, of {OVER} that are not served");
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

fn spinning_makes_nobody_late(engine: Engine) {
    let server = engine.start(&["--workers", "1", "--spin", "1h", "--idle-timeout", "300ms"]);
    let mut idle = server.connect();
    assert!(echoes(&idle, 1));
    assert_eq!(idle.read(&mut [0]).unwrap(), 0, "it is told when it was idle for too long");
    drop((idle, server));
    let server = engine.start(&["--workers", "1", "--spin", "1h", "--drain-timeout", "300ms"]);
    let stays = server.connect();
    assert!(echoes(&stays, 1));
    assert_eq!(server.stop().status.code(), Some(1), "the deadline comes in time");
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

fn once_is_not_ended_by_a_peer_that_was_gone_while_it_waited(engine: Engine) {
    let server = engine.start(&["--once"]);
    // While the server stands still, the kernel takes connections for it, and their ends.
    server.signal(Signal::STOP);
    reset(server.connect());
    let stays = server.connect();
    server.signal(Signal::CONT);
    assert!(echoes(&stays, 1));
    drop(stays);
    let ended = server.wait();
    assert!(ended.status.success(), "{}", ended.log);
    assert_eq!((ended.count("connections"), ended.count("echoed")), (1, 1), "{}", ended.log);
}

fn an_idle_connection_costs_little_memory(engine: Engine) {
    const PEERS: u64 = 300;
    /// A thread has a stack, and room for a small message.
    const EACH: u64 = 32 << 10;
    let server = engine.start(&[]);
    assert!(echoes(&server.connect(), 0));
    let before = anonymous_memory(server.pid());
    let idle: Vec<TcpStream> = (0..PEERS).map(|_| server.connect()).collect();
    assert!(idle.iter().all(|stream| echoes(stream, 1)));
    let cost = anonymous_memory(server.pid()).saturating_sub(before);
    assert!(cost < PEERS * EACH, "{cost} bytes for {PEERS} idle peers");
}

fn a_lack_of_descriptors_neither_ends_nor_spins_the_server(engine: Engine) {
    let server = engine.start_alone(&["--max-connections", "1000"]);
    // Told at the start, it would not take so many connections.
    let few = Rlimit { current: Some(64), maximum: Some(64) };
    prlimit(Some(server.pid()), Resource::Nofile, few).unwrap();
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
        stream.shutdown(Shutdown::Both).unwrap();
    }
    last.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut back = [0];
    let mut last = last;
    last.read_exact(&mut back).unwrap();
    assert_eq!(back, [2]);
}

/// A connection from another address of this machine.
fn connect_from(address: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((address, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn one_address_has_so_many_connections_and_no_more(engine: Engine) {
    let place = Place::new();
    let server = engine.start(&["-v", "--max-per-peer", "2", "--listen", &place.endpoint()]);
    let (a, b) = (server.connect(), server.connect());
    assert!(echoes(&a, 1) && echoes(&b, 2));
    for _ in 0..5 {
        let mut refused = server.connect();
        match refused.read(&mut [0]) {
            Ok(n) => assert_eq!(n, 0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
    server.wait_for_log("refused: --max-per-peer");
    assert!(echoes(&connect_from([127, 0, 0, 2], server.address()), 3), "another address");
    let local = [place.connect(), place.connect(), place.connect()];
    local.iter().for_each(assert_echoes);
    assert!(echoes(&a, 4) && echoes(&b, 5), "who was there before");
    drop(a);
    until("there is room again", || echoes(&server.connect(), 6));
    assert!(echoes(&b, 7));
}

fn a_peer_that_does_not_read_is_cut_and_nobody_else(engine: Engine) {
    let args = ["-v", "--stall-timeout", "400ms", "--idle-timeout", "0s"];
    let server = engine.start(&args);
    let neighbour = server.connect();
    assert!(echoes(&neighbour, 1));
    let mut stalled = server.connect();
    stalled.set_write_timeout(Some(PATIENCE)).unwrap();
    let start = Instant::now();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                assert!(echoes(&neighbour, 2), "the neighbour never notices");
            }
        });
        // Fills every buffer on the way; then nothing moves until we are cut.
        let endless = noise(1 << 20);
        let cut = (0..).find_map(|_| stalled.write_all(&endless).err());
        is_over.store(true, Ordering::Relaxed);
        let kind = cut.map(|e| e.kind());
        assert!(
            matches!(kind, Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)),
            "{kind:?}"
        );
    });
    assert!(start.elapsed() >= Duration::from_millis(400));
    let line = server.wait_for_log("disconnected");
    assert!(line.contains("the peer does not read"), "{line}");
    drop(neighbour);
    assert!(server.stop().status.success(), "who was cut before is no reason to fail");
}

/// A system tells that there is room again only when a good part of what it keeps was taken; the
/// peer has read for longer than the timeout by then.
fn a_peer_that_reads_little_at_a_time_is_not_cut(engine: Engine) {
    const STALL: Duration = Duration::from_millis(400);
    const PAUSE: Duration = Duration::from_millis(20);
    let server = engine.start(&["--stall-timeout", "400ms", "--idle-timeout", "0s"]);
    let stream = server.connect();
    SockRef::from(&stream).set_recv_buffer_size(64 << 10).unwrap();
    let sent = noise(24 << 20); // more than fits into all the buffers on the way
    let back = thread::scope(|scope| {
        scope.spawn(|| {
            (&stream).write_all(&sent).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        });
        let mut back = Vec::with_capacity(sent.len());
        let start = Instant::now();
        while start.elapsed() < 4 * STALL {
            let n = (&stream).take(16 << 10).read_to_end(&mut back).unwrap();
            assert_eq!(n, 16 << 10);
            thread::sleep(PAUSE);
        }
        (&stream).read_to_end(&mut back).unwrap();
        back
    });
    assert!(back == sent);
    assert!(server.stop().status.success());
}
