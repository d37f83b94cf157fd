//! Datagrams that came back and that our own sockets had no room for: the system counts them.
//!
//! ```text
//! path ──▶ socket's receive buffer ──▶ us
//!              └─ full: dropped, by us and not by the path
//! ```
//!
//! On Linux the count of each socket is the last column of `/proc/net/udp` and `udp6` (proc(5)), which
//! tells sockets apart by their inodes. Nothing is asked while messages flow.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead, BufReader},
};

use super::stream::Stream;

/// Where the system tells.
const TABLES: [&str; 2] = ["/proc/net/udp", "/proc/net/udp6"];

/// Which columns of a line are the inode and the count.
const INODE: usize = 9;
const DROPS: usize = 12;

/// The sockets of a load, kept open until they have been asked.
pub(super) struct ReceiveBuffers(Vec<Stream>);

impl ReceiveBuffers {
    /// Those of some connections.
    pub(super) fn of<'a>(streams: impl Iterator<Item = &'a Stream>) -> Self {
        Self(streams.cloned().collect())
    }

    /// How many datagrams they have dropped since they were opened; none where the system does not
    /// tell.
    pub(super) fn dropped(&self) -> Option<u64> {
        let inodes: Option<BTreeSet<u64>> = self.0.iter().map(Stream::inode).collect();
        let inodes = inodes?;
        let (mut found, mut dropped) = (0, 0);
        // A system without IPv6 has no table for it.
        for table in TABLES.iter().filter_map(|table| File::open(table).ok()) {
            for line in BufReader::new(table).lines().map_while(Result::ok) {
                let Some((inode, drops)) = count(&line) else { continue };
                if inodes.contains(&inode) {
                    found += 1;
                    dropped += drops;
                }
            }
        }
        (found == inodes.len()).then_some(dropped)
    }
}

/// A line's inode and count; its header has none.
fn count(line: &str) -> Option<(u64, u64)> {
    let mut columns = line.split_ascii_whitespace();
    let inode = columns.nth(INODE)?.parse().ok()?;
    let drops = columns.nth(DROPS - INODE - 1)?.parse().ok()?;
    Some((inode, drops))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{io::Read, net::UdpSocket};

    use super::*;

    #[test]
    fn what_a_full_socket_drops_is_counted_and_nothing_else() {
        for host in ["127.0.0.1", "::1"] {
            let Ok(service) = UdpSocket::bind((host, 0)) else { continue };
            let sockets = [0; 3].map(|_| {
                let socket = UdpSocket::bind((host, 0)).unwrap();
                socket.connect(service.local_addr().unwrap()).unwrap();
                socket2::Socket::from(socket)
            });
            let addresses = sockets.each_ref().map(|it| it.local_addr().unwrap().as_socket());
            sockets.iter().for_each(|socket| socket.set_recv_buffer_size(8192).unwrap());
            let mut streams = sockets.map(|socket| Stream::try_from(socket).unwrap());
            let buffers = ReceiveBuffers::of(streams[1..].iter());
            assert_eq!(buffers.dropped(), Some(0));
            for address in addresses.into_iter().flatten() {
                for _ in 0..200 {
                    service.send_to(&[0; 500], address).unwrap();
                }
            }
            // The first one is not asked, and drops as well.
            let [_, some, others] = &mut streams;
            let mut received = 0;
            for stream in [some, others] {
                while stream.read(&mut [0; 500]).is_ok() {
                    received += 1;
                }
            }
            assert!(received < 400, "the buffers are too large");
            assert_eq!(buffers.dropped(), Some(400 - received), "{host}");
        }
    }
}
