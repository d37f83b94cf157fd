//! TCP: a listener for each worker.

use std::{io, iter, net::SocketAddr};

use socket2::{Domain, Socket, Type};

use super::{BACKLOG, Listener, bound_to};

pub(super) fn bind(address: SocketAddr, workers: usize) -> io::Result<Vec<Listener>> {
    if workers < 2 {
        return Ok(vec![listen(address, false)?.0]);
    }
    if address.port() != 0 {
        // With SO_REUSEPORT we would share the port with whoever has it the same way, such as
        // another echo server: newcomers would be dealt out between us. Without, that is an error.
        listen(address, false)?;
    }
    let (first, address) = listen(address, true)?; // with the port that the system has chosen
    let others = (1..workers).map(|_| listen(address, true).map(|(listener, _)| listener));
    iter::once(Ok(first)).chain(others).collect()
}

fn listen(address: SocketAddr, shared: bool) -> io::Result<(Listener, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        // `[::]` means every address, whatever the system's default is.
        socket.set_only_v6(false)?;
    }
    // Connections of an earlier run that are in TIME_WAIT shall not keep us from the port.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    // An echo that waits for more to send only adds delay. Accepted sockets inherit this.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG.into())?;
    socket.set_nonblocking(true)?;
    let address = bound_to(&socket)?;
    let endpoint = format!("tcp://{address}");
    Ok((Listener { file: None, socket, endpoint }, address))
}
