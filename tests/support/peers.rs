//! Peers of every kind, for the other side to cope with.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use socket2::{Domain, SockRef, Socket, Type};

/// Sends byte by byte, each in a segment of its own.
pub(crate) fn write_one_by_one(mut stream: &TcpStream, bytes: &[u8]) {
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

/// Sends `sent` and half-closes while it reads; returns what came back until the end.
pub(crate) fn exchange(stream: &TcpStream, sent: &[u8]) -> Vec<u8> {
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut stream = stream;
            // A service that ends closes its side; what it has not taken is not in the ledger.
            if stream.write_all(sent).is_ok() {
                let _ = stream.shutdown(Shutdown::Write);
            }
        });
        let mut returned = Vec::new();
        let mut stream = stream;
        stream.read_to_end(&mut returned).expect("an orderly end, no reset");
        let _ = stream.shutdown(Shutdown::Both); // a writer that is not done ends, too
        returned
    })
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
