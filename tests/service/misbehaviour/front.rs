//! What stands in front of the engine: faithful but for the fault, and not there without one.

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::{End, half_close, hear, returns, round_trip, say};
use crate::{
    Engine,
    support::{
        PATIENCE, Server, connect, noise,
        peers::reset,
        place::{Place, assert_echoes},
        server_path,
        usage::{anonymous_memory, open_descriptors},
    },
};

/// A fault that changes nothing.
const NOTHING: [&str; 2] = ["--fault", "delay=0s"];

pub(super) fn a_front_that_does_nothing_loses_no_byte_and_no_half_close(engine: Engine) {
    let server = engine.start(&NOTHING);
    let sent = noise(8 << 20);
    thread::scope(|scope| {
        for len in [1, 8 << 20, 300_000] {
            let (server, sent) = (&server, &sent[..len]);
            scope.spawn(move || {
                let stream = server.connect();
                scope_write(&stream, sent, || {
                    let mut back = Vec::new();
                    (&stream).read_to_end(&mut back).unwrap();
                    assert!(back == sent, "{} of {len} bytes", back.len());
                });
            });
        }
    });
    // All of it is on its way, and the half-close, before anything is read.
    let stream = server.connect();
    stream.set_nonblocking(true).unwrap();
    let mut taken = 0;
    while let Ok(n) = (&stream).write(&sent[taken..]) {
        taken += n;
        if taken == sent.len() {
            break;
        }
    }
    stream.set_nonblocking(false).unwrap();
    half_close(&stream);
    let mut back = Vec::new();
    (&stream).read_to_end(&mut back).unwrap();
    assert!(back == sent[..taken]);
    let ended = server.stop();
    assert!(ended.status.success(), "{}", ended.log);
    assert_eq!(ended.count("received"), ended.count("echoed"));
    assert_eq!(ended.count("connections"), 4);
}

/// Writes all and half-closes while something else is done.
fn scope_write(stream: &TcpStream, sent: &[u8], meanwhile: impl FnOnce()) {
    thread::scope(|scope| {
        scope.spawn(|| {
            say(stream, sent);
            half_close(stream);
        });
        meanwhile();
    });
}

pub(super) fn a_front_that_does_nothing_passes_resets_on(engine: Engine) {
    let args = ["-v", "--stall-timeout", "300ms", "--idle-timeout", "0s"];
    let server = engine.start(&[&args[..], &NOTHING].concat());
    let stream = server.connect();
    round_trip(&stream, b"hello");
    reset(stream);
    server.wait_for_log("disconnected");
    // And what the service does: who does not read is cut.
    let mut stalls = server.connect();
    let piece = noise(1 << 20);
    let error = (0..).find_map(|_| stalls.write_all(&piece).err()).unwrap();
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
    assert!(matches!(error.kind(), ConnectionReset | BrokenPipe), "{error}");
    let line = server.wait_for_log("disconnected");
    assert!(line.contains("the peer does not read"), "{line}");
}

pub(super) fn a_front_holds_bounded_memory_while_a_peer_does_not_read(engine: Engine) {
    /// What the front has room for, and the engine's own.
    const MOST: u64 = 4 << 20;
    let server = engine.start(&NOTHING);
    let mut neighbour = server.connect();
    round_trip(&neighbour, b"before");
    let before = anonymous_memory(server.pid());
    let mut pours = server.connect();
    pours.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let piece = noise(1 << 20);
    while pours.write(&piece).is_ok() {
        let cost = anonymous_memory(server.pid()).saturating_sub(before);
        assert!(cost < MOST, "{cost} bytes");
    }
    neighbour.write_all(b"after").unwrap();
    hear(&neighbour, b"after");
}

/// A peer that is gone is no longer seen once both sides have said what they will: the system asks.
pub(super) fn a_front_asks_whether_its_peers_are_still_there(engine: Engine) {
    let server = engine.start(&["--fault", "stall-after=1B"]);
    let stream = server.connect();
    say(&stream, b"hello");
    half_close(&stream);
    hear(&stream, b"h");
    let port = |address: SocketAddr| format!(":{:04X}", address.port());
    let ends = [stream.peer_addr(), stream.local_addr()].map(|address| port(address.unwrap()));
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let is_its = |fields: &Vec<&str>| {
        fields.len() > 5 && fields[1].ends_with(&ends[0]) && fields[2].ends_with(&ends[1])
    };
    let mut rows = table.lines().map(|row| row.split_whitespace().collect());
    let row = rows.find(is_its).expect("the server's end");
    assert!(row[5].starts_with("02:"), "no keep-alive timer: {row:?}");
}

pub(super) fn every_fault_ends_when_told_to(engine: Engine) {
    for fault in ["never-close", "stall-after=1B", "idle-drop=10ms", "delay=1h", "drip=1h"] {
        let args = ["--fault", fault, "--drain-timeout", "300ms"];
        let server = engine.start(&args);
        let stream = server.connect();
        say(&stream, b"hello");
        if fault == "never-close" {
            half_close(&stream);
        }
        thread::sleep(Duration::from_millis(50)); // the fault has happened, most likely
        let start = Instant::now();
        let ended = server.stop();
        assert_eq!(ended.status.code(), Some(1), "{fault}: {}", ended.log);
        assert_eq!(ended.count("cut"), 1, "{fault}: {}", ended.log);
        assert!(start.elapsed() < Duration::from_secs(20), "{fault}");
    }
    for fault in ["one-at-a-time", "die-after-reset", "leak=1", "slow-accept=1h", "refuse-over=1"] {
        let server = engine.start(&["--fault", fault, "--drain-timeout", "300ms"]);
        let streams = [server.connect(), server.connect(), server.connect()];
        streams.iter().for_each(|stream| say(stream, b"hello"));
        server.wait_for_log("misbehaving on purpose");
        server.signal(Signal::TERM);
        let code = server.wait().status.code();
        assert!(matches!(code, Some(0 | 1)), "{fault}: {code:?}");
    }
}

