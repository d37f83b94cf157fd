//! Load, damage and interruptions on real sockets, with a ledger of every byte.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use socket2::SockRef;

use crate::{
    Engine,
    support::{
        PATIENCE, Server, noise,
        peers::{connect_with_small_buffer, exchange, reset},
        usage::{anonymous_memory, open_descriptors, until},
    },
};

pub(crate) const TESTS: crate::Tests = tests![
    tiny_buffers_cost_time_but_no_byte,
    a_thousand_peers_that_do_not_read_cost_bounded_memory,
    who_pours_and_does_not_read_costs_bounded_memory,
    frames_that_never_end_cost_what_was_received,
    peers_that_are_gone_before_they_are_accepted_cost_nothing,
    twenty_thousand_connections_leave_nothing_behind,
    sigterm_at_any_moment_loses_no_byte,
    a_firehose_starves_nobody,
    being_stopped_and_continued_loses_no_byte,
    who_has_sent_while_the_server_stood_still_is_not_idle,
    large_flows_that_stall_or_are_reset_cost_themselves_and_others_no_byte,
];

/// More than a server without connections has open, whatever its engine and its workers.
const IDLE_DESCRIPTORS: usize = 40;

fn ping(mut stream: &TcpStream, byte: u8) {
    let mut back = [0];
    stream.write_all(&[byte]).unwrap();
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back, [byte]);
}

fn tiny_buffers_cost_time_but_no_byte(engine: Engine) {
    let server = engine.start(&[]);
    let sent = noise(300_000);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let stream = connect_with_small_buffer(server.address());
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                SockRef::from(&stream).set_send_buffer_size(1).unwrap();
                assert!(exchange(&stream, &sent) == sent);
            });
        }
    });
}

fn a_thousand_peers_that_do_not_read_cost_bounded_memory(engine: Engine) {
    const PEERS: usize = 1_000;
    /// What one such connection may hold: its bytes up to the high-water mark, as many that came
    /// with those, and as much room as a vector grows by. A thread's stack comes on top.
    const EACH: u64 = 3 * (64 << 10);
    let server = engine.start(&["--max-connections", "1100"]);
    let neighbour = server.connect();
    ping(&neighbour, 0);
    let before = anonymous_memory(server.pid());
    let stuck: Vec<TcpStream> = (0..PEERS)
        .map(|_| {
            let stream = connect_with_small_buffer(server.address());
            SockRef::from(&stream).set_send_buffer_size(1).unwrap();
            stream.set_nonblocking(true).unwrap();
            stream
        })
        .collect();
    // Round after round until nobody can write any more: all buffers on the way are full.
    let piece = noise(16 << 10);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let taken = stuck.iter().filter(|stream| matches!((&**stream).write(&piece), Ok(1..)));
        if taken.count() == 0 {
            break;
        }
        assert!(Instant::now() < deadline, "the server buffers without a bound");
    }
    ping(&neighbour, 1);
    let cost = anonymous_memory(server.pid()).saturating_sub(before);
    assert!(cost < PEERS as u64 * EACH, "{cost} bytes for {PEERS} peers");
    drop(stuck);
    ping(&neighbour, 2);
}

fn who_pours_and_does_not_read_costs_bounded_memory(engine: Engine) {
    /// Its bytes up to the high-water mark, and what the engine has received by then.
    const MOST: u64 = 2 << 20;
    let server = engine.start(&[]);
    let neighbour = server.connect();
    ping(&neighbour, 0);
    let before = anonymous_memory(server.pid());
    let mut pours = server.connect();
    pours.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let piece = noise(1 << 20);
    let mut taken = 0;
    while let Ok(n) = pours.write(&piece) {
        taken += n;
        let cost = anonymous_memory(server.pid()).saturating_sub(before);
        assert!(cost < MOST, "{cost} bytes after {taken}");
    }
    ping(&neighbour, 1);
}

