//! A connection that never blocks.

use std::{
    io::{self, Read, Write},
    os::fd::AsRawFd,
};

use mio::{Interest, Registry, Token, event::Source, unix::SourceFd};
use socket2::Socket;

/// A connected socket of any kind.
pub(super) struct Stream(Socket);

impl TryFrom<Socket> for Stream {
    type Error = io::Error;

    fn try_from(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Source for Stream {
    fn register(&mut self, to: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        SourceFd(&self.0.as_raw_fd()).register(to, token, interest)
    }

    fn reregister(&mut self, to: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        SourceFd(&self.0.as_raw_fd()).reregister(to, token, interest)
    }

    fn deregister(&mut self, from: &Registry) -> io::Result<()> {
        SourceFd(&self.0.as_raw_fd()).deregister(from)
    }
}
