//! Who has connected.

use std::{
    fmt, io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use socket2::Socket;

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Inet(SocketAddr),
    /// A process on this machine, where the system tells which.
    Unix(Option<Process>),
}

/// Who has connected a Unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    /// 0 for one that is out of our sight, in a PID namespace of its own.
    pid: i32,
    uid: u32,
}

impl Peer {
    /// The peer of a connected socket.
    pub(crate) fn of(socket: &Socket) -> io::Result<Self> {
        let address = socket.peer_addr()?;
        Ok(match address.as_socket() {
            Some(address) => Self::Inet(address),
            None => Self::Unix(Process::of(socket)),
        })
    }

    /// What `--max-per-peer` counts by: an IPv4 address, or the /64 that an IPv6 address is in,
    /// since whoever has one such address has all of them. Peers on Unix sockets are not counted:
    /// the permissions of the file say who may come.
    pub(crate) fn network(self) -> Option<IpAddr> {
        match self {
            Self::Inet(address) => Some(network(address.ip())),
            Self::Unix(_) => None,
        }
    }
}

/// The IPv4 address, or the /64 that an IPv6 address is in.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl Process {
    #[cfg(target_os = "linux")]
    fn of(socket: &Socket) -> Option<Self> {
        use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

        let process = getsockopt(socket, PeerCredentials).ok()?;
        Some(Self { pid: process.pid(), uid: process.uid() })
    }

    #[cfg(not(target_os = "linux"))]
    fn of(_socket: &Socket) -> Option<Self> {
        None
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // An IPv4 peer of a dual-stack listener looks like one.
            Self::Inet(address) => {
                SocketAddr::new(address.ip().to_canonical(), address.port()).fmt(f)
            }
            Self::Unix(Some(Process { pid, uid })) => write!(f, "unix:pid={pid},uid={uid}"),
            Self::Unix(None) => f.write_str("unix"),
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

    #[cfg(target_os = "linux")]
    #[test]
    fn a_peer_on_a_unix_socket_is_shown_by_process_and_user() {
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let peer = Peer::of(&ours.into()).unwrap();
        let (pid, uid) = (std::process::id(), rustix::process::getuid());
        assert_eq!(peer.to_string(), format!("unix:pid={pid},uid={uid}"));
        assert_eq!(peer.network(), None);
    }
}
