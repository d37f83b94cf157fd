//! epoll, edge-triggered: one read into one hot buffer, one write of it, nothing else.
//!
//! A read that fills less than its space has taken all there is, so no read is made to be told to
//! wait. Only bytes that the peer does not take are kept, in memory of the connection's own.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    os::fd::AsFd,
};

use rustix::{
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    io::Errno,
    net::{SocketFlags, accept_with, sockopt::set_tcp_nodelay},
};

/// One read: a whole message of the largest kind. 256 KiB measured twice the CPU time.
const READ_SIZE: usize = 64 << 10;

/// Events taken from the kernel at once.
const EVENTS: usize = 1024;

/// The listener, among connections that are counted from 0.
const LISTENER: u64 = u64::MAX;

struct Connection {
    stream: TcpStream,
    /// What was read and the peer has not taken, from `start` on. Its memory is kept.
    unsent: Vec<u8>,
    start: usize,
}

/// Serves for ever. One that `spins` asks again and again instead of sleeping.
pub(crate) fn serve(spins: bool) -> io::Result<()> {
    let listener = super::listener()?;
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&poll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let timeout = spins.then_some(&at_once);
    let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut buffer = vec![0; READ_SIZE];
    loop {
        events.clear();
        match epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), timeout) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        for event in &events {
            let id = event.data.u64();
            if id == LISTENER {
                let stream = accept_with(&listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
                set_tcp_nodelay(&stream, true)?;
                let id = connections.len() as u64;
                let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
                epoll::add(&poll, stream.as_fd(), EventData::new_u64(id), flags)?;
                connections.push(Some(Connection {
                    stream: stream.into(),
                    unsent: Vec::new(),
                    start: 0,
                }));
                continue;
            }
            let slot = &mut connections[id as usize];
            let Some(connection) = slot else { continue };
            let flags = event.flags;
            let hung_up = flags.contains(EventFlags::RDHUP);
            if connection.turn(&mut buffer, hung_up).unwrap_or(true) {
                *slot = None;
            }
        }
    }
}

impl Connection {
    /// Echoes what there is; true when the connection has ended. After a hang-up a short read does
    /// not mean that all is read: the end is there to be read, too.
    fn turn(&mut self, buffer: &mut [u8], hung_up: bool) -> io::Result<bool> {
        if !self.unsent.is_empty() {
            self.start += send(&self.stream, &self.unsent[self.start..])?;
            if self.start < self.unsent.len() {
                return Ok(false);
            }
            self.unsent.clear();
            self.start = 0;
        }
        loop {
            let n = match (&self.stream).read(buffer) {
                Ok(0) => return Ok(true),
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            let sent = send(&self.stream, &buffer[..n])?;
            if sent < n {
                self.unsent.extend_from_slice(&buffer[sent..n]);
                return Ok(false);
            }
            if n < buffer.len() && !hung_up {
                return Ok(false);
            }
        }
    }
}

/// How many of the bytes the peer takes now. A send that takes a part only is asked again, so that
/// the next event is sure to come.
fn send(mut stream: &TcpStream, mut bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(n) => {
                sent += n;
                bytes = &bytes[n..];
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(sent)
}
