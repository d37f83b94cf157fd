//! Unix sockets: one listener, which all workers share, and its file.
//!
//! A file of an earlier run, to which nobody listens, is replaced; nothing else ever is. Ours is
//! removed when we stop listening, unless somebody has put another one in its place. Its
//! permissions are the umask's.
//!
//! A file and the socket behind it cannot be looked at in one step. Two races are left, each a few
//! microseconds wide: of two servers that replace the same stale file at once, one can lose its new
//! file to the other; and a file that is put in the place of ours just as we remove that goes, too.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, SystemTime},
};

use echo_cli::Endpoint;
use socket2::{Domain, SockAddr, Socket, Type};

use super::{BACKLOG, Listener};

/// How often a path is tried whose file goes and comes.
const ATTEMPTS: usize = 5;

/// How long after its file a server has certainly begun to listen.
const STARTING: Duration = Duration::from_millis(20);

/// The file of a listening socket, removed when dropped.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: Identity,
    removed: OnceLock<()>,
}

/// What tells a file from another of the same name. The number of a file that is gone may be that
/// of the next one, hence the time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    created: Option<SystemTime>,
}

pub(super) fn bind(path: &Path, workers: usize) -> io::Result<Vec<Listener>> {
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let mut attempts = 1..=ATTEMPTS;
    while let Err(error) = socket.bind(&address) {
        if error.kind() != io::ErrorKind::AddrInUse || attempts.next().is_none() {
            return Err(error);
        }
        remove_if_stale(path, &address)?;
    }
    let file = SocketFile {
        path: std::path::absolute(path)?, // wherever we are when it is removed
        identity: Identity::of(&fs::symlink_metadata(path)?),
        removed: OnceLock::new(),
    };
    let file = Arc::new(file);
    socket.listen(BACKLOG.into())?;
    socket.set_nonblocking(true)?;
    let endpoint = Endpoint::Unix { path: path.into() }.to_string();
    let shared =
        |socket| Listener { file: Some(Arc::clone(&file)), socket, endpoint: endpoint.clone() };
    let mut listeners = Vec::new();
    for _ in 1..workers {
        listeners.push(shared(socket.try_clone()?));
    }
    listeners.push(shared(socket));
    Ok(listeners)
}

/// Removes the file at `path` when it is a socket that nobody listens to.
fn remove_if_stale(path: &Path, address: &SockAddr) -> io::Result<()> {
    let Some(found) = look(path)? else { return Ok(()) };
    if !found.file_type().is_socket() {
        let why = "there is something that is not a socket";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    if is_live(address)? {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    // Between its bind and its listen a server looks as if it were gone.
    thread::sleep(STARTING);
    if is_live(address)? {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    // Somebody else may have replaced it by now.
    let is_same = look(path)?.is_some_and(|now| Identity::of(&now) == Identity::of(&found));
    match is_same.then(|| fs::remove_file(path)) {
        Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What is at `path`, links not followed; `None` when there is nothing.
fn look(path: &Path) -> io::Result<Option<fs::Metadata>> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

/// Whether somebody listens to the socket; who does sees a connection come and go.
fn is_live(address: &SockAddr) -> io::Result<bool> {
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    match probe.connect(address) {
        Ok(()) => Ok(true),
        Err(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Ok(false),
            io::ErrorKind::PermissionDenied => Err(error),
            // A full backlog, or a socket of another type: there is somebody.
            _ => Ok(true),
        },
    }
}

impl Identity {
    fn of(file: &fs::Metadata) -> Self {
        Self { device: file.dev(), inode: file.ino(), created: file.created().ok() }
    }
}

impl SocketFile {
    /// Removes the file, if it is still ours; once only.
    pub(super) fn remove(&self) {
        self.removed.get_or_init(|| {
            let found = look(&self.path).ok().flatten();
            if found.is_some_and(|found| Identity::of(&found) == self.identity) {
                // When that fails there is nothing to be done: the next server replaces it.
                let _ = fs::remove_file(&self.path);
            }
        });
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.remove();
    }
}
