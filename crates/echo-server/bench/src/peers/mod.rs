//! The peers: an echo as each project's own documentation would write it, on one thread unless
//! that is not how it is used, with TCP_NODELAY and reads of 16 KiB.

pub(crate) mod compio;
mod futures_io;
pub(crate) mod glommio;
pub(crate) mod monoio;
pub(crate) mod smol;
pub(crate) mod threads;
pub(crate) mod tokio;

/// The most that is read at once.
const READ_SIZE: usize = 16 << 10;
