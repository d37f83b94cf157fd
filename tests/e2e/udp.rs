//! UDP echo: each datagram whole, to who sent it, from where it was sent to; and no loops.

use std::{
    io::{self, ErrorKind, Write},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket},
    time::{Duration, Instant},
};

use predicates::str::contains;
use rustix::process::{Signal, geteuid};
use socket2::{Domain, Protocol, Socket, Type};

use crate::support::{
    Ended, PATIENCE, Server, address, connect, noise, place::assert_echoes, server_path,
};

/// A server on `udp://HOST:0`, and its port.
fn serve(host: &str, args: &[&str]) -> (Server, u16) {
    let (server, [bound]) = Server::start_on([&format!("udp://{host}:0")], args);
    let port = address(&bound).port();
    (server, port)
}

/// A socket on `from` that talks to one address only: what comes from another is not received.
fn client(from: &str, to: impl Into<SocketAddr>) -> UdpSocket {
    let socket = UdpSocket::bind((from, 0)).expect("binds");
    socket.connect(to.into()).expect("has a way there");
    socket.set_read_timeout(Some(PATIENCE)).expect("takes a timeout");
    socket
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[track_caller]
fn assert_returns(socket: &UdpSocket, sent: &[u8]) {
    socket.send(sent).expect("is sent");
    let mut back = vec![0; 1 << 16];
    let n = socket.recv(&mut back).expect("an answer");
    assert!(back[..n] == *sent, "{n} bytes for {}", sent.len());
}

/// How many answers come until none has come for a while.
fn answers(socket: &UdpSocket) -> usize {
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("takes a timeout");
    let answers = (0..).take_while(|_| socket.recv(&mut [0; 100]).is_ok()).count();
    socket.set_read_timeout(Some(PATIENCE)).expect("takes a timeout");
    answers
}

/// Whether we may do what only root may; says so where no test harness hides it.
fn is_root(what: &str) -> bool {
    let is_root = geteuid().is_root();
    if !is_root {
        let _ = writeln!(io::stderr(), "LEFT OUT, needs root: {what}");
    }
    is_root
}

fn stop(server: Server) -> Ended {
    let ended = server.stop();
    assert!(ended.status.success(), "{}", ended.log);
    ended
}

#[test]
fn datagrams_of_every_size_come_back_whole() {
    for (host, from) in [("127.0.0.1", "127.0.0.1"), ("[::1]", "::1")] {
        let (server, _) = serve(host, &[]);
        let socket = client(from, address(&server.endpoint));
        let noise = noise(65_507);
        for size in [0, 1, 508, 1472, 1473, 9000, 65_506, 65_507] {
            assert_returns(&socket, &noise[..size]);
        }
        let ended = stop(server);
        assert_eq!((ended.count("datagrams"), ended.count("returned")), (8, 8), "{}", ended.log);
    }
}

#[test]
fn many_datagrams_at_once_come_back_each_to_its_sender() {
    let (server, port) = serve("127.0.0.1", &[]);
    let clients: Vec<UdpSocket> = (0..20).map(|_| client("127.0.0.1", local(port))).collect();
    server.signal(Signal::STOP); // so that they wait in one batch
    for (i, client) in (0_u8..).zip(&clients) {
        client.send(&vec![i; usize::from(i)]).unwrap();
    }
    server.signal(Signal::CONT);
    for (i, client) in (0_u8..).zip(&clients) {
        let mut back = [0; 100];
        let n = client.recv(&mut back).unwrap();
        assert_eq!(back[..n], vec![i; usize::from(i)]);
    }
}

#[test]
fn the_answer_comes_from_the_address_that_was_asked() {
    let (_server, port) = serve("0.0.0.0", &[]);
    let clients = [1, 2, 3, 2].map(|i| client("127.0.0.1", ([127, 0, 0, i], port)));
    for client in &clients {
        assert_returns(client, b"hello");
    }
    // In one batch, too.
    for client in &clients {
        client.send(b"hello").unwrap();
    }
    for client in &clients {
        assert_eq!(client.recv(&mut [0; 10]).unwrap(), 5);
    }
}

#[test]
fn every_address_means_ipv4_and_ipv6_for_datagrams_too() {
    let (server, port) = serve("[::]", &[]);
    for round in 0..3 {
        assert_returns(&client("127.0.0.1", ([127, 0, 0, 2], port)), &[round]);
        assert_returns(&client("::1", ("::1".parse::<std::net::Ipv6Addr>().unwrap(), port)), &[]);
    }
    assert_eq!(stop(server).count("returned"), 6);
}

#[test]
fn a_source_over_its_rate_is_not_answered_and_others_are() {
    let (server, port) = serve("0.0.0.0", &["--udp-rate", "50"]);
    let (greedy, modest) = (client("127.0.0.1", local(port)), client("127.0.0.2", local(port)));
    let start = Instant::now();
    for _ in 0..400 {
        greedy.send(b"x").unwrap();
    }
    for _ in 0..10 {
        assert_returns(&modest, b"hello");
    }
    let answered = answers(&greedy);
    let most = 50 + 50 * start.elapsed().as_millis() / 1000 + 1;
    assert!((50..=usize::try_from(most).unwrap()).contains(&answered), "{answered} of {most}");
    let ended = stop(server);
    assert!(ended.log.contains("over --udp-rate"), "{}", ended.log);
    assert_eq!(ended.count("datagrams"), 410);
    assert_eq!(ended.count("source_rate"), 400 - u64::try_from(answered).unwrap());
}

#[test]
fn all_together_are_not_answered_over_the_total_rate() {
    let (server, port) = serve("0.0.0.0", &["--udp-rate", "0", "--udp-rate-total", "20"]);
    let clients = [1, 2, 3].map(|i| client(&format!("127.0.0.{i}"), local(port)));
    let start = Instant::now();
    for client in clients.iter().cycle().take(300) {
        client.send(b"x").unwrap();
    }
    let answered: usize = clients.iter().map(answers).sum();
    let most = 20 + 20 * start.elapsed().as_millis() / 1000 + 1;
    assert!((20..=usize::try_from(most).unwrap()).contains(&answered), "{answered} of {most}");
    assert_eq!(stop(server).count("total_rate"), 300 - u64::try_from(answered).unwrap());
}

#[test]
fn broadcasts_are_not_answered() {
    for host in ["0.0.0.0", "[::]"] {
        let (server, port) = serve(host, &[]);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_broadcast(true).unwrap();
        socket.send_to(b"all of you", ("127.255.255.255", port)).unwrap();
        server.wait_for_log("broadcast or multicast");
        socket.connect(local(port)).unwrap();
        assert_returns(&socket, b"you alone");
        let ended = stop(server);
        assert_eq!((ended.count("not_unicast"), ended.count("returned")), (1, 1), "{}", ended.log);
    }
}

#[test]
fn services_on_low_ports_are_not_answered() {
    if !is_root("binding a source port below 1024") {
        return;
    }
    let (server, port) = serve("127.0.0.1", &[]);
    let mut low = (900..1024).filter_map(|low| UdpSocket::bind(("127.0.0.1", low)).ok());
    let service = low.next().expect("a free low port");
    service.send_to(b"loop", local(port)).unwrap();
    server.wait_for_log("its source port is that of a service");
    assert_returns(&client("127.0.0.1", local(port)), b"hello");
    let ended = stop(server);
    assert_eq!((ended.count("service_port"), ended.count("returned")), (1, 1), "{}", ended.log);
}

/// Sends a datagram that claims to come from `from`: an IPv4 header and a UDP header by hand.
fn send_spoofed(from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) {
    let raw = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(255))).expect("as root");
    let length = |of: usize| u16::try_from(of).expect("short").to_be_bytes();
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0]; // the system fills in the sums
    packet.extend(from.ip().octets());
    packet.extend(to.ip().octets());
    packet.extend(from.port().to_be_bytes());
    packet.extend(to.port().to_be_bytes());
    packet.extend(length(8 + payload.len()));
    packet.extend([0, 0]); // no checksum
    packet.extend(payload);
    let total = length(packet.len());
    packet[2..4].copy_from_slice(&total);
    raw.send_to(&packet, &to.into()).expect("is sent");
}

