//! A Unix socket of our own, behind a relay, to which nobody else finds the way.
//!
//! Its file is in a folder that only we may enter. On Linux both are removed as soon as the file is
//! open, and the way is by its descriptor: whatever becomes of this process, nothing is left behind.
//! Elsewhere they are removed at the end.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use echo_cli::Endpoint;
use tempfile::TempDir;

use crate::listener::{BindError, Listener};

#[derive(Debug)]
pub(super) struct Door {
    way: PathBuf,
    /// What the way leads through.
    _open: Result<File, TempDir>,
}

impl Door {
    /// A new one, and the listeners behind it.
    pub(super) fn new(workers: usize) -> Result<(Self, Vec<Listener>), BindError> {
        let cannot =
            |source| BindError::new(&Endpoint::Unix { path: std::env::temp_dir() }, source);
        let place = tempfile::Builder::new().prefix("echo-server-fault-").tempdir();
        let place = place.map_err(cannot)?;
        let path = place.path().join("engine.sock");
        let listeners = Listener::bind(&Endpoint::Unix { path: path.clone() }, workers)?;
        let door = match by_descriptor(&path) {
            Ok((way, file)) => Self { way, _open: Ok(file) },
            Err(_) => Self { way: path, _open: Err(place) },
        };
        Ok((door, listeners))
    }

    pub(super) fn way(&self) -> &Path {
        &self.way
    }
}

/// A way to a socket that needs its file no longer: proc(5) follows it, also when it is removed.
#[cfg(target_os = "linux")]
fn by_descriptor(path: &Path) -> io::Result<(PathBuf, File)> {
    use std::{
        fs::{self, OpenOptions},
        os::{fd::AsRawFd, unix::fs::OpenOptionsExt},
    };

    let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_PATH).open(path)?;
    let way = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    fs::metadata(&way)?; // there may be no /proc
    Ok((way, file))
}

#[cfg(not(target_os = "linux"))]
fn by_descriptor(_path: &Path) -> io::Result<(PathBuf, File)> {
    Err(io::ErrorKind::Unsupported.into())
}
