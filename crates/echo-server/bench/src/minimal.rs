//! The minimal load: what a person writes in an afternoon in C, and what `echo-client bench` is held
//! against. One thread, edge-triggered epoll, a closed loop, every byte verified; no latencies, no
//! judgement, no settings.
//!
//! Each connection keeps `depth` messages in flight. A message counts when all of it is back, never for
//! a read. Before the warm-up every connection has echoed once, so all of them are accepted.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, bail, ensure};
use rustix::{
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    fd::OwnedFd,
    time::{ClockId, clock_gettime},
};

use crate::{
    cell::Cell,
    loader::Times,
    pattern::{MAX_PIECE, Pattern, Place},
};

/// How many connect before the first of them has to answer: fewer than any server's backlog.
const CONNECT_BATCH: usize = 100;

/// The longest wait for an answer before the clock runs, and after it has stopped.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });

/// Events taken from the kernel at once.
const EVENTS: usize = 512;

/// The longest wait for one of them, after which the time is looked at.
const LOOK_UP: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// What was measured between the end of the warm-up and the end.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) started: SystemTime,
    pub(crate) elapsed: Duration,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// The share of the time that the thread was on its core.
    pub(crate) cpu: f64,
}

/// Loads a server.
pub(crate) fn run(target: SocketAddr, cell: Cell, times: Times) -> anyhow::Result<Measured> {
    let pattern = Pattern::new();
    let mut load = Load {
        connections: connect(target, cell.connections, &pattern)?,
        cell,
        pattern: &pattern,
        buffer: vec![0; MAX_PIECE],
        messages: 0,
        bytes: 0,
        stopping: false,
    };
    let poll = Poll::new(&load.connections)?;
    load.start()?;
    load.until(&poll, Instant::now() + times.warm_up)?;

    (load.messages, load.bytes) = (0, 0);
    let (started, begin, cpu) = (SystemTime::now(), Instant::now(), own_cpu());
    load.until(&poll, begin + times.measure)?;
    let (elapsed, cpu) = (begin.elapsed(), own_cpu() - cpu);
    let (messages, bytes) = (load.messages, load.bytes);

    load.finish(&poll)?;
    let cpu = cpu.as_secs_f64() / elapsed.as_secs_f64();
    Ok(Measured { started, elapsed, messages, bytes, cpu })
}

/// Opens connections on each of which something was echoed.
pub(crate) fn connect(
    target: SocketAddr,
    count: usize,
    pattern: &Pattern,
) -> anyhow::Result<Vec<Connection>> {
    let mut connections = Vec::with_capacity(count);
    while connections.len() < count {
        let first = connections.len();
        for i in first..count.min(first + CONNECT_BATCH) {
            let stream = TcpStream::connect(target);
            let stream = stream.with_context(|| format!("connection {i} is refused"))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            connections.push(Connection::new(stream, Place::of(i)));
        }
        for (i, connection) in connections.iter_mut().enumerate().skip(first) {
            connection.greet(pattern).with_context(|| format!("connection {i}"))?;
            connection.stream.set_nonblocking(true)?;
        }
    }
    Ok(connections)
}

/// One connection, and what is in flight on it.
pub(crate) struct Connection {
    stream: TcpStream,
    /// The next byte to send, and the next to come back.
    sends: Place,
    expects: Place,
    /// Bytes that shall be sent and are not yet.
    unsent: usize,
    /// Bytes that are back of the oldest message in flight.
    partial: usize,
    /// Messages in flight; at most `depth`.
    flying: usize,
}

impl Connection {
    fn new(stream: TcpStream, place: Place) -> Self {
        Self { stream, sends: place, expects: place, unsent: 0, partial: 0, flying: 0 }
    }

    /// Has a few bytes echoed while the socket still blocks.
    fn greet(&mut self, pattern: &Pattern) -> anyhow::Result<()> {
        let mut echo = [0; 64];
        let greeting = pattern.at(self.sends, echo.len());
        (&self.stream).write_all(greeting)?;
        (&self.stream).read_exact(&mut echo).context("nothing came back")?;
        ensure!(greeting == echo, "what came back is not what was sent");
        self.sends.advance(echo.len());
        self.expects.advance(echo.len());
        Ok(())
    }

