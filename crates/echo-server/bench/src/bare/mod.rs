//! The bare loops: what the kernel allows, without limits, time, logs or protocol.
//!
//! Each is as tight as it can be and still correct: what a peer does not take at once is kept and
//! sent later.

pub(crate) mod blocking;
pub(crate) mod epoll;
pub(crate) mod splice;
pub(crate) mod uring;

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use rustix::{
    fd::OwnedFd,
    net::{AddressFamily, SocketType, bind, getsockname, listen, socket},
};

/// More than any load opens at once.
const BACKLOG: i32 = 4096;

/// Binds a free port and says which.
fn listener() -> io::Result<TcpListener> {
    let socket: OwnedFd = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0)))?;
    listen(&socket, BACKLOG)?;
    crate::announce(getsockname(&socket)?.try_into()?);
    Ok(socket.into())
}
