//! One connection on a thread of its own: moves bytes, and asks the echo connection what to do next.
//!
//! It waits in `poll` for the socket and the shutdown at once, so neither an idle peer nor one that
//! does not read keeps it from hearing that the service ends.

use std::{
    io::{self, Read, Write},
    net::{Shutdown as Half, SocketAddr, TcpStream},
    os::fd::AsFd,
    time::{Duration, Instant},
};

use echo_cli::escaped;
use echo_core::{
    Buffer, Codec, Decoder, ECHO_READ_SIZE, EchoConnection, EchoLimits, End, Intake, Reason,
};
use rustix::event::PollFlags;
use tracing::{debug, info};

use crate::{Summary, config::Config, shutdown::Shutdown, wait::wait};

/// Echoes on one connection until it ends, and tells its story.
pub(crate) fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    config: &Config,
    shutdown: &Shutdown,
) -> io::Result<Summary> {
    // Readiness is awaited together with the shutdown, so no call may block by itself.
    stream.set_nonblocking(true)?;
    // An echo that waits for more to send only adds delay.
    stream.set_nodelay(true)?;
    debug!(%peer, "connected");
    let limits = EchoLimits {
        high_water: ECHO_READ_SIZE,
        idle_timeout: config.idle_timeout,
        stall_timeout: config.idle_timeout,
        drain_timeout: config.drain_timeout,
    };
    let accepted = Instant::now();
    let mut connection = Connection {
        stream,
        peer,
        echo: EchoConnection::new(config.codec.clone(), limits, Duration::ZERO),
        bound: config.codec.max_buffered(),
        buffer: Buffer::new(ECHO_READ_SIZE),
        accepted,
        shutdown,
    };
    let failure = connection.run().err();
    Ok(connection.settle(failure))
}

struct Connection<'a> {
    stream: TcpStream,
    peer: SocketAddr,
    echo: EchoConnection<Codec>,
    /// What was received and not sent: first what is released, then what is held.
    buffer: Buffer,
    /// The most that may be held.
    bound: Option<usize>,
    accepted: Instant,
    shutdown: &'a Shutdown,
}

