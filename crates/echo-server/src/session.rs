//! One connection's story, whatever engine moves its bytes: who it is, what the core says of it, and
//! what is told when it ends.

use std::{io, sync::Arc, time::Duration};

use echo_cli::escaped;
use echo_core::{Decoder, EchoConnection, EchoLimits, End, Intake, Reason};
use tracing::{debug, info};

use crate::{Summary, admission::Seat, framed::Framed, peer::Peer, service::Service};

/// A connection that has been let in.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) echo: EchoConnection<Framed>,
    /// When it was accepted, in nanoseconds.
    accepted: u64,
    seat: Seat,
}

impl Session {
    /// Of who came at `now` and has a seat.
    pub(crate) fn new(seat: Seat, now: Duration) -> Self {
        let service = seat.service();
        let config = &service.config;
        let limits = EchoLimits {
            high_water: config.high_water,
            idle_timeout: config.idle_timeout,
            stall_timeout: config.stall_timeout,
            drain_timeout: config.drain_timeout,
        };
        let echo = EchoConnection::new(Framed::new(&config.codec), limits, now);
        debug!(peer = %seat.peer(), "connected");
        let accepted = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        Self { echo, accepted, seat }
    }

    pub(crate) fn service(&self) -> &Arc<Service> {
        self.seat.service()
    }

    /// Whether it came by a Unix socket.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.peer(), Peer::Unix(_))
    }

    /// `new` bytes came in, the end of `held`; none when the peer has sent FIN. Returns how many at
    /// the front of `held` are released to be sent. When input is discarded from here on, the rest
    /// of `held` is of no use any more.
    pub(crate) fn received(&mut self, held: &[u8], new: usize, now: Duration) -> usize {
        let echoed = matches!(self.echo.intake(), Intake::Echo(_) | Intake::Pause);
        let released = if new == 0 {
            self.echo.peer_done(held, now)
        } else {
            let data = &held[held.len() - new..];
            debug!(peer = %self.peer(), bytes = new, data = %escaped(data), "received");
            self.echo.received(held, new, now)
        };
        if let (true, Some(Reason::Frame(error))) = (echoed, self.echo.reason()) {
            info!(peer = %self.peer(), %error, "ending the connection"); // this read has shown it
        }
        released
    }

    /// `n` of the released bytes were sent.
    pub(crate) fn sent(&mut self, n: usize, now: Duration) {
        debug!(peer = %self.peer(), bytes = n, "echoed");
        self.echo.sent(n, now);
    }

    /// How many bytes are released and not sent.
    pub(crate) fn unsent(&self) -> usize {
        usize::try_from(self.echo.unsent()).unwrap_or(usize::MAX)
    }

    /// The most that a connection can leave held: the beginning of a frame.
    pub(crate) fn max_held(&self) -> Option<usize> {
        self.service().config.codec.max_buffered()
    }

    pub(crate) fn peer(&self) -> Peer {
        self.seat.peer()
    }

    /// Tells how it ended at `now`, and gives the seat back. The socket is to be closed before: who waits for
    /// it may need its descriptor.
    pub(crate) fn settle(mut self, failure: Option<&io::Error>, now: Duration) {
        if failure.is_some() {
            self.echo.failed();
        }
        let (peer, service) = (self.peer(), self.seat.service());
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
        let took = now.saturating_sub(Duration::from_nanos(self.accepted));
        debug!(%peer, received, echoed, ?took, why, "disconnected");
        // Those that a shutdown has cut; others would have been, without one.
        let deadline = service.shutdown.deadline();
        let is_late = deadline.zip(service.instant(now)).is_some_and(|(by, now)| by <= now);
        let drained = self.echo.reason() == Some(Reason::Drain) || is_late;
        let cut = usize::from(is_cut && drained);
        service.settle(&Summary { accepted: 1, cut, received, echoed, ..Summary::default() });
        #[cfg(test)]
        service.witness(peer, self.echo);
    }
}
