//! A connection that never blocks.

use std::{
    io::{self, Read, Write},
    os::fd::AsRawFd,
    sync::Arc,
};

use mio::{Interest, Registry, Token, event::Source, unix::SourceFd};
use socket2::Socket;

/// A connected socket of any kind; a clone is the same socket.
#[derive(Clone)]
pub(super) struct Stream(Arc<Socket>);

impl Stream {
    /// What the system's tables know it by.
    pub(super) fn inode(&self) -> Option<u64> {
        rustix::fs::fstat(&self.0).ok().map(|found| found.st_ino)
    }
}

impl TryFrom<Socket> for Stream {
    type Error = io::Error;

    fn try_from(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self(Arc::new(socket)))
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buf)
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self.0).write(buf)
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
