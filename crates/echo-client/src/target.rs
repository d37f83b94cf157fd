//! Connecting to an echo service: TCP, UDP or a Unix socket, all as one kind of socket.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    time::Duration,
};

use clap::Args;
use echo_cli::Endpoint;
use socket2::{Domain, SockAddr, Socket, Type};
use thiserror::Error;
use tracing::debug;

/// How connections are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct Connector {
    /// How long connecting may take, for each of the target's addresses
    #[arg(long, value_name = "DUR", default_value = "5s", global = true,
          value_parser = echo_cli::positive_duration)]
    pub connect_timeout: Duration,

    /// Use the target's IPv4 addresses only
    #[arg(short = '4', long, global = true, conflicts_with = "ipv6")]
    pub ipv4: bool,

    /// Use the target's IPv6 addresses only
    #[arg(short = '6', long, global = true)]
    pub ipv6: bool,

    /// Connect from this address of this machine
    #[arg(long, value_name = "IP", global = true)]
    pub source: Option<IpAddr>,
}

impl Default for Connector {
    /// Any address, from any address, within 5 s.
    fn default() -> Self {
        let connect_timeout = Duration::from_secs(5);
        Self { connect_timeout, ipv4: false, ipv6: false, source: None }
    }
}

/// The service cannot be reached.
#[derive(Debug, Error)]
#[error("cannot connect to {target}")]
pub struct ConnectError {
    target: Endpoint,
    source: io::Error,
    /// The mistake is in what was asked for, and this is what to do about it.
    local: Option<&'static str>,
}

impl ConnectError {
    pub(crate) fn new(target: &Endpoint, source: io::Error) -> Self {
        Self { target: target.clone(), source, local: None }
    }

    /// Why, in the system's words.
    pub(crate) fn cause(&self) -> String {
        self.source.to_string()
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match (self.local, self.source.kind(), &self.target) {
            (Some(fix), ..) => fix,
            (None, io::ErrorKind::NotFound, Endpoint::Unix { .. }) => {
                "no socket has this path: start the server, or check the path"
            }
            (None, io::ErrorKind::ConnectionRefused, Endpoint::Unix { .. }) => {
                "nobody listens there any more: start the server"
            }
            (None, io::ErrorKind::PermissionDenied, Endpoint::Unix { .. }) => {
                "ask for write permission on the socket"
            }
            (None, io::ErrorKind::ConnectionRefused, _) => {
                "nobody listens there: start the server, or check the port"
            }
            (None, io::ErrorKind::TimedOut, _) => {
                "no answer within --connect-timeout: check the address and what filters the path"
            }
            _ => "check the address",
        }
    }

    /// True when what was asked for cannot be, whatever the path does.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.local.is_some()
    }
}

impl Connector {
    /// Connects to the first address of the target's host that answers. A UDP socket is connected
    /// without a datagram: whether anybody is there is not known yet.
    ///
    /// # Errors
    /// [`ConnectError`] of the last address tried.
    pub fn connect(&self, target: &Endpoint) -> Result<Socket, ConnectError> {
        self.try_connect(target).map_err(|Failure { source, local }| ConnectError {
            target: target.clone(),
            source,
            local,
        })
    }

    fn try_connect(&self, target: &Endpoint) -> Result<Socket, Failure> {
        let (host, port, kind) = match target {
            Endpoint::Tcp { host, port } => (host, *port, Type::STREAM),
            Endpoint::Udp { host, port } => (host, *port, Type::DGRAM),
            Endpoint::Unix { path } => {
                if self.ipv4 || self.ipv6 || self.source.is_some() {
                    let why = io::Error::other("a Unix socket has no IP address");
                    return Err(Failure::local(why, "leave out -4, -6 and --source"));
                }
                return Ok(self.connect_unix(&SockAddr::unix(path)?)?);
            }
            _ => return Err(io::Error::from(io::ErrorKind::Unsupported).into()),
        };
        let mut last = None;
        let mut found = false;
        for address in (host.as_str(), port).to_socket_addrs()? {
            found = true;
            if self.suits(address.ip()) {
                match self.connect_ip(address, kind) {
                    Ok(socket) => return Ok(socket),
                    Err(failure) => last = Some(failure),
                }
            }
        }
        Err(last.unwrap_or_else(|| self.no_address(found)))
    }

