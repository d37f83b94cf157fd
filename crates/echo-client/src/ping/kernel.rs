//! What the kernel knows of a TCP connection: its smoothed round-trip time, from `tcp_info`.
//!
//! ```text
//! ask     | nlmsghdr: 16 | inet_diag_req_v2: 56 |                      sock_diag(7)
//! answer  | nlmsghdr: 16 | inet_diag_msg: 72 | attribute | attribute | ...
//! ```
//!
//! It is asked over netlink, which safe code can do, instead of with `getsockopt`.

use std::{net::SocketAddr, os::fd::OwnedFd, time::Duration};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};
use socket2::Socket;

const HEADER: usize = 16;
const REQUEST: usize = 56;

/// `struct inet_diag_msg`: the attributes come after it.
const ANSWER: usize = 72;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const IPPROTO_TCP: u8 = 6;
const INET_DIAG_NOCOOKIE: [u8; 8] = [0xff; 8];

/// The attribute that is a `struct tcp_info`.
const INET_DIAG_INFO: u16 = 2;

/// Where in it `tcpi_rtt` is: a u32 of microseconds.
const TCPI_RTT: usize = 68;

/// One connection's entry in the kernel's books.
pub(super) struct KernelView {
    netlink: OwnedFd,
    request: [u8; HEADER + REQUEST],
}

impl KernelView {
    /// None for what is not TCP, and where the kernel does not tell.
    pub(super) fn of(socket: &Socket) -> Option<Self> {
        if socket.r#type().ok()? != socket2::Type::STREAM {
            return None;
        }
        let local = socket.local_addr().ok()?.as_socket()?;
        let peer = socket.peer_addr().ok()?.as_socket()?;
        let (family, kind) = (AddressFamily::NETLINK, SocketType::DGRAM);
        let netlink =
            socket_with(family, kind, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG)).ok()?;
        Some(Self { netlink, request: request(local, peer) })
    }

    /// The round-trip time that TCP reckons with.
    pub(super) fn rtt(&self) -> Option<Duration> {
        send(&self.netlink, &self.request, SendFlags::empty()).ok()?;
        let mut answer = [0; 4096];
        // It is there once the request has been sent.
        let (len, _) = recv(&self.netlink, &mut answer[..], RecvFlags::DONTWAIT).ok()?;
        let mut attributes = answer.get(HEADER + ANSWER..len)?;
        loop {
            let len = usize::from(u16::from_ne_bytes(*attributes.first_chunk()?));
            let kind = u16::from_ne_bytes(*attributes.get(2..)?.first_chunk()?);
            if kind == INET_DIAG_INFO {
                let rtt = attributes.get(4..len)?.get(TCPI_RTT..)?.first_chunk()?;
                let micros = u32::from_ne_bytes(*rtt);
                return (micros > 0).then(|| Duration::from_micros(micros.into()));
            }
            // An attribute of no length would have us look at it for ever.
            attributes = attributes.get(len.next_multiple_of(4).max(4)..)?;
        }
    }
}

/// Asks for one connection by its addresses.
fn request(local: SocketAddr, peer: SocketAddr) -> [u8; HEADER + REQUEST] {
    let mut request = [0; HEADER + REQUEST];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        request[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(&72_u32.to_ne_bytes());
    put(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    put(&NLM_F_REQUEST.to_ne_bytes());
    put(&[0; 8]); // sequence number and sender
    let family = if local.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let family = family.as_raw().to_le_bytes()[0];
    put(&[family, IPPROTO_TCP, 1 << (INET_DIAG_INFO - 1), 0]);
    put(&[0xff; 4]); // in any state
    put(&local.port().to_be_bytes());
    put(&peer.port().to_be_bytes());
    put(&octets(local));
    put(&octets(peer));
    put(&[0; 4]); // on any interface
    put(&INET_DIAG_NOCOOKIE);
    request
}

/// An IPv4 address is the first four bytes.
fn octets(address: SocketAddr) -> [u8; 16] {
    match address {
        SocketAddr::V6(address) => address.ip().octets(),
        SocketAddr::V4(address) => {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&address.ip().octets());
            octets
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[test]
    fn the_kernel_tells_the_round_trip_time_of_both_ip_versions() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let mut theirs = listener.accept().unwrap().0;
            for _ in 0..10 {
                ours.write_all(b"x").unwrap();
                theirs.read_exact(&mut [0]).unwrap();
                theirs.write_all(b"x").unwrap();
                ours.read_exact(&mut [0]).unwrap();
            }
            let rtt = KernelView::of(&ours.into()).unwrap().rtt();
            assert!(rtt.is_some_and(|rtt| rtt < Duration::from_secs(10)), "{address}: {rtt:?}");
        }
    }
}
