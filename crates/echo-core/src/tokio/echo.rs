//! The echo loop on tokio: send back what is received, until the peer closes.

use ::tokio::io::{AsyncRead, AsyncWrite};

use super::{Receiver, Sender};
use crate::{Decoder, ECHO_READ_SIZE, EchoError, Echoed, Encoder, Raw};

/// Sends back every byte until the peer closes: the guide's echo loop.
///
/// Returns when everything received has been written; the peer may have closed only its sending
/// side, so shut down ours next, that it sees the end too.
///
/// ```no_run
/// use tokio::{io::AsyncWriteExt, net::TcpListener};
///
/// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
/// let (mut stream, _) = TcpListener::bind("127.0.0.1:65432").await?.accept().await?;
/// let (reader, mut writer) = stream.split();
/// let echoed = echo_core::tokio::echo(reader, &mut writer).await?;
/// writer.shutdown().await?;
/// println!("{} bytes", echoed.bytes);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`EchoError`], with the cause.
///
/// # Cancellation
/// Not cancel-safe: what was received and not yet sent back is dropped with the future. Keep the
/// [`Receiver`] and the [`Sender`] and use [`echo_frames`] where that matters.
pub async fn echo<R, W>(reader: R, writer: W) -> Result<Echoed, EchoError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut receiver = Receiver::with_read_size(reader, Raw, ECHO_READ_SIZE);
    echo_frames(&mut receiver, &mut Sender::new(writer, Raw)).await
}

/// Sends back every whole frame until the peer closes at a frame boundary.
///
/// # Errors
/// [`EchoError`]. A frame that is too long ends the loop, too: what is sent back is always a prefix
/// of what was received.
///
/// # Cancellation
/// A frame that was received and is not taken by the sender is lost with the future: at most one.
pub async fn echo_frames<R, D, W, E>(
    receiver: &mut Receiver<R, D>,
    sender: &mut Sender<W, E>,
) -> Result<Echoed, EchoError>
where
    R: AsyncRead + Unpin,
    D: Decoder,
    W: AsyncWrite + Unpin,
    E: Encoder,
{
    let mut echoed = Echoed::default();
    while let Some(payload) = receiver.recv().await? {
        sender.send(payload).await?;
        echoed.frames += 1;
        echoed.bytes += payload.len() as u64;
    }
    sender.flush().await?;
    Ok(echoed)
}
