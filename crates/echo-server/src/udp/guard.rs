//! Which datagrams are answered.
//!
//! Whoever can write a false source address can have an echo service send to anybody: to a service
//! that answers, and the two go on for ever (CVE-2024-2169), or to a whole network at once. So there
//! is no answer to services, to ourselves, to and from more than one machine; and never more of
//! them than the rates allow, which is what bounds a loop with a service on a high port. No answer
//! is longer than what it answers.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::{
    Datagram,
    rate::{Over, Rates},
};

/// Source ports below this are those of services, not of clients.
const FIRST_CLIENT_PORT: u16 = 1024;

/// What all UDP endpoints of a service share.
#[derive(Debug)]
pub(crate) struct Guard {
    /// Where our endpoints are.
    ours: Vec<SocketAddr>,
    rates: Mutex<Rates>,
}

/// Why a datagram is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Truncated,
    ServicePort,
    NotUnicast,
    SourceRate,
    TotalRate,
    Ourselves,
    Unsent,
}

impl Guard {
    pub(crate) fn new(ours: Vec<SocketAddr>, rates: Rates) -> Self {
        Self { ours, rates: Mutex::new(rates) }
    }

    /// Whether a datagram that came at `now` is to be answered; then it is counted.
    pub(crate) fn judge(&self, datagram: &Datagram, now: Duration) -> Result<(), Reason> {
        let source = datagram.source;
        if datagram.is_truncated {
            return Err(Reason::Truncated);
        }
        if source.port() < FIRST_CLIENT_PORT {
            return Err(Reason::ServicePort);
        }
        if !datagram.to_us_alone || !is_one_machine(source.ip()) {
            return Err(Reason::NotUnicast);
        }
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.take(source.ip(), now).map_err(|over| match over {
            Over::Source => Reason::SourceRate,
            Over::Total => Reason::TotalRate,
        })?;
        drop(rates);
        // The last, since it may ask the system.
        if self.ours.iter().any(|ours| is_at(*ours, source)) {
            return Err(Reason::Ourselves);
        }
        Ok(())
    }
}

fn is_one_machine(source: IpAddr) -> bool {
    let source = source.to_canonical();
    let is_broadcast = matches!(source, IpAddr::V4(v4) if v4.is_broadcast());
    !(source.is_multicast() || source.is_unspecified() || is_broadcast)
}

/// Whether `source` is where the endpoint bound to `ours` is.
fn is_at(ours: SocketAddr, source: SocketAddr) -> bool {
    let (ours_ip, source_ip) = (ours.ip().to_canonical(), source.ip().to_canonical());
    ours.port() == source.port()
        && (ours_ip == source_ip || ours_ip.is_unspecified() && is_this_machine(source_ip))
}

/// Only an address that this machine has can be bound; when it cannot be tried, it may be ours.
fn is_this_machine(address: IpAddr) -> bool {
    match UdpSocket::bind((address, 0)) {
        Ok(_) => true,
        Err(error) => error.kind() != std::io::ErrorKind::AddrNotAvailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(source: &str) -> Result<(), Reason> {
        let ours = ["127.0.0.1:7001", "0.0.0.0:7002", "[::]:7003"];
        let ours = ours.map(|ours| ours.parse().unwrap()).to_vec();
        let datagram = Datagram {
            source: source.parse().unwrap(),
            to_us_alone: true,
            is_truncated: false,
            len: 1,
        };
        Guard::new(ours, Rates::new(None, None)).judge(&datagram, Duration::ZERO)
    }

    #[test]
    fn only_clients_on_one_machine_other_than_ourselves_are_answered() {
        for (source, verdict) in [
            ("192.0.2.1:1024", Ok(())),
            ("192.0.2.1:1023", Err(Reason::ServicePort)),
            ("192.0.2.1:0", Err(Reason::ServicePort)),
            ("255.255.255.255:2000", Err(Reason::NotUnicast)),
            ("239.1.2.3:2000", Err(Reason::NotUnicast)),
            ("0.0.0.0:2000", Err(Reason::NotUnicast)),
            ("[ff02::1]:2000", Err(Reason::NotUnicast)),
            ("[::ffff:239.1.2.3]:2000", Err(Reason::NotUnicast)),
            ("127.0.0.1:7001", Err(Reason::Ourselves)),
            ("[::ffff:127.0.0.1]:7001", Err(Reason::Ourselves)),
            ("127.0.0.1:7004", Ok(())),
            ("127.0.0.2:7001", Ok(())),
            // An endpoint on every address is on every one that this machine has, and on no other.
            ("127.0.0.9:7002", Err(Reason::Ourselves)),
            ("192.0.2.1:7002", Ok(())),
            ("[::1]:7003", Err(Reason::Ourselves)),
            ("[2001:db8::1]:7003", Ok(())),
        ] {
            assert_eq!(judge(source), verdict, "{source}");
        }
    }
}
