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

/// As long as a broken peer is waited for; a good one is never so late.
const TIMEOUT: Duration = Duration::from_millis(500);

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
        check.judge(self.try_on(TIMEOUT, check.run))
    }

    /// What something that a check does sees of it, with so much patience.
    pub(super) fn try_on(
        &self,
        timeout: Duration,
        run: impl FnOnce(&Trial<'_>) -> Result<Seen, Broken>,
    ) -> Result<Seen, Broken> {
        let (target, connector) = (self.target(), Connector::default());
        let interrupted = AtomicBool::new(false);
        run(&Trial::new(&target, &connector, RTT, timeout, &interrupted))
    }
}

/// Returns everything, then FIN.
pub(super) fn echo(mut stream: TcpStream) -> io::Result<()> {
    echo_up_to(&mut stream, usize::MAX)?;
    stream.shutdown(Shutdown::Write)
}

/// Returns so many bytes, or fewer when FIN comes before.
pub(super) fn echo_up_to(stream: &mut TcpStream, most: usize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 64 << 10];
    let mut left = most;
    while left > 0 {
        let room = left.min(buffer.len());
        let n = stream.read(&mut buffer[..room])?;
        if n == 0 {
            break;
        }
        stream.write_all(&buffer[..n])?;
        left -= n;
    }
    Ok(())
}

/// Closes with RST, whatever is in flight.
pub(super) fn reset(stream: TcpStream) -> io::Result<()> {
    socket2::Socket::from(stream).set_linger(Some(Duration::ZERO))
}