#[test]
fn a_spoofed_datagram_cannot_loop_us_with_ourselves() {
    if !is_root("writing a false source address") {
        return;
    }
    let endpoints = ["udp://0.0.0.0:0", "udp://127.0.0.1:0"];
    let (server, [every, one]) = Server::start_on(endpoints, &[]);
    let (every, one) = (address(&every).port(), address(&one).port());
    let at = |host: u8, port| SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, host), port);
    for (from, to) in [
        (at(1, every), at(1, every)), // to itself
        (at(1, one), at(1, one)),
        (at(2, every), at(3, every)), // by other addresses of this machine
        (at(1, one), at(1, every)),   // to the other endpoint, and back
        (at(5, every), at(1, one)),
    ] {
        send_spoofed(from, to, b"loop");
    }
    // A spoofed source that is not ours is answered: the forging itself works.
    let client = client("127.0.0.1", local(every));
    let SocketAddr::V4(from) = client.local_addr().unwrap() else { panic!("IPv4") };
    send_spoofed(from, at(1, every), b"hello");
    assert_eq!(client.recv(&mut [0; 10]).unwrap(), 5);
    assert_eq!(answers(&client), 0);
    let ended = stop(server);
    assert_eq!(ended.count("ourselves"), 5, "{}", ended.log);
    assert_eq!(ended.count("datagrams"), 6, "none goes round: {}", ended.log);
}

