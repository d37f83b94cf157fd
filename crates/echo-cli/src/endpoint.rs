//! Where an echo service is, as people write it. Text only: nothing is resolved or opened here.

use std::{fmt, net::Ipv6Addr, path::PathBuf, str::FromStr};

use thiserror::Error;

/// The most bytes of a Unix socket's path: `sun_path` of unix(7), less the NUL that ends it.
const MAX_UNIX_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// An address to listen on or to connect to.
///
/// ```text
/// tcp://127.0.0.1:65432    or 127.0.0.1:65432 for short; [::1]:65432; localhost:65432
/// udp://127.0.0.1:65432    datagrams
/// unix:/run/echo.sock      a stream socket in the file system; unix:echo.sock is in the current
///                          folder; unix:///run/echo.sock is read, too
/// ```
///
/// ```
/// use echo_cli::Endpoint;
///
/// let endpoint: Endpoint = "[::1]:65432".parse()?;
/// assert_eq!(endpoint.to_string(), "tcp://[::1]:65432");
/// # Ok::<(), echo_cli::ParseEndpointError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Endpoint {
    /// A TCP port.
    Tcp {
        /// A name or an address, IPv6 without its brackets.
        host: String,
        /// The port; 0 lets the system choose one to listen on.
        port: u16,
    },
    /// A UDP port.
    Udp {
        /// As of TCP.
        host: String,
        /// As of TCP.
        port: u16,
    },
    /// A Unix stream socket.
    Unix {
        /// Where it is in the file system; as parsed: not empty, short enough for a socket's
        /// address, and without control characters.
        path: PathBuf,
    },
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = match self {
            Self::Tcp { host, port } => ("tcp", host, port),
            Self::Udp { host, port } => ("udp", host, port),
            Self::Unix { path } => return write!(f, "unix:{}", path.display()),
        };
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{port}")
        } else {
            write!(f, "{scheme}://{host}:{port}")
        }
    }
}

impl FromStr for Endpoint {
    type Err = ParseEndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Unix { path: unix_path(path)? });
        }
        let (scheme, address) = text.split_once("://").unwrap_or(("tcp", text));
        match scheme {
            "tcp" => host_and_port(address).map(|(host, port)| Self::Tcp { host, port }),
            "udp" => host_and_port(address).map(|(host, port)| Self::Udp { host, port }),
            _ => Err(ParseEndpointError::Scheme(scheme.into())),
        }
    }
}

fn host_and_port(address: &str) -> Result<(String, u16), ParseEndpointError> {
    let (host, port) = address.rsplit_once(':').ok_or(ParseEndpointError::NoPort)?;
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        // A scope, as in fe80::1%eth0, is for the resolver to judge.
        Some(v6) if v6.split('%').next().is_some_and(|a| a.parse::<Ipv6Addr>().is_ok()) => v6,
        None if host.is_empty() => return Err(ParseEndpointError::NoHost),
        None if host.contains(':') => return Err(ParseEndpointError::Brackets),
        None if host.chars().all(is_host_char) => host,
        _ => return Err(ParseEndpointError::Host(host.into())),
    };
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(port) if digits => Ok((host.to_string(), port)),
        _ => Err(ParseEndpointError::Port(port.into())),
    }
}

fn unix_path(text: &str) -> Result<PathBuf, ParseEndpointError> {
    // As a URI has it: nothing, for the host, between two slashes and the path.
    let path = match text.strip_prefix("//") {
        Some(rest) if !rest.starts_with('/') => {
            return Err(ParseEndpointError::UnixHost(rest.into()));
        }
        Some(rest) => format!("/{}", rest.trim_start_matches('/')),
        None => text.to_owned(),
    };
    match path.len() {
        0 => Err(ParseEndpointError::NoPath),
        _ if path.starts_with('@') => Err(ParseEndpointError::Abstract(path)),
        // It could not be announced in one line.
        _ if path.contains(char::is_control) => Err(ParseEndpointError::Path(path)),
        len if len > MAX_UNIX_PATH => Err(ParseEndpointError::LongPath { len }),
        _ => Ok(path.into()),
    }
}

fn is_host_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '-' | '_')
}

