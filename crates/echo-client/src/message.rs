//! How large a message may be.

use echo_cli::Endpoint;

/// The largest message.
const MAX_SIZE: usize = 64 << 20;

/// The largest datagram over IPv4: 65535 bytes less the headers of IPv4 and UDP. IPv6 takes a little
/// more.
pub(crate) const MAX_DATAGRAM: usize = 65_507;

/// Parses the size of a message: `64`, `1MiB`.
///
/// # Errors
/// A sentence, when it is no size, nothing, or more than 64 MiB.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    match echo_cli::size(text)? {
        0 => Err("nothing comes back of an empty message; use 1 or more".to_owned()),
        size if size > MAX_SIZE => Err("more than 64MiB".to_owned()),
        size => Ok(size),
    }
}

/// Whether a message of this size can go there.
///
/// # Errors
/// A sentence with the fix, when it does not fit into a datagram.
pub(crate) fn check_size(target: &Endpoint, size: usize) -> anyhow::Result<()> {
    if matches!(target, Endpoint::Udp { .. }) && size > MAX_DATAGRAM {
        anyhow::bail!("a datagram has at most {MAX_DATAGRAM} bytes; use a smaller --size, or TCP");
    }
    Ok(())
}
