//! The drivers on tokio: the same calls as the blocking ones, and every one of them may be cancelled.
//!
//! ```
//! use echo_core::{LengthDelimited, tokio::Receiver};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), echo_core::RecvError> {
//! let wire = b"body 5\r\nhello\0\0\0\x02hi";
//! let mut receiver = Receiver::new(&wire[..], LengthDelimited::u32());
//! assert_eq!(receiver.recv_until(b"\r\n").await?, Some(&b"body 5"[..]));
//! assert_eq!(receiver.recv_exact(5).await?, b"hello");
//! assert_eq!(receiver.recv().await?, Some(&b"hi"[..]));
//! assert_eq!(receiver.recv().await?, None);
//! # Ok(())
//! # }
//! ```
//!
//! # Cancellation
//! A future of this module may be dropped at any time - by `select!`, by `timeout`, with its task -
//! and no byte is lost. What a [`Receiver`] has read stays in it, and the next call goes on from
//! there; [`Receiver::recv_as`] with the same decoder, please. A [`Sender`] finishes a frame that
//! was cut in two before it begins the next, so the stream stays in step; [`Sender::frames_taken`]
//! says whether a dropped `send` had begun.
//!
//! # Deadlines
//! `set_deadline` is absolute and covers the whole frame, however its bytes drip in; a frame that is
//! already buffered is returned even when the deadline has passed. It needs tokio's time driver. As
//! every call may be cancelled, `tokio::time::timeout_at(deadline, receiver.recv())` loses nothing
//! either; it just checks the clock only when the reader has nothing to give.

mod echo;
mod recv;
mod send;

pub use echo::{echo, echo_frames};
pub use recv::Receiver;
pub use send::Sender;
