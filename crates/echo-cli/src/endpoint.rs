//! Where an echo service is, as people write it. Text only: nothing is resolved or opened here.

use std::{fmt, net::Ipv6Addr, str::FromStr};

use thiserror::Error;

/// An address to listen on or to connect to: `tcp://127.0.0.1:65432`, or `127.0.0.1:65432` for
/// short; `[::1]:65432`; `localhost:65432`.
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
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Tcp { host, port } = self;
        if host.contains(':') {
            write!(f, "tcp://[{host}]:{port}")
        } else {
            write!(f, "tcp://{host}:{port}")
        }
    }
}

impl FromStr for Endpoint {
    type Err = ParseEndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = match text.split_once("://") {
            None => text,
            Some(("tcp", address)) => address,
            Some((scheme, _)) => return Err(ParseEndpointError::Scheme(scheme.into())),
        };
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
            Ok(port) if digits => Ok(Self::Tcp { host: host.to_string(), port }),
            _ => Err(ParseEndpointError::Port(port.into())),
        }
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
    #[error("unknown scheme '{}'; use tcp://HOST:PORT or HOST:PORT", .0.escape_debug())]
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
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(error), "{text}");
        }
    }
}