    /// Sends what is to be sent, as far as the socket takes it.
    fn flush(&mut self, pattern: &Pattern) -> io::Result<()> {
        while self.unsent > 0 {
            let piece = pattern.at(self.sends, self.unsent.min(MAX_PIECE));
            match (&self.stream).write(piece) {
                Ok(n) => {
                    self.sends.advance(n);
                    self.unsent -= n;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// Reports each socket once for all that has come, so that no socket is asked twice.
struct Poll(OwnedFd);

impl Poll {
    fn new(connections: &[Connection]) -> anyhow::Result<Self> {
        let poll = epoll::create(CreateFlags::CLOEXEC)?;
        for (i, connection) in connections.iter().enumerate() {
            let events = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
            epoll::add(&poll, &connection.stream, EventData::new_u64(i as u64), events)?;
        }
        Ok(Self(poll))
    }

    fn wait(&self, events: &mut Vec<Event>) -> io::Result<()> {
        events.clear();
        match epoll::wait(&self.0, rustix::buffer::spare_capacity(events), Some(&LOOK_UP)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}

struct Load<'p> {
    connections: Vec<Connection>,
    cell: Cell,
    pattern: &'p Pattern,
    buffer: Vec<u8>,
    messages: u64,
    bytes: u64,
    /// No more is sent; what is in flight is awaited.
    stopping: bool,
}

impl Load<'_> {
    fn start(&mut self) -> io::Result<()> {
        for connection in &mut self.connections {
            connection.flying = self.cell.depth;
            connection.unsent = self.cell.bytes * self.cell.depth;
            connection.flush(self.pattern)?;
        }
        Ok(())
    }

    fn until(&mut self, poll: &Poll, end: Instant) -> anyhow::Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        while Instant::now() < end {
            poll.wait(&mut events)?;
            for event in &events {
                let i = event.data.u64() as usize;
                self.serve(i).with_context(|| format!("connection {i}"))?;
            }
        }
        Ok(())
    }

    /// Waits for all that is in flight: what does not come back is a failure, whatever was measured.
    fn finish(&mut self, poll: &Poll) -> anyhow::Result<()> {
        self.stopping = true;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let flying: usize = self.connections.iter().map(|c| c.flying).sum();
            if flying == 0 {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{flying} messages never came back");
            self.until(poll, Instant::now() + Duration::from_millis(1))?;
        }
    }

    /// Takes what has come back on a connection, and sends the next messages for those complete.
    fn serve(&mut self, i: usize) -> anyhow::Result<()> {
        let connection = &mut self.connections[i];
        loop {
            let n = match (&connection.stream).read(&mut self.buffer) {
                Ok(0) => bail!("closed by the server"),
                Ok(n) => n,
                // Something may be left to send all the same.
                Err(e) if e.kind() == ErrorKind::WouldBlock => 0,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(e.into()),
            };
            let is_right = self.pattern.at(connection.expects, n) == &self.buffer[..n];
            ensure!(is_right, "what came back is not what was sent");
            connection.expects.advance(n);
            connection.partial += n;
            let complete = connection.partial / self.cell.bytes;
            connection.partial %= self.cell.bytes;
            ensure!(complete <= connection.flying, "more came back than was sent");
            self.messages += complete as u64;
            self.bytes += n as u64;
            if self.stopping {
                connection.flying -= complete;
            } else {
                connection.unsent += complete * self.cell.bytes;
            }
            connection.flush(self.pattern)?;
            if n < self.buffer.len() {
                return Ok(());
            }
        }
    }
}

fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use std::{
        net::TcpListener,
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
        thread,
    };

    use super::*;

    const CELL: Cell = Cell { connections: 2, bytes: 64, depth: 4 };

    const TIMES: Times =
        Times { warm_up: Duration::from_millis(20), measure: Duration::from_millis(100) };

    /// Loads a server that sends in pieces of `piece` bytes what `bend` makes of each read, given
    /// the number of bytes before it; says how many bytes it has sent when the load was done.
    fn load(
        piece: usize,
        bend: impl Fn(u64, &mut Vec<u8>) + Copy + Send + 'static,
    ) -> anyhow::Result<(Measured, u64)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let sent = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&sent);
        thread::spawn(move || {
            for stream in listener.incoming().take(CELL.connections) {
                let (mut stream, sent) = (stream?, Arc::clone(&counter));
                stream.set_nodelay(true)?;
                thread::spawn(move || -> io::Result<()> {
                    let (mut buffer, mut before) = ([0; 4096], 0);
                    loop {
                        let n = stream.read(&mut buffer)?;
                        let mut echo = buffer[..n].to_vec();
                        bend(before, &mut echo);
                        before += n as u64;
                        for piece in echo.chunks(piece) {
                            stream.write_all(piece)?;
                            sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
                        }
                        if n == 0 {
                            return Ok(());
                        }
                    }
                });
            }
            io::Result::Ok(())
        });
        let measured = run(address, CELL, TIMES)?;
        Ok((measured, sent.load(Ordering::Relaxed)))
    }

    fn failure(bend: impl Fn(u64, &mut Vec<u8>) + Copy + Send + 'static) -> String {
        load(4096, bend).map_or_else(|error| format!("{error:#}"), |_| "no failure".into())
    }

    /// Whether this read is the first beyond the bytes of the greeting.
    fn is_load(before: u64) -> bool {
        before >= 64
    }

    #[test]
    fn a_message_counts_when_all_of_it_is_back_however_it_is_cut() {
        for piece in [1, 7, 63, 64, 65, 4096] {
            let (measured, sent) = load(piece, |_, _| {}).expect("an honest server");
            assert!(measured.messages > 0, "pieces of {piece}");
            assert!(measured.messages * 64 <= sent, "pieces of {piece}: {measured:?} of {sent}");
        }
    }

    #[test]
    fn a_byte_that_is_wrong_lost_or_doubled_is_found() {
        let found = "what came back is not what was sent";
        type Bend = fn(u64, &mut Vec<u8>);
        let ways: [(&str, Bend); 3] = [
            ("wrong", |before, echo| {
                if is_load(before) {
                    echo[3] ^= 1;
                }
            }),
            ("lost", |before, echo| {
                if is_load(before) {
                    echo.remove(3);
                }
            }),
            ("doubled", |before, echo| {
                if is_load(before) {
                    echo.insert(3, echo[3]);
                }
            }),
        ];
        for (way, bend) in ways {
            let failure = failure(bend);
            assert!(failure.contains(found), "{way}: {failure}");
        }
    }

    #[test]
    fn what_never_comes_back_is_a_failure_though_much_was_measured() {
        let failure = failure(|before, echo| {
            if before > 10_000 {
                echo.clear();
            }
        });
        assert!(failure.contains("never came back"), "{failure}");
    }

    #[test]
    fn a_server_that_closes_is_a_failure() {
        let failure = failure(|before, _| assert!(before < 10_000, "closed, as it shall be"));
        assert!(failure.contains("closed by the server") || failure.contains("reset"), "{failure}");
    }
}
