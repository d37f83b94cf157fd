//! A UDP endpoint: its socket, and the thread that answers on it.

use std::{
    io,
    net::SocketAddr,
    os::fd::AsFd,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use echo_cli::Endpoint;
use rustix::event::PollFlags;
use socket2::{Domain, Socket, Type};
use tracing::{debug, info, warn};

use super::{
    Datagrams,
    batch::{BATCH, Batch},
    guard::{Guard, Reason},
    rate::Rates,
};
use crate::{
    Summary,
    listener::{BindError, at_first_address, bound_to},
    service::Service,
    wait::wait,
};

/// Asked for, so that bursts find room; the system may give less (`net.core.rmem_max`).
const RECEIVE_BUFFER: usize = 4 << 20;

/// How long to wait after a receive has failed for no reason that we know.
const PAUSE: Duration = Duration::from_millis(100);

/// Batches that are answered after a shutdown has begun: what waits by then, and no flood.
const LAST_BATCHES: usize = 128;

/// A bound socket.
#[derive(Debug)]
pub(crate) struct UdpSocket {
    batch: Batch,
    address: SocketAddr,
}

/// The threads of all UDP endpoints.
#[derive(Debug)]
pub(crate) struct Endpoints(Vec<JoinHandle<io::Result<()>>>);

struct Worker {
    service: Arc<Service>,
    guard: Arc<Guard>,
    batch: Batch,
    done: Datagrams,
}

impl UdpSocket {
    /// Binds the endpoint at the first address of its host that can be had.
    pub(crate) fn bind(endpoint: &Endpoint, host: &str, port: u16) -> Result<Self, BindError> {
        let socket = bind(endpoint, host, port)?;
        let bound = bound_to(&socket).and_then(|address| Ok((Batch::new(socket)?, address)));
        let bound = bound.map_err(|source| BindError::new(endpoint, source));
        bound.map(|(batch, address)| Self { batch, address })
    }

    /// As announced, with the port that the system has chosen.
    pub(crate) fn endpoint(&self) -> String {
        format!("udp://{}", self.address)
    }
}

/// A socket of the endpoint, which does not wait, at the first address of its host that can be had.
pub(crate) fn bind(endpoint: &Endpoint, host: &str, port: u16) -> Result<Socket, BindError> {
    at_first_address((host, port), bind_at).map_err(|source| BindError::new(endpoint, source))
}

fn bind_at(address: SocketAddr) -> io::Result<Socket> {
    if address.ip().is_multicast() {
        let why = "datagrams to more than one machine are not answered";
        return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, why));
    }
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // As much as there is; less is no reason not to serve.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

impl Endpoints {
    /// Answers on each of `sockets` until a shutdown has begun.
    pub(crate) fn serve(sockets: Vec<UdpSocket>, service: &Arc<Service>) -> io::Result<Self> {
        let config = &service.config;
        let rates = Rates::new(config.udp_rate, config.udp_rate_total);
        let ours = sockets.iter().map(|socket| socket.address).collect();
        let guard = Arc::new(Guard::new(ours, rates));
        let mut threads = Vec::new();
        for UdpSocket { batch, .. } in sockets {
            let worker = Worker {
                service: Arc::clone(service),
                guard: Arc::clone(&guard),
                batch,
                done: Datagrams::default(),
            };
            threads.push(thread::Builder::new().name("udp".into()).spawn(|| worker.run())?);
        }
        Ok(Self(threads))
    }

    /// Waits until all have ended, which they do once a shutdown has begun, or they fail.
    pub(crate) fn join(self) -> io::Result<()> {
        let ended: Vec<_> = self.0.into_iter().map(JoinHandle::join).collect();
        let panicked = |_| io::Error::other("a UDP thread has panicked");
        ended.into_iter().try_for_each(|ended| ended.map_err(panicked)?)
    }
}

impl Worker {
    fn run(mut self) -> io::Result<()> {
        let answered = self.answer();
        if let Err(error) = &answered {
            // The rest of the service ends in good order.
            warn!(%error, "a UDP endpoint failed, ending");
            self.service.shutdown.begin();
        }
        self.service.settle(&Summary { datagrams: self.done, ..Summary::default() });
        answered
    }

