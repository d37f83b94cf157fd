//! Who has connected.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Inet(SocketAddr),
}

impl Peer {
    /// What `--max-per-peer` counts by: an IPv4 address, or the /64 that an IPv6 address is in,
    /// since whoever has one such address has all of them.
    pub(crate) fn network(self) -> Option<IpAddr> {
        let Self::Inet(address) = self;
        Some(match address.ip().to_canonical() {
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // An IPv4 peer of a dual-stack listener looks like one.
            Self::Inet(address) => {
                SocketAddr::new(address.ip().to_canonical(), address.port()).fmt(f)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer::Inet(address.parse().unwrap())
    }

    #[test]
    fn peers_are_counted_by_what_one_of_them_can_have_many_of() {
        assert_eq!(peer("192.0.2.1:1").network(), peer("192.0.2.1:2").network());
        assert_ne!(peer("192.0.2.1:1").network(), peer("192.0.2.2:1").network());
        assert_eq!(peer("[2001:db8::1]:1").network(), peer("[2001:db8::ffff:1]:1").network());
        assert_ne!(peer("[2001:db8::1]:1").network(), peer("[2001:db8:0:1::1]:1").network());
        assert_eq!(peer("[::ffff:192.0.2.1]:1").network(), peer("192.0.2.1:1").network());
    }

    #[test]
    fn an_ipv4_peer_is_shown_as_one_also_when_it_came_by_ipv6() {
        assert_eq!(peer("[::ffff:192.0.2.1]:80").to_string(), "192.0.2.1:80");
    }
}
