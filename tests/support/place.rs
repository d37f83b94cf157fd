//! A Unix socket of a test's own.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
};

use tempfile::TempDir;

use super::{PATIENCE, Server};

/// A folder of its own with a socket in it, once a server listens there.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("echo.sock")
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("unix:{}", self.path().display())
    }

    /// A server that listens here, and nowhere else.
    pub(crate) fn serve(&self, args: &[&str]) -> Server {
        let (server, [bound]) = Server::start_on([&self.endpoint()], args);
        assert_eq!(bound, self.endpoint());
        server
    }

    /// A connection, which gives up after [`PATIENCE`].
    pub(crate) fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.path()).expect("connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("takes a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("takes a timeout");
        stream
    }
}

#[track_caller]
pub(crate) fn assert_echoes(mut stream: impl Read + Write) {
    stream.write_all(b"hello").expect("takes bytes");
    let mut back = [0; 5];
    stream.read_exact(&mut back).expect("returns them");
    assert_eq!(&back, b"hello");
}
