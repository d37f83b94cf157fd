//! Peers that do everything wrong that TCP allows, and that the other connections must not notice.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use socket2::{Domain, SockRef, Socket, Type};

use crate::support::{Server, client, noise};

/// Sends byte by byte, each in a segment of its own.
fn write_one_by_one(mut stream: &TcpStream, bytes: &[u8]) {
    stream.set_nodelay(true).expect("takes the option");
    for byte in bytes {
        stream.write_all(&[*byte]).expect("the server reads");
    }
}

/// Ends with RST instead of FIN, whatever is in flight.
pub(crate) fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("takes the option");
    drop(stream);
}

/// A connection with the smallest receive buffer the system gives.
pub(crate) fn connect_with_small_buffer(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(1).expect("takes the option");
    socket.connect(&address.into()).expect("connects");
    socket.into()
}

/// A server for one connection that treats what it receives as `answer` says.
pub(crate) fn serve_once(answer: impl FnOnce(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let target = listener.local_addr().expect("bound").to_string();
    thread::spawn(move || answer(listener.accept().expect("accepts").0));
    target
}

#[test]
fn one_byte_segments_come_back_in_order() {
    let server = Server::start(&[]);
    let stream = server.connect();
    let sent = noise(2_000);
    write_one_by_one(&stream, &sent);
    stream.shutdown(Shutdown::Write).unwrap();
    let mut returned = Vec::new();
    (&stream).read_to_end(&mut returned).unwrap();
    assert!(returned == sent);
}

#[test]
fn resets_hurt_nobody_else() {
    let server = Server::start(&["-v"]);
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

#[test]
fn a_peer_that_does_not_read_stops_only_itself() {
    let server = Server::start(&[]);
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
