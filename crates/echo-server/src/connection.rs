//! One connection as a blocking stream that also hears of idleness and shutdown.
//!
//! The echo loop of the core reads and writes it like any other stream and knows nothing of either:
//!
//! | what happens                        | what the echo loop sees    | what follows           |
//! |-------------------------------------|----------------------------|------------------------|
//! | the peer sends FIN                  | the end of input           | flush, FIN, close      |
//! | nothing moves for the idle timeout  | a timeout                  | flush, FIN, discard    |
//! | a shutdown, and the input runs dry  | the end of input           | flush, FIN, discard    |
//!
//! "Discard" reads on until the peer's FIN or a deadline: a socket closed with unread input answers
//! RST, and the peer would lose echoed bytes that are still in flight.

use std::{
    cell::Cell,
    io::{self, IoSlice, Read, Write},
    net::{Shutdown as Half, SocketAddr, TcpStream},
    os::fd::AsFd,
    time::{Duration, Instant},
};

use echo_cli::escaped;
use rustix::event::PollFlags;
use tracing::debug;

use crate::{shutdown::Shutdown, wait::wait};

/// For how long the input has to be silent after a shutdown has begun to count as dry: long enough
/// for what a peer sent before it heard of the shutdown to arrive.
const DRAIN_QUIET: Duration = Duration::from_millis(100);

/// The scratch memory for input that is discarded.
const DISCARD_SIZE: usize = 4 << 10;

/// An accepted connection.
#[derive(Debug)]
pub(crate) struct Connection<'a> {
    stream: TcpStream,
    peer: SocketAddr,
    idle_timeout: Option<Duration>,
    shutdown: &'a Shutdown,
    /// The last read filled its buffer, so the next one likely finds more without waiting.
    expects_more: Cell<bool>,
    /// We have ended the input, not the peer.
    input_ended_by_us: Cell<bool>,
    received: Cell<u64>,
    echoed: Cell<u64>,
}

/// How a connection came to its end, after its last byte was echoed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    /// Both sides have said that they are done.
    InOrder,
    /// The connection failed: the peer has reset it, or the network has.
    Failed,
    /// The peer did not read, or did not say that it is done, in time.
    Cut,
}

impl<'a> Connection<'a> {
    pub(crate) fn new(
        stream: TcpStream,
        peer: SocketAddr,
        idle_timeout: Option<Duration>,
        shutdown: &'a Shutdown,
    ) -> io::Result<Self> {
        // Readiness is awaited together with the shutdown, so no call may block by itself.
        stream.set_nonblocking(true)?;
        // An echo that waits for more to send only adds delay.
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            peer,
            idle_timeout,
            shutdown,
            expects_more: Cell::new(false),
            input_ended_by_us: Cell::new(false),
            received: Cell::new(0),
            echoed: Cell::new(0),
        })
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Bytes taken from the peer so far.
    pub(crate) fn received(&self) -> u64 {
        self.received.get()
    }

    /// Bytes sent back so far, framing included.
    pub(crate) fn echoed(&self) -> u64 {
        self.echoed.get()
    }

    /// Says that nothing more will be sent, and when the peer may still be sending, discards that
    /// until it is done too, or the time for it is over.
    pub(crate) fn close(self, peer_is_done: bool) -> Closed {
        if self.stream.shutdown(Half::Write).is_err() {
            return Closed::Failed;
        }
        if peer_is_done && !self.input_ended_by_us.get() {
            return Closed::InOrder;
        }
        let from_now = Instant::now().checked_add(self.shutdown.drain_timeout());
        let mut scratch = [0; DISCARD_SIZE];
        loop {
            match (&self.stream).read(&mut scratch) {
                Ok(0) => return Closed::InOrder,
                Ok(_) if is_past(from_now) => return Closed::Cut,
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    let deadline = self.shutdown.deadline().or(from_now);
                    match wait([(self.stream.as_fd(), PollFlags::IN)], deadline) {
                        Ok([true]) => {}
                        Ok([false]) => return Closed::Cut,
                        Err(_) => return Closed::Failed,
                    }
                }
                Err(_) => return Closed::Failed,
            }
        }
    }

    /// Waits for the socket to be ready; false when the input is to end here because of a shutdown.
    fn wait_for(&self, events: PollFlags) -> io::Result<bool> {
        let since = Instant::now();
        let idle = self.idle_timeout.and_then(|timeout| since.checked_add(timeout));
        let socket = (self.stream.as_fd(), events);
        if !self.shutdown.has_begun() {
            let told = (self.shutdown.as_fd(), PollFlags::IN);
            match wait([socket, told], idle)? {
                [true, _] => return Ok(true),
                [false, false] => return Err(io::ErrorKind::TimedOut.into()),
                [false, true] => {}
            }
        }
        if events == PollFlags::OUT {
            // What was received is flushed, for as long as there is time.
            let [ready] = wait([socket], earliest(idle, self.shutdown.deadline()))?;
            return if ready { Ok(true) } else { Err(io::ErrorKind::TimedOut.into()) };
        }
        let until = self.shutdown.echo_until();
        let [ready] = wait([socket], earliest(Instant::now().checked_add(DRAIN_QUIET), until))?;
        Ok(ready && !is_past(until))
    }

    fn has_read(&self, bytes: &[u8], room: usize) {
        self.expects_more.set(bytes.len() == room);
        self.received.set(self.received.get() + bytes.len() as u64);
        if !bytes.is_empty() {
            debug!(peer = %self.peer, bytes = bytes.len(), data = %escaped(bytes), "received");
        }
    }

    fn has_written(&self, n: usize) {
        self.echoed.set(self.echoed.get() + n as u64);
        debug!(peer = %self.peer, bytes = n, "echoed");
    }

    fn write_with(&self, write: impl Fn(&TcpStream) -> io::Result<usize>) -> io::Result<usize> {
        loop {
            match write(&self.stream) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.wait_for(PollFlags::OUT)?;
                }
                result => return result.inspect(|n| self.has_written(*n)),
            }
        }
    }
}

impl Read for &Connection<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.input_ended_by_us.get() {
            return Ok(0);
        }
        loop {
            // Nothing is to be had at once, most likely: wait first, and save a futile read. A peer
            // that never pauses is asked here, too, once a shutdown has begun.
            let wait_first = !self.expects_more.replace(false) || self.shutdown.has_begun();
            if wait_first && !self.wait_for(PollFlags::IN)? {
                self.input_ended_by_us.set(true);
                return Ok(0);
            }
            match (&self.stream).read(buf) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                result => return result.inspect(|n| self.has_read(&buf[..*n], buf.len())),
            }
        }
    }
}

impl Write for &Connection<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_with(|mut stream| stream.write(buf))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_with(|mut stream| stream.write_vectored(bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    [a, b].into_iter().flatten().min()
}

fn is_past(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}
