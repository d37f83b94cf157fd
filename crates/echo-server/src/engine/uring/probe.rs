//! Whether this kernel has an io_uring that does what we rely on: tried out, rather than read off a
//! version number.
//!
//! On a pair of sockets, something is received into a provided buffer and sent back from there. It
//! has to arrive, and not to be answered. Then so much is sent that not all of it can go: what is
//! answered has to be what did.

use std::{
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    time::Duration,
};

use socket2::SockRef;

use super::{
    driver::{Completion, Group, Lease, Received, Request, Ring},
    ring::{Batch, Uring, Wait},
};
use crate::slots::Key;

/// No answer of the kernel takes that long.
const PATIENCE: Duration = Duration::from_secs(1);

/// So little room for what is sent that a large buffer cannot go at once.
const ROOM: usize = 4 << 10;

/// Whether a ring can be had, and works.
///
/// # Errors
/// Why not.
pub(crate) fn probe() -> io::Result<()> {
    let mut ring = Uring::new(false)?;
    ring.enable()?;
    let (ours, peer) = UnixStream::pair()?;
    SockRef::from(&ours).set_send_buffer_size(ROOM)?;
    peer.set_nonblocking(true)?;
    Probe { ring, socket: ours.into(), peer }.run()
}

struct Probe {
    ring: Uring,
    socket: OwnedFd,
    peer: UnixStream,
}

const KEY: Key = Key { index: 0, generation: 0 };

impl Probe {
    fn run(mut self) -> io::Result<()> {
        let Self { ring, socket, .. } = &mut self;
        ring.push(KEY, Request::Receive { socket, group: Group::Large });
        self.peer.write_all(b"x")?;
        let lease = match self.completion()? {
            Some(Completion::Received(Received {
                result: 1,
                lease: Some(lease),
                goes_on: true,
                ..
            })) => lease,
            Some(Completion::Received(Received { result, .. })) if result < 0 => {
                return Err(io::Error::from_raw_os_error(-result));
            }
            _ => return Err(unlike("receives")),
        };
        let whole = self.send(&lease, 1)?;
        if whole.is_some() || self.arrived()? != 1 {
            return Err(unlike("sends"));
        }
        let sent = self.send(&lease, Group::Large.buffers().size)?;
        let arrived = self.arrived()?;
        if arrived == 0 || sent != i32::try_from(arrived).ok() {
            return Err(unlike("sends in part"));
        }
        self.ring.give_back(lease);
        self.ring.push(KEY, Request::CancelReceive);
        match self.completion()? {
            Some(Completion::Received(Received { goes_on: false, .. })) => Ok(()),
            _ => Err(unlike("cancels")),
        }
    }

    /// Sends at once; returns the answer, if there is one.
    fn send(&mut self, lease: &Lease, end: u32) -> io::Result<Option<i32>> {
        let Self { ring, socket, .. } = self;
        ring.push(KEY, Request::SendNow { socket, lease, start: 0, end });
        ring.enter(Wait::Submit)?;
        let mut batch = Batch::default();
        ring.reap(&mut batch);
        match batch.connections.pop() {
            None => Ok(None),
            Some((KEY, Completion::NotSent { result })) => Ok(Some(result)),
            _ => Err(unlike("sends")),
        }
    }

    fn completion(&mut self) -> io::Result<Option<Completion>> {
        let mut batch = Batch::default();
        self.ring.enter(Wait::AtMost(PATIENCE))?;
        self.ring.reap(&mut batch);
        Ok(batch.connections.pop().map(|(_, completion)| completion))
    }

    /// How many bytes the peer finds.
    fn arrived(&mut self) -> io::Result<usize> {
        let mut bytes = vec![0; Group::Large.buffers().size as usize];
        let mut arrived = 0;
        loop {
            match self.peer.read(&mut bytes) {
                Ok(n) => arrived += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(arrived),
                Err(error) => return Err(error),
            }
        }
    }
}

fn unlike(what: &str) -> io::Error {
    let what = format!("it {what} in another way than it should");
    io::Error::new(io::ErrorKind::Unsupported, what)
}
