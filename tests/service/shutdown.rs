//! SIGTERM and SIGINT: nothing received is lost, and every wait has an end.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    Engine,
    support::{PATIENCE, Server, noise},
};

pub(crate) const TESTS: crate::Tests = tests![
    sigterm_under_load_loses_nothing_that_was_accepted,
    who_waits_in_the_backlog_is_served_before_the_end,
    who_waits_at_the_connection_limit_is_served_before_the_end_too,
    a_second_signal_ends_a_server_that_nobody_listens_to,
    an_idle_connection_does_not_hold_up_the_end,
    a_peer_that_does_not_finish_is_cut_and_counted,
    a_second_signal_ends_at_once,
    a_server_without_connections_ends_at_once,
];

fn sigterm_under_load_loses_nothing_that_was_accepted(engine: Engine) {
    for round in 0..3 {
        // Peers that never pause are echoed for half of this, then told to end.
        let server = engine.start(&["--drain-timeout", "6s"]);
        const CLIENTS: usize = 16;
        let (busy, is_busy) = mpsc::channel();
        let returned: u64 = thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|i| {
                    let stream = server.connect();
                    let busy = busy.clone();
                    scope.spawn(move || load(stream, i, &busy))
                })
                .collect();
            for _ in 0..CLIENTS {
                is_busy.recv_timeout(PATIENCE).expect("every client is served");
            }
            server.signal(Signal::TERM);
            clients.into_iter().map(|client| client.join().unwrap()).sum()
        });
        let ended = server.wait();
        assert_eq!(ended.status.code(), Some(0), "round {round}: {}", ended.log);
        assert_eq!(ended.count("received"), ended.count("echoed"), "round {round}");
        assert_eq!(returned, ended.count("echoed"), "round {round}");
    }
}

/// Sends until the server says that it ends, checks every byte that comes back, and counts them.
fn load(stream: TcpStream, seed: usize, busy: &mpsc::Sender<()>) -> u64 {
    let sent = noise(64 << 10)[seed..].to_vec();
    thread::scope(|scope| {
        scope.spawn(|| {
            // Ends when the reading side below has seen the end and shuts the socket down.
            while (&stream).write_all(&sent).is_ok() {}
        });
        let mut returned = 0_u64;
        let mut buffer = vec![0; 10_000];
        loop {
            let n = (&stream).read(&mut buffer).expect("an orderly end, no reset");
            if n == 0 {
                let _ = stream.shutdown(Shutdown::Both);
                return returned;
            }
            let at = usize::try_from(returned % sent.len() as u64).expect("an index");
            let (first, second) = buffer[..n].split_at(n.min(sent.len() - at));
            let is_same = sent[at..].starts_with(first) && sent.starts_with(second);
            if !is_same {
                let _ = stream.shutdown(Shutdown::Both); // or the writing thread goes on for ever
                panic!("other bytes within {n} after {returned}");
            }
            if returned == 0 {
                busy.send(()).expect("the test waits");
            }
            returned += n as u64;
        }
    })
}

/// A connection that the server has accepted and answered on.
fn served(server: &Server) -> TcpStream {
    let mut stream = server.connect();
    stream.write_all(b"x").expect("the server takes it");
    stream.read_exact(&mut [0]).expect("and sends it back");
    stream
}

/// Connections, accepted or not, on which a message is on its way.
fn greeters(server: &Server, count: usize) -> Vec<TcpStream> {
    let streams: Vec<TcpStream> = (0..count).map(|_| server.connect()).collect();
    for mut stream in &streams {
        stream.write_all(b"hello").expect("the kernel takes it");
    }
    streams
}

/// Each gets its message back, then the end; in which order they are served is not promised.
fn assert_greeted(streams: Vec<TcpStream>) {
    thread::scope(|scope| {
        for mut stream in streams {
            scope.spawn(move || {
                let mut back = Vec::new();
                stream.read_to_end(&mut back).expect("an orderly end, no reset");
                assert_eq!(back, b"hello");
            });
        }
    });
}

fn who_waits_in_the_backlog_is_served_before_the_end(engine: Engine) {
    let server = engine.start(&["--drain-timeout", "20s"]);
    // While the server stands still, the kernel takes connections and messages for it.
    server.signal(Signal::STOP);
    let waiting = greeters(&server, 20);
    server.signal(Signal::TERM);
    server.signal(Signal::CONT);
    assert_greeted(waiting);
    let ended = server.wait();
    assert!(ended.status.success(), "{}", ended.log);
    assert_eq!(ended.count("connections"), 20);
}

fn who_waits_at_the_connection_limit_is_served_before_the_end_too(engine: Engine) {
    let server = engine.start(&["--drain-timeout", "20s", "--max-connections", "1"]);
    let first = served(&server);
    let waiting = greeters(&server, 3);
    server.signal(Signal::TERM);
    drop(first);
    assert_greeted(waiting);
    let ended = server.wait();
    assert!(ended.status.success(), "{}", ended.log);
    assert_eq!(ended.count("connections"), 4);
}

fn a_second_signal_ends_a_server_that_nobody_listens_to(engine: Engine) {
    let server = engine.start_after("exec 2>/dev/full", &["--drain-timeout", "1h"]);
    let mut stays = served(&server);
    server.signal(Signal::TERM);
    // The first signal is heard when the connection is told that the server ends.
    assert_eq!(stays.read(&mut [0]).unwrap(), 0);
    server.signal(Signal::TERM);
    assert_eq!(server.wait().status.code(), Some(1));
}

fn an_idle_connection_does_not_hold_up_the_end(engine: Engine) {
    let server = engine.start(&["--drain-timeout", "60s"]);
    let mut idle = served(&server);
    let start = Instant::now();
    server.signal(Signal::INT);
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).unwrap();
    drop(idle);
    assert!(server.wait().status.success());
    assert!(start.elapsed() < Duration::from_secs(30), "took {:?}", start.elapsed());
}

fn a_peer_that_does_not_finish_is_cut_and_counted(engine: Engine) {
    let server = engine.start(&["--drain-timeout", "200ms"]);
    let stays = served(&server);
    let ended = server.stop();
    drop(stays);
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(ended.count("cut"), 1, "{}", ended.log);
    assert_eq!((ended.count("received"), ended.count("echoed")), (1, 1), "{}", ended.log);
    assert!(ended.log.contains("did not finish within --drain-timeout"), "{}", ended.log);
}

fn a_second_signal_ends_at_once(engine: Engine) {
    let server = engine.start(&["--drain-timeout", "1h"]);
    let _stays = served(&server);
    server.signal(Signal::TERM);
    server.wait_for_log("a second signal ends at once");
    server.signal(Signal::INT);
    assert_eq!(server.wait().status.code(), Some(1));
}

fn a_server_without_connections_ends_at_once(engine: Engine) {
    let server = engine.start(&["--drain-timeout", "1h"]);
    assert!(server.stop().status.success());
}
