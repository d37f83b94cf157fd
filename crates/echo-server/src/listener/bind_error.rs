//! Why an endpoint cannot be had, and what to do about it.

use std::io;

use echo_cli::Endpoint;
use rustix::io::Errno;
use thiserror::Error;

/// An endpoint cannot be listened on.
#[derive(Debug, Error)]
#[error("cannot listen on {endpoint}")]
pub struct BindError {
    endpoint: Endpoint,
    source: io::Error,
}

impl BindError {
    pub(crate) fn new(endpoint: &Endpoint, source: io::Error) -> Self {
        Self { endpoint: endpoint.clone(), source }
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        if let Some(Errno::MFILE | Errno::NFILE) = Errno::from_io_error(&self.source) {
            return "raise the limit of open files (ulimit -n), or ask for fewer --workers";
        }
        match self.endpoint {
            Endpoint::Unix { .. } => self.fix_path(),
            _ => self.fix_port(),
        }
    }

    fn fix_port(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::AddrInUse => {
                "stop who listens there, or choose another port with --listen; port 0 takes a free one"
            }
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a higher one with --listen"
            }
            io::ErrorKind::AddrNotAvailable => {
                "this machine has no such address; use 127.0.0.1, or 0.0.0.0 for all it has"
            }
            _ => "check the address given with --listen",
        }
    }

    fn fix_path(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::AddrInUse => {
                "stop who listens there, or choose another path with --listen"
            }
            io::ErrorKind::AlreadyExists => {
                "it is left as it is: remove it, or choose another path with --listen"
            }
            io::ErrorKind::NotFound => "make the folder first",
            io::ErrorKind::PermissionDenied => {
                "choose a path with --listen whose folder you may write to"
            }
            _ => "check the path given with --listen",
        }
    }
}