/// Why a text is not an [`Endpoint`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseEndpointError {
    /// The part before `://` is not a known kind of endpoint.
    #[error("unknown scheme '{}'; use tcp://HOST:PORT, udp://HOST:PORT or unix:/PATH", .0.escape_debug())]
    Scheme(String),
    /// No colon, so no port.
    #[error("the port is missing; use HOST:PORT, as in 127.0.0.1:65432")]
    NoPort,
    /// Nothing before the colon.
    #[error("the host is missing; use 127.0.0.1 for this machine, 0.0.0.0 for all its addresses")]
    NoHost,
    /// A host with colons that is not in brackets.
    #[error("an IPv6 address goes in brackets, as in [::1]:65432")]
    Brackets,
    /// Not a name or an address.
    #[error("'{}' is not a host name or address", .0.escape_debug())]
    Host(String),
    /// Not a number from 0 to 65535.
    #[error("port '{}' is not a number from 0 to 65535", .0.escape_debug())]
    Port(String),
    /// Nothing after `unix:`.
    #[error("the path is missing; use unix:/PATH")]
    NoPath,
    /// What reads like a host in a Unix socket's URI.
    #[error("a Unix socket has no host; use unix:/{path} or unix:{path}", path = .0.escape_debug())]
    UnixHost(String),
    /// A name in Linux's abstract namespace, which has no permissions.
    #[error("'{name}' is an abstract name, which is not supported; for a file, use unix:./{name}", name = .0.escape_debug())]
    Abstract(String),
    /// A path with control characters.
    #[error("path '{}' has control characters", .0.escape_debug())]
    Path(String),
    /// A path that no socket address has room for.
    #[error("a Unix socket's path has at most {MAX_UNIX_PATH} bytes, not {len}; use a shorter one")]
    LongPath {
        /// Its bytes.
        len: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_there_and_back() {
        for (text, printed) in [
            ("127.0.0.1:65432", "tcp://127.0.0.1:65432"),
            ("tcp://localhost:0", "tcp://localhost:0"),
            ("[::1]:7", "tcp://[::1]:7"),
            ("tcp://[fe80::1%eth0]:7", "tcp://[fe80::1%eth0]:7"),
            ("udp://127.0.0.1:7", "udp://127.0.0.1:7"),
            ("udp://[::]:0", "udp://[::]:0"),
            ("unix:/run/echo.sock", "unix:/run/echo.sock"),
            ("unix:///run/echo.sock", "unix:/run/echo.sock"),
            ("unix:////run//echo.sock", "unix:/run//echo.sock"),
            ("unix:echo.sock", "unix:echo.sock"),
            ("unix:./@a:7", "unix:./@a:7"),
            ("unix:/ü /é", "unix:/ü /é"),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.to_string(), printed);
            assert_eq!(printed.parse(), Ok(endpoint));
        }
    }

    #[test]
    fn what_is_not_an_endpoint_is_refused_with_a_reason() {
        use ParseEndpointError as E;
        for (text, error) in [
            ("", E::NoPort),
            ("localhost", E::NoPort),
            (":7", E::NoHost),
            ("::1:7", E::Brackets),
            ("[::1", E::Brackets),
            ("[zz]:7", E::Host("[zz]".into())),
            ("a b:7", E::Host("a b".into())),
            ("[::1]7", E::Brackets),
            ("h:", E::Port("".into())),
            ("h:+7", E::Port("+7".into())),
            ("h:65536", E::Port("65536".into())),
            ("http://h:7", E::Scheme("http".into())),
            ("udp://h", E::NoPort),
            ("udp://:7", E::NoHost),
            ("unix:", E::NoPath),
            ("unix://run/echo.sock", E::UnixHost("run/echo.sock".into())),
            ("unix:@echo", E::Abstract("@echo".into())),
            ("unix:/a\nb", E::Path("/a\nb".into())),
            ("unix:/a\0b", E::Path("/a\0b".into())),
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(error), "{text}");
        }
    }
    #[test]
    fn a_unix_path_is_as_long_as_a_socket_address_can_hold() {
        let longest = "/".to_owned() + &"x".repeat(MAX_UNIX_PATH - 1);
        let endpoint = format!("unix:{longest}").parse();
        assert_eq!(endpoint, Ok(Endpoint::Unix { path: longest.clone().into() }));
        let long = format!("unix:{longest}y").parse::<Endpoint>();
        assert_eq!(long, Err(ParseEndpointError::LongPath { len: MAX_UNIX_PATH + 1 }));
    }
}