#[test]
fn who_is_gone_when_the_answer_comes_is_nobodys_loss() {
    let (server, port) = serve("127.0.0.1", &[]);
    for _ in 0..20 {
        // The system answers our answer with "port unreachable".
        client("127.0.0.1", local(port)).send(b"bye").unwrap();
        assert_returns(&client("127.0.0.1", local(port)), b"hello");
    }
    assert_eq!(stop(server).count("datagrams"), 40);
}

#[test]
fn what_waits_when_the_server_is_to_end_is_answered() {
    let (server, port) = serve("127.0.0.1", &[]);
    let client = client("127.0.0.1", local(port));
    server.signal(Signal::STOP);
    for _ in 0..100 {
        client.send(b"x").unwrap();
    }
    server.signal(Signal::TERM);
    server.signal(Signal::CONT);
    for i in 0..100 {
        client.recv(&mut [0; 10]).unwrap_or_else(|e| panic!("answer {i}: {e}"));
    }
    let ended = server.wait();
    assert!(ended.status.success());
    assert_eq!(ended.count("returned"), 100);
}

#[test]
fn a_flood_does_not_keep_the_server_from_ending() {
    let (server, port) = serve("127.0.0.1", &["--udp-rate", "0", "--udp-rate-total", "0"]);
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let client = client("127.0.0.1", local(port));
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    if client
                        .send(&[0; 64])
                        .is_err_and(|e| e.kind() == ErrorKind::ConnectionRefused)
                    {
                        break; // the server is gone
                    }
                }
            });
        }
        assert_returns_under_load(port);
        let ended = server.stop();
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(ended.status.success(), "{}", ended.log);
    });
}

/// Datagrams may be lost in a flood; not all of them.
fn assert_returns_under_load(port: u16) {
    let client = client("127.0.0.1", local(port));
    client.set_read_timeout(Some(Duration::from_millis(50))).expect("takes a timeout");
    let start = Instant::now();
    loop {
        client.send(b"hello").expect("is sent");
        if client.recv(&mut [0; 10]).is_ok() {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "no answer in a flood");
    }
}

#[test]
fn datagrams_and_connections_are_served_side_by_side() {
    let (server, [tcp, udp]) = Server::start_on(["127.0.0.1:0", "udp://127.0.0.1:0"], &[]);
    assert_returns(&client("127.0.0.1", address(&udp)), b"hello");
    assert_echoes(connect(&tcp));
    let ended = stop(server);
    assert_eq!((ended.count("connections"), ended.count("datagrams")), (1, 1), "{}", ended.log);
}

#[test]
fn the_one_connection_of_once_ends_the_datagrams_too() {
    let (server, [tcp, udp]) =
        Server::start_on(["127.0.0.1:0", "udp://127.0.0.1:0"], &["--once", "--framing", "line"]);
    assert_returns(&client("127.0.0.1", address(&udp)), b"not a line");
    assert_echoes_line(&tcp);
    assert!(server.wait().status.success());
}

fn assert_echoes_line(endpoint: &str) {
    use std::io::Read;

    let mut stream = connect(endpoint);
    stream.write_all(b"hello\n").expect("takes bytes");
    stream.read_exact(&mut [0; 6]).expect("returns them");
}

#[test]
fn flags_that_make_no_sense_with_datagrams_are_refused_with_a_fix() {
    for (args, says) in [
        (&["-l", "udp://127.0.0.1:0", "--once"][..], "--once is for connections"),
        (&["-l", "udp://127.0.0.1:0", "--framing", "line"], "--framing is for connections"),
        (&["-l", "127.0.0.1:0", "--udp-rate", "5"], "--udp-rate is for UDP"),
        (&["-l", "127.0.0.1:0", "--udp-rate-total", "5"], "--udp-rate-total is for UDP"),
        (&["-l", "udp://239.1.2.3:0"], "more than one machine"),
    ] {
        let mut command = assert_cmd::Command::new(server_path());
        command.args(args).timeout(PATIENCE).assert().code(2).stdout("").stderr(contains(says));
    }
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("udp://{}", taken.local_addr().unwrap());
    let mut command = assert_cmd::Command::new(server_path());
    let refused = command.args(["-l", &endpoint]).timeout(PATIENCE).assert();
    refused.code(2).stderr(contains("choose another port"));
}
