//! Connecting to an echo service.

use std::{
    io,
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

use echo_cli::Endpoint;
use thiserror::Error;
use tracing::debug;

/// The service cannot be reached.
#[derive(Debug, Error)]
#[error("cannot connect to {target}")]
pub struct ConnectError {
    target: Endpoint,
    source: io::Error,
}

impl ConnectError {
    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::ConnectionRefused => {
                "nobody listens there: start the server, or check the port"
            }
            io::ErrorKind::TimedOut => {
                "no answer within --connect-timeout: check the address and what filters the path"
            }
            io::ErrorKind::Unsupported => "use tcp://HOST:PORT",
            _ => "check the address",
        }
    }
}

/// Connects to the first address of the target's host that answers.
///
/// Each address gets `timeout`.
pub(crate) fn connect(target: &Endpoint, timeout: Duration) -> Result<TcpStream, ConnectError> {
    let failed = |source| ConnectError { target: target.clone(), source };
    let (host, port) = match target {
        Endpoint::Tcp { host, port } => (host.as_str(), *port),
        _ => return Err(failed(io::Error::new(io::ErrorKind::Unsupported, "send is over TCP"))),
    };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs().map_err(failed)? {
        match connect_to(address, timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

fn connect_to(address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, timeout)?;
    // What is to be measured and shown is the path's delay, not ours.
    stream.set_nodelay(true)?;
    debug!(peer = %address, local = %stream.local_addr()?, "connected");
    Ok(stream)
}