impl Connection<'_> {
    /// Until the connection has ended; an error is its failure.
    fn run(&mut self) -> io::Result<()> {
        let mut readable = false;
        loop {
            let now = self.now();
            let told = self.shutdown.has_begun();
            if told {
                self.echo.drain(now);
            }
            // Before the time is judged: what is there to be read, or can be written, is in time.
            if readable && self.reads() {
                // A read that fills its space likely leaves more, which needs no waiting for.
                readable = self.read(now)?;
            }
            let stuck = self.echo.unsent() > 0 && !self.write(now)?;
            self.echo.tick(now);
            if self.echo.end().is_some() {
                return Ok(());
            }
            if self.echo.owes_fin() {
                self.stream.shutdown(Half::Write)?;
                self.echo.fin_sent(now);
                continue;
            }
            let goes_on = self.echo.unsent() > 0 && !stuck || readable && self.reads();
            if !goes_on {
                self.buffer.shrink();
                readable = self.wait(told)?;
            }
        }
    }

    /// Whether to read: to discard, or to echo when everything before is sent. One thing at a time.
    fn reads(&self) -> bool {
        match self.echo.intake() {
            Intake::Discard => true,
            Intake::Echo(_) => self.echo.unsent() == 0,
            Intake::Pause | Intake::Done => false,
        }
    }

    /// Sends some of what is released; false when the peer takes nothing now.
    fn write(&mut self, now: Duration) -> io::Result<bool> {
        let released = &self.buffer.pending()[..self.unsent()];
        let Some(n) = unless_it_would_wait((&self.stream).write(released))? else {
            return Ok(false);
        };
        debug!(peer = %self.peer, bytes = n, "echoed");
        self.buffer.discard(n);
        self.echo.sent(n, now);
        Ok(true)
    }

    /// Receives once; true when more is likely to be there.
    fn read(&mut self, now: Duration) -> io::Result<bool> {
        // What is discarded needs room beside what is not sent yet.
        let unsent = self.unsent();
        let (echoes, most) = match self.echo.intake() {
            Intake::Echo(n) => (true, n),
            _ => (false, ECHO_READ_SIZE),
        };
        let space = self.buffer.space(self.bound.map(|held| held.saturating_add(unsent)));
        let room = space.len().min(most);
        let space = &mut space[..room];
        let Some(n) = unless_it_would_wait((&self.stream).read(space))? else { return Ok(false) };
        self.buffer.filled(n).map_err(io::Error::other)?;
        let held = &self.buffer.pending()[unsent..];
        if n == 0 {
            self.echo.peer_done(held, now);
        } else {
            let data = &held[held.len() - n..];
            debug!(peer = %self.peer, bytes = n, data = %escaped(data), "received");
            self.echo.received(held, n, now);
        }
        if let (true, Some(Reason::Frame(error))) = (echoes, self.echo.reason()) {
            info!(peer = %self.peer, %error, "ending the connection"); // this read has shown it
        }
        if self.echo.intake() == Intake::Discard {
            self.buffer.truncate(self.unsent());
        }
        Ok(n == room)
    }

    /// Waits for the socket, the shutdown, or the time for something; true when it can be read.
    ///
    /// A shutdown that the echo connection has not been `told` of ends the wait, so that it is.
    fn wait(&self, told: bool) -> io::Result<bool> {
        let reads = self.reads();
        let mut events = PollFlags::empty();
        events.set(PollFlags::IN, reads);
        events.set(PollFlags::OUT, self.echo.unsent() > 0);
        let wake_at = self.echo.wake_at().and_then(|at| self.accepted.checked_add(at));
        let socket = (self.stream.as_fd(), events);
        let [ready] = if told {
            wait([socket], wake_at)?
        } else {
            let [ready, _] = wait([socket, (self.shutdown.as_fd(), PollFlags::IN)], wake_at)?;
            [ready]
        };
        Ok(reads && ready)
    }

    /// How much of the buffer's front is released and not sent.
    fn unsent(&self) -> usize {
        usize::try_from(self.echo.unsent()).unwrap_or(usize::MAX)
    }

    fn now(&self) -> Duration {
        self.accepted.elapsed()
    }

    /// Tells how it ended.
    fn settle(mut self, failure: Option<io::Error>) -> Summary {
        if failure.is_some() {
            self.echo.failed();
        }
        let peer = self.peer;
        let (received, echoed) = (self.echo.bytes_received(), self.echo.bytes_sent());
        let mut why = match (failure, self.echo.reason()) {
            (Some(error), _) => error.to_string(),
            (None, Some(Reason::PeerDone)) => "the peer is done".to_owned(),
            (None, Some(Reason::Idle)) => "idle".to_owned(),
            (None, Some(Reason::Drain)) => "the server ends".to_owned(),
            (None, Some(Reason::Frame(error))) => error.to_string(),
            (None, _) => "the peer does not read".to_owned(),
        };
        let is_cut = self.echo.end() == Some(End::Cut);
        if is_cut {
            why.push_str("; cut, the peer did not finish in time");
        }
        debug!(%peer, received, echoed, took = ?self.now(), why, "disconnected");
        // Those that a shutdown has cut; others would have been, without one.
        let is_late = self.shutdown.deadline().is_some_and(|deadline| deadline <= Instant::now());
        let drained = self.echo.reason() == Some(Reason::Drain) || is_late;
        let cut = usize::from(is_cut && drained);
        Summary { accepted: 1, cut, received, echoed }
    }
}

/// `None` when the call would have to wait, or was interrupted: either way, wait and try again.
fn unless_it_would_wait(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(n) => Ok(Some(n)),
        Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(e) => Err(e),
    }
}
