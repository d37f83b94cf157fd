//! Endpoints to listen on, and why one cannot be had.

use std::{
    fmt, io,
    net::{SocketAddr, ToSocketAddrs},
    os::fd::{AsFd, BorrowedFd},
};

use echo_cli::Endpoint;
use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::{Domain, Socket, Type};
use thiserror::Error;

use crate::peer::Peer;

/// Connections that may wait to be accepted. The system may allow less (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// A bound, non-blocking listener.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Socket,
    address: SocketAddr,
}

/// An endpoint cannot be listened on.
#[derive(Debug, Error)]
#[error("cannot listen on {endpoint}")]
pub struct BindError {
    endpoint: Endpoint,
    source: io::Error,
}

impl BindError {
    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::AddrInUse => {
                "stop who listens there, or choose another port with --listen; port 0 takes a free one"
            }
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a higher one with --listen"
            }
            io::ErrorKind::AddrNotAvailable => {
                "this machine has no such address; use 127.0.0.1, or 0.0.0.0 for all it has"
            }
            _ => "check the address given with --listen",
        }
    }
}

impl Listener {
    /// Binds the endpoint once for each of `workers`, at the first address of its host that can be
    /// had. They share the address, not the backlog: the kernel deals newcomers out to them.
    pub(crate) fn bind(endpoint: &Endpoint, workers: usize) -> Result<Vec<Self>, BindError> {
        let refused = |source| BindError { endpoint: endpoint.clone(), source };
        let (host, port) = match endpoint {
            Endpoint::Tcp { host, port } => (host.as_str(), *port),
            _ => return Err(refused(io::ErrorKind::Unsupported.into())),
        };
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in (host, port).to_socket_addrs().map_err(refused)? {
            match bind_tcp(address, workers) {
                Ok(listeners) => return Ok(listeners),
                Err(error) => last = error,
            }
        }
        Err(refused(last))
    }

    /// Takes the next connection from the backlog: a non-blocking socket that sends at once.
    pub(crate) fn accept(&self) -> io::Result<(Socket, Peer)> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let (socket, address) = acceptfrom_with(&self.socket, flags)?;
        let address = address.ok_or(io::ErrorKind::ConnectionAborted)?;
        Ok((socket.into(), Peer::Inet(SocketAddr::try_from(address)?)))
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tcp://{}", self.address)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn bind_tcp(address: SocketAddr, workers: usize) -> io::Result<Vec<Listener>> {
    if workers < 2 {
        return Ok(vec![listen_tcp(address, false)?]);
    }
    if address.port() != 0 {
        // With SO_REUSEPORT we would share the port with whoever has it the same way, such as
        // another echo server: newcomers would be dealt out between us. Without, that is an error.
        listen_tcp(address, false)?;
    }
    let first = listen_tcp(address, true)?;
    let address = first.address; // with the port that the system has chosen
    let others = (1..workers).map(|_| listen_tcp(address, true));
    std::iter::once(Ok(first)).chain(others).collect()
}

fn listen_tcp(address: SocketAddr, shared: bool) -> io::Result<Listener> {
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
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::Unsupported)?;
    Ok(Listener { socket, address })
}
