//! epoll, level-triggered, and splice: payload goes from socket to socket through a pipe, never through our memory.
//!
//! One pipe serves all connections. A connection whose peer does not take everything keeps the
//! pipe with what is left in it, and the others get a new one.

use std::{io, mem, os::fd::AsFd};

use rustix::{
    event::epoll::{self, CreateFlags, Event, EventData, EventFlags},
    fd::OwnedFd,
    io::Errno,
    net::{SocketFlags, accept_with, sockopt::set_tcp_nodelay},
    pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice},
};

/// What a pipe may hold: the most that the system allows everyone.
const PIPE_SIZE: usize = 1 << 20;

/// Events taken from the kernel at once.
const EVENTS: usize = 1024;

/// The listener, among connections that are counted from 0.
const LISTENER: u64 = u64::MAX;

struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

struct Connection {
    socket: OwnedFd,
    /// What was received and the peer has not taken: a pipe, and how many bytes are in it.
    unsent: Option<(Pipe, usize)>,
}

pub(crate) fn serve() -> io::Result<()> {
    let listener = super::listener()?;
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&poll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut pipe = Pipe::new()?;
    loop {
        events.clear();
        match epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        for event in &events {
            let id = event.data.u64();
            if id == LISTENER {
                let socket = accept_with(&listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
                set_tcp_nodelay(&socket, true)?;
                let id = connections.len() as u64;
                epoll::add(&poll, socket.as_fd(), EventData::new_u64(id), EventFlags::IN)?;
                connections.push(Some(Connection { socket, unsent: None }));
                continue;
            }
            let slot = &mut connections[id as usize];
            let Some(connection) = slot else { continue };
            let waited_to_send = connection.unsent.is_some();
            if connection.turn(&mut pipe).unwrap_or(true) {
                *slot = None;
            } else if connection.unsent.is_some() != waited_to_send {
                let flags = if waited_to_send { EventFlags::IN } else { EventFlags::OUT };
                epoll::modify(&poll, &connection.socket, EventData::new_u64(id), flags)?;
            }
        }
    }
}

impl Connection {
    /// Sends what is left, or else receives once and sends that; true when the connection has ended.
    ///
    /// How much there is to receive is not known, so the next event tells, not another call.
    fn turn(&mut self, hot: &mut Pipe) -> io::Result<bool> {
        if let Some((pipe, left)) = &mut self.unsent {
            *left -= send(pipe, &self.socket, *left)?;
            if *left == 0 {
                self.unsent = None;
            }
            return Ok(false);
        }
        let received = match splice_all(&self.socket, &hot.write, PIPE_SIZE) {
            Ok(0) => return Ok(true),
            Ok(n) => n,
            Err(Errno::AGAIN) => return Ok(false),
            Err(e) => return Err(e.into()),
        };
        let sent = send(hot, &self.socket, received)?;
        if sent < received {
            self.unsent = Some((mem::replace(hot, Pipe::new()?), received - sent));
        }
        Ok(false)
    }
}

impl Pipe {
    fn new() -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
        // More than one user may have is refused; then it is smaller, and works as well.
        fcntl_setpipe_size(&write, PIPE_SIZE).unwrap_or_default();
        Ok(Self { read, write })
    }
}

/// How much of what is in the pipe the peer takes now.
fn send(pipe: &Pipe, socket: &OwnedFd, length: usize) -> io::Result<usize> {
    let mut sent = 0;
    while sent < length {
        match splice_all(&pipe.read, socket, length - sent) {
            Ok(0) | Err(Errno::AGAIN) => break,
            Ok(n) => sent += n,
            Err(e) => return Err(e.into()),
        }
    }
    Ok(sent)
}

fn splice_all(from: &OwnedFd, to: &OwnedFd, length: usize) -> Result<usize, Errno> {
    splice(from, None, to, None, length, SpliceFlags::NONBLOCK | SpliceFlags::MOVE)
}