fn frames_that_never_end_cost_what_was_received(engine: Engine) {
    const PEERS: usize = 300;
    let server = engine.start(&["--framing", "u32"]);
    let before = anonymous_memory(server.pid());
    let mut slow: Vec<TcpStream> = (0..PEERS).map(|_| server.connect()).collect();
    for stream in &mut slow {
        stream.write_all(&(8_u32 << 20).to_be_bytes()).unwrap();
    }
    let mut neighbour = server.connect();
    let frame = b"\0\0\0\x05hello";
    for _ in 0..20 {
        for stream in &mut slow {
            stream.write_all(b"x").unwrap();
        }
        let mut back = [0; 9];
        neighbour.write_all(frame).unwrap();
        neighbour.read_exact(&mut back).unwrap();
        assert_eq!(&back, frame);
    }
    // One read's room each, and for threads a stack: not the 8 MiB that each has announced.
    let cost = anonymous_memory(server.pid()).saturating_sub(before);
    assert!(cost < PEERS as u64 * (128 << 10), "{cost} bytes for {PEERS} announced frames");
}

fn peers_that_are_gone_before_they_are_accepted_cost_nothing(engine: Engine) {
    let server = engine.start(&[]);
    ping(&server.connect(), 0);
    for _ in 0..5 {
        server.signal(Signal::STOP);
        for i in 0..40 {
            let mut stream = server.connect();
            if i % 2 == 0 {
                stream.write_all(b"not read any more").unwrap();
            }
            if i % 3 == 0 { drop(stream) } else { reset(stream) }
        }
        server.signal(Signal::CONT);
        ping(&server.connect(), 1);
    }
    until("no descriptor is left", || open_descriptors(server.pid()) < IDLE_DESCRIPTORS);
    let ended = server.stop();
    assert!(ended.status.success(), "{}", ended.log);
}

fn twenty_thousand_connections_leave_nothing_behind(engine: Engine) {
    const THREADS: usize = 4;
    const EACH: usize = 5_000;
    let server = engine.start(&[]);
    let churn = |count: usize| {
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for i in 0..count {
                        let mut stream = server.connect();
                        match i % 4 {
                            0 => {}
                            1 => stream.write_all(b"never read").unwrap(),
                            2 => ping(&stream, 2),
                            _ => {
                                ping(&stream, 3);
                                reset(stream);
                            }
                        }
                    }
                });
            }
        });
    };
    // What is allocated once, such as a pool, is allocated now.
    churn(EACH / 20);
    let idle = || open_descriptors(server.pid());
    let neighbour = server.connect();
    ping(&neighbour, 0);
    until("the first connections are gone", || idle() < IDLE_DESCRIPTORS);
    let (descriptors, memory) = (idle(), anonymous_memory(server.pid()));
    churn(EACH);
    until("the descriptors are back", || idle() <= descriptors);
    let grown = anonymous_memory(server.pid()).saturating_sub(memory);
    assert!(grown < 4 << 20, "{grown} bytes more after {} connections", THREADS * EACH);
    drop(neighbour);
    let ended = server.stop();
    assert!(ended.status.success(), "{}", ended.log);
    assert_eq!(ended.count("connections"), (THREADS * (EACH + EACH / 20) + 1) as u64);
}

fn sigterm_at_any_moment_loses_no_byte(engine: Engine) {
    const CLIENTS: usize = 8;
    const ROUNDS: u64 = 50;
    let sent = noise(1 << 20);
    for round in 0..ROUNDS {
        let server = engine.start(&["--drain-timeout", "30s"]);
        let under_way = AtomicBool::new(false);
        let returned = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                let stream = server.connect();
                let (sent, under_way, returned) = (&sent, &under_way, &returned);
                scope.spawn(move || {
                    ping(&stream, 1);
                    under_way.store(true, Ordering::Release);
                    let back = exchange(&stream, sent);
                    assert!(sent.starts_with(&back), "other bytes came back");
                    returned.fetch_add(1 + back.len() as u64, Ordering::Relaxed);
                });
            }
            until("a client is served", || under_way.load(Ordering::Acquire));
            // A different moment in each round, from the first bytes to the last.
            thread::sleep(Duration::from_micros(round * 200));
            server.signal(Signal::TERM);
        });
        let ended = server.wait();
        assert_eq!(ended.status.code(), Some(0), "round {round}: {}", ended.log);
        assert_eq!(ended.count("received"), ended.count("echoed"), "round {round}");
        assert_eq!(returned.into_inner(), ended.count("echoed"), "round {round}");
        assert_eq!(ended.count("connections"), CLIENTS as u64, "round {round}");
    }
}

