//! Endpoints to listen on, and why one cannot be had.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
};

use echo_cli::Endpoint;
use socket2::{Domain, Socket, Type};
use thiserror::Error;

/// Connections that may wait to be accepted. The system may allow less (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// A bound, non-blocking listener.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) tcp: TcpListener,
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
    /// Binds the first address of the endpoint's host that can be had.
    pub(crate) fn bind(endpoint: &Endpoint) -> Result<Self, BindError> {
        let refused = |source| BindError { endpoint: endpoint.clone(), source };
        let (host, port) = match endpoint {
            Endpoint::Tcp { host, port } => (host.as_str(), *port),
            _ => return Err(refused(io::ErrorKind::Unsupported.into())),
        };
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in (host, port).to_socket_addrs().map_err(refused)? {
            match bind_tcp(address) {
                Ok(listener) => return Ok(listener),
                Err(error) => last = error,
            }
        }
        Err(refused(last))
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tcp://{}", self.address)
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<Listener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        // `[::]` means every address, whatever the system's default is.
        socket.set_only_v6(false)?;
    }
    // Connections of an earlier run that are in TIME_WAIT shall not keep us from the port.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let tcp = TcpListener::from(socket);
    let address = tcp.local_addr()?;
    Ok(Listener { tcp, address })
}
