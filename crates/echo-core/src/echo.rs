//! The echo loop: send back what is received, until the peer closes.

use std::io::{Read, Write};

use thiserror::Error;

use crate::{Decoder, Encoder, Raw, Receiver, RecvError, SendError, Sender};

/// How much the echo loop reads at once: much, so that large flows take few system calls, and a little
/// over 64 KiB. A read that is filled may have left something, and a non-blocking socket has to be
/// asked again: not after 64 KiB, which many programs send at once, with a header or without.
pub const ECHO_READ_SIZE: usize = 68 << 10;

/// What an echo loop has sent back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Echoed {
    /// Frames; for [`echo`], which has none, the reads.
    pub frames: u64,
    /// Payload bytes.
    pub bytes: u64,
}

/// Which half of an echo loop ended it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EchoError {
    /// Receiving failed. Everything received before has been sent back.
    #[error(transparent)]
    Recv(#[from] RecvError),
    /// Sending failed. The last frame, and what was received after it, has not been sent back.
    #[error(transparent)]
    Send(#[from] SendError),
}

/// Sends back every byte until the peer closes: the guide's echo loop.
///
/// Returns when everything received has been sent; the peer may have closed only its sending side,
/// so shut down ours next, that it sees the end too.
///
/// ```no_run
/// use std::net::{Shutdown, TcpListener};
///
/// let (stream, _) = TcpListener::bind("127.0.0.1:65432")?.accept()?;
/// let echoed = echo_core::echo(&stream)?;
/// stream.shutdown(Shutdown::Write)?;
/// println!("{} bytes", echoed.bytes);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`EchoError`], with the cause.
pub fn echo<S>(stream: &S) -> Result<Echoed, EchoError>
where
    for<'a> &'a S: Read + Write,
{
    let mut receiver = Receiver::with_read_size(stream, Raw, ECHO_READ_SIZE);
    echo_frames(&mut receiver, &mut Sender::new(stream, Raw))
}

/// Sends back every whole frame until the peer closes at a frame boundary.
///
/// Each frame is encoded anew: a line that came with CRLF goes back with LF. To send back what came
/// byte for byte, build on [`EchoConnection`](crate::EchoConnection).
///
/// # Errors
/// [`EchoError`]. A frame that is too long ends the loop, too: what is sent back is always a prefix
/// of what was received.
pub fn echo_frames<R, D, W, E>(
    receiver: &mut Receiver<R, D>,
    sender: &mut Sender<W, E>,
) -> Result<Echoed, EchoError>
where
    R: Read,
    D: Decoder,
    W: Write,
    E: Encoder,
{
    let mut echoed = Echoed::default();
    while let Some(payload) = receiver.recv()? {
        sender.send(payload)?;
        echoed.frames += 1;
        echoed.bytes += payload.len() as u64;
    }
    Ok(echoed)
}