    fn suits(&self, address: IpAddr) -> bool {
        let asked = if self.ipv6 { address.is_ipv6() } else { !self.ipv4 || address.is_ipv4() };
        asked && self.source.is_none_or(|source| source.is_ipv4() == address.is_ipv4())
    }

    fn no_address(&self, found: bool) -> Failure {
        if !found {
            return io::Error::new(io::ErrorKind::NotFound, "the host has no address").into();
        }
        match (self.source, self.ipv6) {
            (Some(_), _) => Failure::local(
                io::Error::other("the host has no address of the kind that --source is"),
                "give --source an address of the other IP version, or leave it out",
            ),
            (None, false) => {
                Failure::local(io::Error::other("the host has no IPv4 address"), "leave out -4")
            }
            (None, true) => {
                Failure::local(io::Error::other("the host has no IPv6 address"), "leave out -6")
            }
        }
    }

    fn connect_ip(&self, address: SocketAddr, kind: Type) -> Result<Socket, Failure> {
        let socket = Socket::new(Domain::for_address(address), kind, None)?;
        if let Some(source) = self.source {
            socket.bind(&SocketAddr::new(source, 0).into()).map_err(|error| {
                let why = format!("cannot use --source {source}: {error}");
                Failure::local(
                    io::Error::new(error.kind(), why),
                    "use an address that this machine has",
                )
            })?;
        }
        socket.connect_timeout(&address.into(), self.connect_timeout)?;
        if kind == Type::STREAM {
            // What is to be measured and shown is the path's delay, not ours.
            socket.set_tcp_nodelay(true)?;
        }
        let local = socket.local_addr()?.as_socket();
        debug!(peer = %address, local = local.map(tracing::field::display), "connected");
        Ok(socket)
    }

    fn connect_unix(&self, address: &SockAddr) -> io::Result<Socket> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // Connecting waits while the backlog is full, for as long as sending may: unix(7).
        socket.set_write_timeout(Some(self.connect_timeout))?;
        socket.connect(address).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
            _ => error,
        })?;
        socket.set_write_timeout(None)?;
        debug!("connected");
        Ok(socket)
    }
}

/// Why there is no connection.
struct Failure {
    source: io::Error,
    local: Option<&'static str>,
}

impl Failure {
    fn local(source: io::Error, fix: &'static str) -> Self {
        Self { source, local: Some(fix) }
    }
}

impl From<io::Error> for Failure {
    fn from(source: io::Error) -> Self {
        Self { source, local: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connector(line: &[&str]) -> Connector {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            connector: Connector,
        }
        let words = ["x"].iter().chain(line);
        <Line as clap::Parser>::try_parse_from(words).unwrap().connector
    }

    #[test]
    fn addresses_are_of_the_version_asked_for() {
        let [v4, v6] = ["127.0.0.1", "::1"].map(|text| text.parse::<IpAddr>().unwrap());
        for (line, suits) in [
            (&[][..], [true, true]),
            (&["-4"], [true, false]),
            (&["-6"], [false, true]),
            (&["--source", "127.0.0.1"], [true, false]),
            (&["--source", "::1"], [false, true]),
            (&["-4", "--source", "::1"], [false, false]),
        ] {
            assert_eq!([v4, v6].map(|address| connector(line).suits(address)), suits, "{line:?}");
        }
    }

    #[test]
    fn what_cannot_be_is_told_from_a_path_that_fails() {
        for (line, target, said, is_local) in [
            (&["-6"][..], "127.0.0.1:1", "no IPv6 address", true),
            (&["--source", "::1"], "127.0.0.1:1", "of the kind that --source is", true),
            (&["--source", "192.0.2.1"], "127.0.0.1:1", "cannot use --source 192.0.2.1", true),
            (&["-4"], "unix:/nowhere", "has no IP address", true),
            (&[], "unix:/nowhere", "No such file", false),
            (&["-4"], "127.0.0.1:1", "refused", false),
        ] {
            let error = connector(line).connect(&target.parse().unwrap()).unwrap_err();
            assert!(error.source.to_string().contains(said), "{said}: {}", error.source);
            assert_eq!(error.is_local(), is_local, "{said}");
        }
    }
}
