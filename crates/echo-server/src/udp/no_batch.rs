//! Stands for batches where the system does not offer them: there is no UDP echo, and binding says so.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use socket2::Socket;

use super::Datagram;

pub(super) const BATCH: usize = 1;

/// There is none.
#[derive(Debug)]
pub(super) enum Batch {}

impl Batch {
    pub(super) fn new(_socket: Socket) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "UDP echo is to be had on Linux only"))
    }

    pub(super) fn receive(&mut self) -> io::Result<&[Datagram]> {
        match *self {}
    }

    pub(super) fn datagrams(&self) -> &[Datagram] {
        match *self {}
    }

    pub(super) fn send_back(&mut self, _which: &[usize]) -> io::Result<usize> {
        match *self {}
    }
}

impl AsFd for Batch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match *self {}
    }
}
