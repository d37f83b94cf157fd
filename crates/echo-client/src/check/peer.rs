//! Peers for tests: echo services that break one promise, and what a check says about them.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::atomic::AtomicBool,
    thread,
    time::Duration,
};

use echo_cli::Endpoint;

use super::{
    case::{Broken, Outcome, Seen},
    selection::battery,
    trial::Trial,
};
use crate::Connector;

/// A round trip on loopback, roughly.
const RTT: Duration = Duration::from_micros(100);

/// No longer than it has to be: for what never comes, tests wait so long.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A peer that serves until the test process ends.
#[derive(Debug)]
pub(super) struct Peer {
    address: SocketAddr,
}

impl Peer {
    /// Serves as it likes.
    pub(super) fn new(serve: impl FnOnce(TcpListener) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || serve(listener));
        Self { address }
    }

    /// Serves each connection, the first is 0, in a thread of its own.
    pub(super) fn each<S>(serve: S) -> Self
    where
        S: Fn(usize, TcpStream) -> io::Result<()> + Clone + Send + 'static,
    {
        Self::new(move |listener| {
            for (number, stream) in listener.incoming().flatten().enumerate() {
                let serve = serve.clone();
                thread::spawn(move || serve(number, stream));
            }
        })
    }

    /// Keeps all promises.
    pub(super) fn good() -> Self {
        Self::each(|_, stream| echo(stream))
    }

    pub(super) fn target(&self) -> Endpoint {
        Endpoint::Tcp { host: self.address.ip().to_string(), port: self.address.port() }
    }

    /// What a check of the battery says about it, as the report has it.
    pub(super) fn judged_by(&self, id: &str) -> (Outcome, String) {
        let check = battery().find(|check| check.id == id).unwrap();
        check.judge(self.seen_by(check.run))
    }

    /// What something that a check does has seen of it.
    pub(super) fn seen_by(
        &self,
        run: impl FnOnce(&Trial<'_>) -> Result<Seen, Broken>,
    ) -> Result<Seen, Broken> {
        let (target, connector) = (self.target(), Connector::default());
        let interrupted = AtomicBool::new(false);
        run(&Trial::new(&target, &connector, RTT, TIMEOUT, &interrupted))
    }
}

/// Asserts that each of these checks says so about its peer, with these words.
pub(super) fn assert_judged<const N: usize>(table: [(&str, Peer, Outcome, &str); N]) {
    for (id, peer, outcome, words) in table {
        let (judged, seen) = peer.judged_by(id);
        assert_eq!(judged, outcome, "{id}: {seen}");
        assert!(seen.contains(words), "{id}: {seen}");
    }
}

/// Asserts that a peer that keeps all promises passes a family.
pub(super) fn assert_good_passes(family: &str) {
    let peer = Peer::good();
    for check in battery().filter(|check| check.family() == family && !check.slow) {
        let (judged, seen) = peer.judged_by(check.id);
        assert_eq!(judged, Outcome::Pass, "{}: {seen}", check.id);
    }
}

/// Returns everything, then FIN.
pub(super) fn echo(mut stream: TcpStream) -> io::Result<()> {
    echo_up_to(&mut stream, usize::MAX)?;
    stream.shutdown(Shutdown::Write)
}

/// Returns so many bytes, or fewer when FIN comes before.
pub(super) fn echo_up_to(stream: &mut TcpStream, most: usize) -> io::Result<()> {
    let mut left = most;
    echo_changed(stream, |bytes| {
        bytes.truncate(left);
        left -= bytes.len();
        left > 0
    })
}

/// Returns what `change` makes of each chunk, until it says false, or FIN comes.
pub(super) fn echo_changed(
    stream: &mut TcpStream,
    mut change: impl FnMut(&mut Vec<u8>) -> bool,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 64 << 10];
    let mut goes_on = true;
    while goes_on {
        let n = stream.read(&mut buffer)?;
        let mut bytes = buffer[..n].to_vec();
        goes_on = n > 0 && change(&mut bytes);
        stream.write_all(&bytes)?;
    }
    Ok(())
}

/// FIN; what still comes in is taken and dropped.
pub(super) fn close(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    io::copy(&mut stream, &mut io::sink()).map(drop)
}

/// Closes with RST, whatever is in flight.
pub(super) fn reset(stream: TcpStream) -> io::Result<()> {
    socket2::Socket::from(stream).set_linger(Some(Duration::ZERO))
}

/// Loses what the peer does not take at once, as a write does whose result is not looked at.
pub(super) fn lossy() -> Peer {
    Peer::each(|_, mut stream| {
        let small = socket2::SockRef::from(&stream).set_send_buffer_size(4 << 10);
        let mut buffer = vec![0; 64 << 10];
        small?;
        loop {
            stream.set_nonblocking(false)?;
            let n = stream.read(&mut buffer)?;
            stream.set_nonblocking(true)?;
            match stream.write(&buffer[..n]) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ if n == 0 => return Ok(()),
                _ => {}
            }
        }
    })
}
