//! Endpoints to take connections from.
//!
//! ```text
//! Endpoint ──▶ tcp: a socket for each worker (SO_REUSEPORT) ──┐
//!          └─▶ unix: one socket, shared by the workers ───────┴──▶ Listener ──▶ Socket
//! ```

mod bind_error;
mod tcp;
mod unix;

use std::{
    fmt, io,
    net::{SocketAddr, ToSocketAddrs},
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
};

use echo_cli::Endpoint;
use rustix::net::{SocketFlags, accept_with};
use socket2::Socket;

pub use bind_error::BindError;

use unix::SocketFile;

/// Connections that may wait to be accepted. The system may allow less (`net.core.somaxconn`).
pub(crate) const BACKLOG: u16 = 4096;

/// A bound, non-blocking listener.
#[derive(Debug)]
pub(crate) struct Listener {
    /// Of a Unix socket. Before the socket, so that it goes first: no newcomer finds the way to a
    /// socket that is closed.
    file: Option<Arc<SocketFile>>,
    socket: Socket,
    /// As announced, with the port that the system has chosen.
    endpoint: String,
}

impl Listener {
    /// Binds the endpoint for each of `workers`, at the first address of its host that can be had.
    ///
    /// TCP listeners share the address, not the backlog: the kernel deals newcomers out to them.
    /// Those of a Unix socket share the backlog, too.
    pub(crate) fn bind(endpoint: &Endpoint, workers: usize) -> Result<Vec<Self>, BindError> {
        let bound = match endpoint {
            Endpoint::Tcp { host, port } => {
                at_first_address((host, *port), |address| tcp::bind(address, workers))
            }
            Endpoint::Unix { path } => unix::bind(path, workers),
            _ => Err(io::ErrorKind::Unsupported.into()),
        };
        bound.map_err(|source| BindError::new(endpoint, source))
    }

    /// Takes the next connection from the backlog: a non-blocking socket that sends at once.
    pub(crate) fn accept(&self) -> io::Result<Socket> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        Ok(accept_with(&self.socket, flags)?.into())
    }

    /// Takes the name away under which newcomers find a Unix socket, and leaves it to those who
    /// have found it: what is in the backlog is there to be accepted.
    pub(crate) fn retire(&self) {
        if let Some(file) = &self.file {
            file.remove();
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.endpoint)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Binds at the first address of the host where that succeeds.
pub(crate) fn at_first_address<T>(
    (host, port): (&str, u16),
    mut bind: impl FnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match bind(address) {
            Ok(bound) => return Ok(bound),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// An IP socket's own address, with the port that the system has chosen.
pub(crate) fn bound_to(socket: &Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?.as_socket();
    address.ok_or_else(|| io::ErrorKind::Unsupported.into())
}