    /// An error is one of waiting: then there is nothing left to be done.
    fn answer(&mut self) -> io::Result<()> {
        let mut last_batches = LAST_BATCHES;
        loop {
            let ends = self.service.shutdown.has_begun();
            if ends {
                let Some(fewer) = last_batches.checked_sub(1) else { return Ok(()) };
                last_batches = fewer;
            }
            let runs_dry = match self.turn() {
                Ok(received) => received < BATCH,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock if ends => return Ok(()),
                    io::ErrorKind::WouldBlock => true,
                    io::ErrorKind::Interrupted => false,
                    _ => self.failed(&error)?,
                },
            };
            if runs_dry && !ends {
                self.wait()?;
            }
        }
    }

    /// Receives a batch and answers it; returns how many there were.
    fn turn(&mut self) -> io::Result<usize> {
        let now = self.service.now();
        let Self { batch, guard, done, .. } = self;
        let mut answers = [0; BATCH];
        let mut answered = 0;
        let datagrams = batch.receive()?;
        let received = datagrams.len();
        for (at, datagram) in datagrams.iter().enumerate() {
            match guard.judge(datagram, now) {
                Ok(()) => {
                    answers[answered] = at;
                    answered += 1;
                }
                Err(reason) => done.drop(reason, datagram.source),
            }
        }
        done.received += u64::try_from(received).unwrap_or(u64::MAX);
        self.send_back(&answers[..answered]);
        Ok(received)
    }

    fn send_back(&mut self, mut answers: &[usize]) {
        while let [first, others @ ..] = answers {
            match self.batch.send_back(answers) {
                Ok(sent) => {
                    let sent = sent.clamp(1, answers.len());
                    self.done.returned += u64::try_from(sent).unwrap_or(u64::MAX);
                    answers = &answers[sent..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let source = self.batch.datagrams()[*first].source;
                    debug!(%source, %error, "cannot answer");
                    self.done.drop(Reason::Unsent, source);
                    answers = others;
                }
            }
        }
    }

    /// Until there is a datagram, or a shutdown has begun.
    fn wait(&self) -> io::Result<()> {
        let datagrams = (self.batch.as_fd(), PollFlags::IN);
        wait([datagrams, (self.service.shutdown.as_fd(), PollFlags::IN)], None).map(drop)
    }

    /// What the network says of an answer, such as that nobody is there (ICMP), may be told to who
    /// receives next: nothing to wait for. After anything else, such as a lack of memory, pauses.
    /// Returns whether to wait for datagrams.
    fn failed(&self, error: &io::Error) -> io::Result<bool> {
        use io::ErrorKind as E;

        let of_network =
            [E::ConnectionRefused, E::ConnectionReset, E::HostUnreachable, E::NetworkUnreachable];
        debug!(%error, "cannot receive");
        if !of_network.contains(&error.kind()) {
            let until = Instant::now().checked_add(PAUSE);
            wait([(self.service.shutdown.as_fd(), PollFlags::IN)], until)?;
        }
        Ok(false)
    }
}

impl Datagrams {
    /// Counts one that is not answered. The first of each kind is told.
    fn drop(&mut self, reason: Reason, source: SocketAddr) {
        let dropped = &mut self.dropped;
        let (count, why) = match reason {
            Reason::Truncated => (&mut dropped.truncated, "longer than a datagram can be"),
            Reason::ServicePort => {
                (&mut dropped.service_port, "its source port is that of a service")
            }
            Reason::NotUnicast => (&mut dropped.not_unicast, "broadcast or multicast"),
            Reason::SourceRate => (&mut dropped.source_rate, "over --udp-rate"),
            Reason::TotalRate => (&mut dropped.total_rate, "over --udp-rate-total"),
            Reason::Ourselves => (&mut dropped.ourselves, "it claims to come from ourselves"),
            Reason::Unsent => (&mut dropped.unsent, "the system does not take the answer"),
        };
        *count += 1;
        if *count == 1 {
            info!(%source, why, "a datagram is dropped; more of these are only counted");
        }
    }
}
