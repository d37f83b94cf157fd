//! Many datagrams in one system call, each with the address that it was sent to (recvmmsg(2),
//! sendmmsg(2), `IP_PKTINFO` of ip(7), `IPV6_PKTINFO` of ipv6(7)).
//!
//! An answer has to come from the address that the question was sent to; a socket that is bound to
//! every address would take the one that the route has. So the answers of a batch go out in groups,
//! one for each of our addresses.

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use nix::{
    cmsg_space, libc,
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage,
        recvmmsg, sendmmsg, setsockopt,
        sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo},
    },
};
use socket2::Socket;

use super::Datagram;
use crate::listener::bound_to;

/// Datagrams in one system call.
pub(super) const BATCH: usize = 32;

/// More than any datagram has without an extension that nobody uses (RFC 2675).
const BUFFER_SIZE: usize = 1 << 16;

/// A socket's datagrams of one system call, and room for the next.
#[derive(Debug)]
pub(super) struct Batch {
    socket: Socket,
    is_on_every_address: bool,
    /// `BATCH` times `BUFFER_SIZE`. What no datagram has ever been long enough for costs no memory.
    buffers: Vec<u8>,
    datagrams: Vec<Datagram>,
    /// Of each: where the answer goes.
    ways: Vec<Way>,
}

#[derive(Debug, Clone, Copy)]
struct Way {
    to: SockaddrStorage,
    /// From which of our addresses; `None` leaves it to the system.
    from: Option<Local>,
}

/// An address of ours that a datagram was sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Local {
    address: IpAddr,
    /// Of link-local addresses, which mean nothing without; else 0.
    interface: u32,
}

impl Batch {
    /// For a non-blocking UDP socket of ours.
    pub(super) fn new(socket: Socket) -> io::Result<Self> {
        let address = bound_to(&socket)?;
        // On a dual-stack socket, for its IPv4 datagrams.
        setsockopt(&socket, Ipv4PacketInfo, &true)?;
        if address.is_ipv6() {
            setsockopt(&socket, Ipv6RecvPacketInfo, &true)?;
        }
        Ok(Self {
            socket,
            is_on_every_address: address.ip().is_unspecified(),
            buffers: vec![0; BATCH * BUFFER_SIZE],
            datagrams: Vec::new(),
            ways: Vec::new(),
        })
    }

    /// Receives what waits, at most a batch.
    pub(super) fn receive(&mut self) -> io::Result<&[Datagram]> {
        self.datagrams.clear();
        self.ways.clear();
        // New ones every time: the system writes how much it used of each into them, and the next
        // time that would be all it may use.
        let control = cmsg_space!(libc::in_pktinfo, libc::in6_pktinfo);
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, Some(control));
        let mut buffers: Vec<_> = self
            .buffers
            .chunks_exact_mut(BUFFER_SIZE)
            .map(|buffer| [IoSliceMut::new(buffer)])
            .collect();
        let fd = self.socket.as_raw_fd();
        let flags = MsgFlags::MSG_DONTWAIT;
        let messages = recvmmsg(fd, &mut headers, buffers.iter_mut(), flags, None)?;
        for message in messages {
            let (datagram, way) = read(&message);
            self.datagrams.push(datagram);
            self.ways.push(Way { from: way.from.filter(|_| self.is_on_every_address), ..way });
        }
        Ok(&self.datagrams)
    }

    /// What was received last.
    pub(super) fn datagrams(&self) -> &[Datagram] {
        &self.datagrams
    }

    /// Sends back those of the batch at `which`, as many as one system call takes; at least one.
    pub(super) fn send_back(&mut self, which: &[usize]) -> io::Result<usize> {
        let from = which.first().and_then(|first| self.ways[*first].from);
        let (mut buffers, mut addresses) = (Vec::new(), Vec::new());
        for at in which.iter().copied().take_while(|at| self.ways[*at].from == from) {
            let bytes = &self.buffers[at * BUFFER_SIZE..][..self.datagrams[at].len];
            buffers.push([IoSlice::new(bytes)]);
            addresses.push(Some(self.ways[at].to));
        }
        let fd = self.socket.as_raw_fd();
        let send = |control: &[ControlMessage<'_>], space| {
            let mut headers = MultiHeaders::preallocate(buffers.len(), space);
            sendmmsg(fd, &mut headers, &buffers, &addresses, control, MsgFlags::MSG_DONTWAIT)
                .map(Iterator::count)
        };
        let sent = match from {
            None => send(&[], None),
            Some(Local { address: IpAddr::V4(v4), .. }) => {
                let info = packet_info_v4(v4);
                send(&[ControlMessage::Ipv4PacketInfo(&info)], Some(cmsg_space!(libc::in_pktinfo)))
            }
            Some(Local { address: IpAddr::V6(v6), interface }) => {
                let info = packet_info_v6(v6, interface);
                send(&[ControlMessage::Ipv6PacketInfo(&info)], Some(cmsg_space!(libc::in6_pktinfo)))
            }
        };
        Ok(sent?)
    }
}

impl AsFd for Batch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What a received message says beside its bytes.
fn read(message: &RecvMsg<'_, '_, SockaddrStorage>) -> (Datagram, Way) {
    let mut local = None;
    let mut to_us_alone = false;
    for control in message.cmsgs().into_iter().flatten() {
        match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                // What a broadcast or multicast is sent to is no address of ours.
                to_us_alone = info.ipi_addr.s_addr == info.ipi_spec_dst.s_addr;
                local = Some(Local {
                    address: Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()).into(),
                    interface: 0,
                });
                break; // with an IPv4 address, IPv6 has less to say
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                let is_link_local = address.is_unicast_link_local();
                to_us_alone = !address.is_multicast();
                local = Some(Local {
                    address: address.into(),
                    interface: if is_link_local { info.ipi6_ifindex } else { 0 },
                });
            }
            _ => {}
        }
    }
    let from = message.address.unwrap_or_else(|| nowhere().into());
    let datagram = Datagram {
        source: address_of(&from).unwrap_or_else(nowhere),
        to_us_alone,
        is_truncated: message.flags.contains(MsgFlags::MSG_TRUNC),
        len: message.bytes,
    };
    (datagram, Way { to: from, from: local })
}

/// Where no datagram comes from.
fn nowhere() -> SocketAddr {
    SocketAddr::from(([0; 4], 0))
}

fn address_of(from: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = from.as_sockaddr_in().map(|v4| SocketAddrV4::from(*v4).into());
    v4.or_else(|| from.as_sockaddr_in6().map(|v6| SocketAddrV6::from(*v6).into()))
}

fn packet_info_v4(address: Ipv4Addr) -> libc::in_pktinfo {
    let [address, none] = [address, Ipv4Addr::UNSPECIFIED]
        .map(|address| libc::in_addr { s_addr: u32::from_ne_bytes(address.octets()) });
    libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: address, ipi_addr: none }
}

fn packet_info_v6(address: Ipv6Addr, interface: u32) -> libc::in6_pktinfo {
    let ipi6_addr = libc::in6_addr { s6_addr: address.octets() };
    libc::in6_pktinfo { ipi6_addr, ipi6_ifindex: interface }
}