pub(super) fn once_means_one_connection_with_a_fault_too(engine: Engine) {
    for fault in ["crlf", "reset-after=1B", "close-after-first", "refuse-over=0"] {
        let server = engine.start(&["--once", "--fault", fault]);
        let mut stream = server.connect();
        let _ = stream.write_all(b"hello");
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
        drop(stream);
        let ended = server.wait();
        assert!(ended.status.success(), "{fault}: {}", ended.log);
    }
}

pub(super) fn several_faults_are_shown_at_once(engine: Engine) {
    let args = ["--fault", "crlf", "--fault", "delay=200ms", "--fault", "close-after=3B"];
    let server = engine.start(&args);
    let (stream, start) = (server.connect(), Instant::now());
    say(&stream, b"a\n\nb");
    let mut back = Vec::new();
    (&stream).read_to_end(&mut back).unwrap();
    // The last is the nearest to the engine.
    assert_eq!(back, b"a\r\n\r\n");
    assert!(start.elapsed() >= Duration::from_millis(200));
    let (mut stream, sent) = (server.connect(), noise(3));
    stream.write_all(&sent).unwrap();
    assert_eq!(stream.read(&mut [0; 10]).unwrap(), 3);
}

pub(super) fn a_fault_shows_on_unix_sockets_and_spares_other_kinds_of_endpoints(engine: Engine) {
    let place = Place::new();
    let endpoints = [&*place.endpoint(), "127.0.0.1:0", "udp://127.0.0.1:0"];
    let args = ["--engine", engine.name(), "--fault", "seven-bit"];
    let (server, [unix, tcp, udp]) = Server::start_on(endpoints, &args);
    assert_eq!(unix, place.endpoint());
    let mut stream = place.connect();
    stream.write_all(b"\xe1").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    assert_eq!(back, b"a");
    let stream = connect(&tcp);
    say(&stream, b"\xe1");
    hear(&stream, b"a");
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(crate::support::address(&udp)).unwrap();
    socket.send(b"\xe1").unwrap();
    let mut buffer = [0; 4];
    assert_eq!(socket.recv(&mut buffer).unwrap(), 1);
    assert_eq!(buffer[0], 0xe1);
    drop(server);
    // And the other way round.
    let args = ["--engine", engine.name(), "--fault", "udp-corrupt"];
    let (server, [tcp, _]) = Server::start_on(["127.0.0.1:0", "udp://127.0.0.1:0"], &args);
    assert_echoes(connect(&tcp));
    let ended = server.stop();
    assert!(ended.status.success(), "{}", ended.log);
}

pub(super) fn without_a_fault_nothing_stands_in_front(engine: Engine) {
    let threads = |server: &Server| {
        let path = format!("/proc/{}/task", server.pid().as_raw_nonzero());
        fs::read_dir(path).unwrap().count()
    };
    let (plain, faulty) = (engine.start_alone(&[]), engine.start_alone(&NOTHING));
    for server in [&plain, &faulty] {
        returns(server, b"x", b"x", End::Fin);
    }
    crate::support::usage::until("the connections are gone", || {
        threads(&plain) + 1 == threads(&faulty)
            && open_descriptors(plain.pid()) < open_descriptors(faulty.pid())
    });
}

pub(super) fn a_fault_that_cannot_be_shown_is_a_usage_error(engine: Engine) {
    let unix = Place::new().endpoint();
    let udp = "udp://127.0.0.1:0";
    for (args, words) in [
        (&["--fault", "udp-merge"][..], ["udp-merge shows on no endpoint", "udp://HOST:PORT"]),
        (&["-l", udp, "--fault", "delay"], ["delay=50ms shows on no endpoint", "tcp://HOST:PORT"]),
        (&["-l", &unix, "--fault", "reset-after"], ["reset-after=64KiB shows", "tcp://HOST:PORT"]),
        (&["--fault", "dely"], ["similar one is 'delay'", "--fault list explains all"]),
        (&["--fault", "delay=5"], ["not a duration", "the default of 'delay' is 50ms"]),
        (
            &["-l", udp, "--fault", "udp-merge", "--fault", "udp-loss"],
            ["one --fault for datagrams at a time", "leave out udp-loss=10"],
        ),
    ] {
        let output = run(&[&["--engine", engine.name()], args].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
        for word in words {
            assert!(said.contains(word), "no '{word}' in: {said}");
        }
    }
}

/// What `--fault list` says.
pub(super) fn list() -> String {
    let output = run(&["--fault", "list"]);
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn run(args: &[&str]) -> Output {
    Command::new(server_path()).args(args).stdin(Stdio::null()).output().unwrap()
}