fn a_firehose_starves_nobody(engine: Engine) {
    let server = engine.start_alone(&[]);
    let done = AtomicBool::new(false);
    let poured = AtomicU64::new(0);
    let hoses: Vec<TcpStream> = (0..2).map(|_| server.connect()).collect();
    thread::scope(|scope| {
        for mut hose in &hoses {
            scope.spawn(move || while hose.write_all(&[7; 64 << 10]).is_ok() {});
            let (done, poured) = (&done, &poured);
            scope.spawn(move || {
                let mut buffer = vec![0; 64 << 10];
                while !done.load(Ordering::Relaxed) {
                    let n = hose.read(&mut buffer).unwrap();
                    poured.fetch_add(n as u64, Ordering::Relaxed);
                }
                hose.shutdown(Shutdown::Both).unwrap();
            });
        }
        let pingers = (0..4).map(|_| {
            let stream = server.connect();
            scope.spawn(move || (0..=200).for_each(|byte| ping(&stream, byte)))
        });
        let pingers: Vec<_> = pingers.collect();
        for pinger in pingers {
            pinger.join().unwrap();
        }
        until("the hose pours", || poured.load(Ordering::Relaxed) > 1 << 20);
        done.store(true, Ordering::Relaxed);
    });
}

fn being_stopped_and_continued_loses_no_byte(engine: Engine) {
    let server = engine.start(&[]);
    let sent = noise(8 << 20);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for signal in [Signal::STOP, Signal::WINCH, Signal::CONT, Signal::URG] {
                    server.signal(signal);
                }
                thread::sleep(Duration::from_millis(1)); // or nothing would move at all
            }
        });
        let clients = (0..4).map(|_| scope.spawn(|| exchange(&server.connect(), &sent) == sent));
        let same: Vec<bool> =
            clients.collect::<Vec<_>>().into_iter().map(|c| c.join().unwrap_or(false)).collect();
        done.store(true, Ordering::Relaxed);
        assert_eq!(same, [true; 4]);
    });
    let ended = server.stop();
    assert!(ended.status.success(), "{}", ended.log);
    assert_eq!(ended.count("received"), ended.count("echoed"));
}

fn who_has_sent_while_the_server_stood_still_is_not_idle(engine: Engine) {
    /// Longer than it takes to connect, on a machine that is busy.
    const IDLE: Duration = Duration::from_secs(4);
    let server = engine.start(&["--idle-timeout", "4s"]);
    let streams: Vec<TcpStream> = (0..150).map(|_| server.connect()).collect();
    streams.iter().for_each(|stream| ping(stream, 1));
    server.signal(Signal::STOP);
    streams.iter().for_each(|mut stream| stream.write_all(&[2]).unwrap());
    thread::sleep(IDLE + IDLE / 8);
    server.signal(Signal::CONT);
    for mut stream in &streams {
        let mut back = [0];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(back, [2]);
    }
}

fn large_flows_that_stall_or_are_reset_cost_themselves_and_others_no_byte(engine: Engine) {
    const MESSAGE: usize = 64 << 10;
    let server = engine.start_alone(&[]);
    let sent = noise(8 << 20);
    thread::scope(|scope| {
        let steady = scope.spawn(|| exchange(&server.connect(), &sent) == sent);
        for turn in 0..6 {
            let stream = server.connect();
            let mut back = vec![0; MESSAGE];
            for message in sent.chunks(MESSAGE).take(20) {
                (&stream).write_all(message).unwrap();
                (&stream).read_exact(&mut back).unwrap();
                assert!(back == message);
            }
            let taken = fill(&stream, &sent, &server);
            if turn % 2 == 0 {
                reset(stream);
            } else {
                assert!(exchange(&stream, &[]) == sent[..taken]);
            }
        }
        assert!(steady.join().unwrap());
    });
    let ended = server.stop();
    assert!(ended.status.success(), "{}", ended.log);
}

/// Sends until nothing more is taken, as nothing is read; returns how much was.
fn fill(mut stream: &TcpStream, sent: &[u8], server: &Server) -> usize {
    let neighbour = server.connect();
    let (mut taken, mut refused) = (0, 0);
    stream.set_nonblocking(true).unwrap();
    while refused < 3 && taken < sent.len() {
        match stream.write(&sent[taken..]) {
            Ok(n) => (taken, refused) = (taken + n, 0),
            Err(_) => {
                refused += 1;
                ping(&neighbour, 0); // the service had its turn
            }
        }
    }
    stream.set_nonblocking(false).unwrap();
    taken
}
