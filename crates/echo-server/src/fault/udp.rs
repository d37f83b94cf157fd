//! A UDP endpoint that misbehaves: it receives, spoils and sends by itself, one datagram at a time.
//!
//! Who may be answered, and how often, is decided as for every other endpoint: two services that
//! duplicate what they get would otherwise fill a network.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    os::fd::AsFd,
    sync::Arc,
    time::Instant,
};

use rustix::event::PollFlags;
use tracing::debug;

use super::datagrams::{Answers, Datagram, DatagramSpoiler};
use crate::{
    service::Service,
    udp::{self, Guard, Rates},
    wait::wait,
};

/// More than a datagram can have.
const BUFFER_SIZE: usize = 1 << 16;

/// One endpoint, and where its answers come from when they come from elsewhere.
#[derive(Debug)]
pub(super) struct Endpoint {
    socket: UdpSocket,
    elsewhere: UdpSocket,
    address: SocketAddr,
}

impl Endpoint {
    /// For a non-blocking socket.
    pub(super) fn new(socket: UdpSocket) -> io::Result<Self> {
        let address = socket.local_addr()?;
        let elsewhere = UdpSocket::bind((address.ip(), 0))?;
        elsewhere.set_nonblocking(true)?;
        Ok(Self { socket, elsewhere, address })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until a shutdown has begun.
    pub(super) fn run(
        self,
        service: &Arc<Service>,
        ours: Vec<SocketAddr>,
        spoiler: &mut dyn DatagramSpoiler,
    ) -> io::Result<()> {
        let config = &service.config;
        let guard = Guard::new(ours, Rates::new(config.udp_rate, config.udp_rate_total));
        let mut answers = Answers::new(Instant::now());
        let mut buffer = vec![0; BUFFER_SIZE];
        while !service.shutdown.has_begun() {
            let now = Instant::now();
            answers.tick(now);
            if spoiler.due().is_some_and(|due| due <= now) {
                spoiler.late(&mut answers);
            }
            while let Some(answer) = answers.next() {
                let socket = if answer.from_elsewhere { &self.elsewhere } else { &self.socket };
                if let Err(error) = socket.send_to(&answer.payload, answer.peer) {
                    debug!(peer = %answer.peer, %error, "cannot answer");
                }
            }
            match self.socket.recv_from(&mut buffer) {
                Ok((len, peer)) => {
                    let (to_us_alone, is_truncated) = (true, false); // as far as we can tell
                    let seen = udp::Datagram { source: peer, to_us_alone, is_truncated, len };
                    if guard.judge(&seen, service.now()).is_ok() {
                        let payload = buffer[..len].to_vec();
                        let datagram = Datagram { peer, payload, from_elsewhere: false };
                        spoiler.received(datagram, &mut answers);
                    }
                    continue; // there may be more, or an answer
                }
                // Such as what the network says of an answer (ICMP): nothing to wait for.
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => continue,
                Err(_) => {}
            }
            let due = [spoiler.due(), answers.due()].into_iter().flatten().min();
            let shutdown = (service.shutdown.as_fd(), PollFlags::IN);
            wait([shutdown, (self.socket.as_fd(), PollFlags::IN)], due)?;
        }
        Ok(())
    }
}
