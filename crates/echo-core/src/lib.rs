//! Receive correctly.
//!
//! `socket.recv()` hands over whatever has arrived: half a message, or two and a half. This crate
//! turns that into whole frames, with a limit and a deadline on everything, and loses no byte.
//!
//! Beginners' guides to `recv` teach four patterns. Each of them is one call here, and each is shown
//! below with what usually goes wrong.
//!
//! # A fixed size
//! `header = conn.recv(4)`, and "connection broken" if fewer bytes come. But TCP may bring four bytes in
//! four reads: a short read is not a lost connection. [`Receiver::recv_exact`] reads until they are there.
//!
//! ```
//! # use std::io::{self, Read};
//! # struct InPieces(Vec<&'static [u8]>);
//! # impl Read for InPieces {
//! #     fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
//! #         if self.0.is_empty() { return Ok(0) }
//! #         let piece = self.0.remove(0);
//! #         buf[..piece.len()].copy_from_slice(piece);
//! #         Ok(piece.len())
//! #     }
//! # }
//! use echo_core::{FrameError, Raw, Receiver, RecvError};
//!
//! # let stream = InPieces(vec![b"\0", b"\0\x01", b"\x02h"]);
//! // Brings one byte, then two, then two, and closes.
//! let mut receiver = Receiver::new(stream, Raw);
//! assert_eq!(receiver.recv_exact(4)?, [0, 0, 1, 2]);
//!
//! // Only the end of the stream cuts a message off, and what came of it is not lost.
//! let end = receiver.recv_exact(4);
//! assert!(matches!(end, Err(RecvError::Frame(FrameError::Truncated { got: 1, expected: Some(4) }))));
//! assert_eq!(receiver.partial(), b"h");
//! # Ok::<(), RecvError>(())
//! ```
//!
//! # Until a delimiter
//! `data += conn.recv(1024)` until the delimiter is in `data`, then `data.split(delimiter)[0]`. That throws
//! away what came behind the delimiter, searches everything again for every chunk, and lets the peer fill
//! the memory. [`Receiver::recv_until`] keeps what follows, looks at each byte once, and has a limit.
//!
//! ```
//! use echo_core::{Raw, Receiver};
//!
//! let wire = b"first\r\nsecond\r\n"; // in one read
//! let mut receiver = Receiver::new(&wire[..], Raw);
//! assert_eq!(receiver.recv_until(b"\r\n")?, Some(&b"first"[..]));
//! assert_eq!(receiver.recv_until(b"\r\n")?, Some(&b"second"[..]));
//! assert_eq!(receiver.recv_until(b"\r\n")?, None); // closed between two lines: an orderly end
//! # Ok::<(), echo_core::RecvError>(())
//! ```
//!
//! A protocol that is all lines names its framing once, and calls [`recv`](Receiver::recv):
//!
//! ```
//! use echo_core::{Delimited, Receiver};
//!
//! let mut lines = Receiver::new(&b"unix\n\nwindows\r\n"[..], Delimited::lines().max_payload(1000));
//! while let Some(line) = lines.recv()? {
//!     println!("{}", line.escape_ascii()); // an empty line is a line, not the end
//! }
//! # Ok::<(), echo_core::RecvError>(())
//! ```
//!
//! # Everything
//! `recv_all(conn, size)` loops until `size` bytes are there. It is right about short reads; but it takes
//! `size` on trust, and throws away what came when the peer closes early. With a size that is
//! `recv_exact` again, after a check of the size. Without one, the end of the stream is the end of the
//! message, and [`Receiver::recv_to_end`] goes there, but no further than a limit.
//!
//! ```
//! use echo_core::{FrameError, Raw, Receiver, RecvError};
//!
//! let mut receiver = Receiver::new(&b"all there is"[..], Raw);
//! let over = receiver.recv_to_end_within(5);
//! assert!(matches!(over, Err(RecvError::Frame(FrameError::TooLong { max: 5, .. }))));
//! assert_eq!(receiver.recv_to_end()?, b"all there is"); // nothing was lost by asking for too little
//! # Ok::<(), RecvError>(())
//! ```
//!
//! # The echo loop
//! The loop is right; what is around it is not. The server decodes each chunk as UTF-8 to print it, so a
//! character that a read has cut in two ends the connection; and the client takes one `recv(1024)` for
//! the whole reply. [`echo()`] sends bytes back and returns once all are sent; shut down the sending side
//! next, so that the peer sees the end.
//!
//! ```
//! use std::{io::Write, net::{Shutdown, TcpListener, TcpStream}, thread};
//! use echo_core::{Raw, Receiver, echo};
//!
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let mut client = TcpStream::connect(listener.local_addr()?)?;
//! let serving = thread::spawn(move || {
//!     let (stream, _) = listener.accept().unwrap();
//!     let echoed = echo(&stream).unwrap();
//!     stream.shutdown(Shutdown::Write).unwrap();
//!     echoed.bytes
//! });
//! client.write_all(b"Hello, server! This is a test.")?;
//! client.shutdown(Shutdown::Write)?;
//! // One `recv(1024)`, as the guide's client has it, may bring a part of it. This brings all.
//! assert_eq!(Receiver::new(&client, Raw).recv_to_end()?, b"Hello, server! This is a test.");
//! assert_eq!(serving.join().unwrap(), 30);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A deadline
//! None of the four ever gives up: a peer that sends a byte a minute, or none at all, holds its thread for
//! good, and a socket's timeout starts anew with each byte. [`WithDeadline`] is one point in time for a
//! whole message, and a timeout loses nothing: ask again, and it goes on.
//!
//! ```
//! use std::{io::Write, net::{TcpListener, TcpStream}, time::{Duration, Instant}};
//! use echo_core::{Delimited, Receiver, RecvError, WithDeadline};
//!
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let mut peer = TcpStream::connect(listener.local_addr()?)?;
//! let mut lines = Receiver::new(WithDeadline::new(listener.accept()?.0), Delimited::lines());
//!
//! peer.write_all(b"half a li")?;
//! lines.get_mut().set_deadline(Some(Instant::now() + Duration::from_millis(10)));
//! assert!(matches!(lines.recv(), Err(RecvError::TimedOut)));
//!
//! peer.write_all(b"ne\n")?;
//! lines.get_mut().set_deadline(Some(Instant::now() + Duration::from_secs(10)));
//! assert_eq!(lines.recv()?, Some(&b"half a line"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # All of them on one connection
//! The patterns mix: what one call has read too much is there for the next.
//!
//! ```
//! use echo_core::{Delimited, LengthDelimited, Receiver};
//!
//! let wire = b"PUT 5\r\nhello\0\0\0\x02hibye\n";
//! let mut receiver = Receiver::new(&wire[..], LengthDelimited::u32());
//! assert_eq!(receiver.recv_until(b"\r\n")?, Some(&b"PUT 5"[..])); // a header line
//! assert_eq!(receiver.recv_exact(5)?, b"hello"); // a body of known size
//! assert_eq!(receiver.recv()?, Some(&b"hi"[..])); // a frame
//! let Ok(mut receiver) = receiver.switch(Delimited::lines()) else { unreachable!() };
//! assert_eq!(receiver.recv()?, Some(&b"bye"[..])); // another framing from here on
//! # Ok::<(), echo_core::RecvError>(())
//! ```
//!
//! # Where things are
//! | For | use |
//! |---|---|
//! | blocking streams | [`Receiver`], [`Sender`], [`WithDeadline`], [`echo()`] |
//! | tokio | `echo_core::tokio`, the same calls (feature `tokio`) |
//! | an existing program on `tokio_util::codec` | `echo_core::codec::Compat` (feature `tokio-util`) |
//! | any other runtime, or no I/O at all | [`Deframer`], which needs no std |
//! | an echo engine of your own | [`EchoConnection`], which says what to do next, and [`Buffer`] |
//! | framings | [`LengthDelimited`], [`Delimited`], [`FixedLength`], [`Netstring`], [`Raw`]; [`Framing`] by name; your own [`Decoder`] |
//! | tests of your own decoder | `echo_core::testing` (feature `testing`) |
//!
//! What is promised, and which test holds us to it: [`guarantees`]. For those who know tokio-util, asyncio,
//! Go or std: [`coming_from`]. Whole programs are in the `examples` folder.
#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod buffer;
#[cfg(feature = "tokio-util")]
pub mod codec;
mod connection;
#[cfg(feature = "std")]
mod deadline;
mod deframer;
mod docs;
#[cfg(feature = "std")]
mod echo;
mod error;
pub mod framing;
#[cfg(feature = "std")]
mod intake;
#[cfg(feature = "std")]
mod outbox;
#[cfg(feature = "std")]
mod recv;
#[cfg(feature = "std")]
mod send;
#[cfg(any(feature = "testing", test))]
pub mod testing;
#[cfg(feature = "tokio")]
pub mod tokio;

pub use buffer::Buffer;
pub use connection::{EchoConnection, EchoLimits, End, Intake, Reason};
#[cfg(feature = "std")]
pub use deadline::{Timeouts, WithDeadline};
pub use deframer::{DEFAULT_READ_SIZE, Deframer, Overfilled, Polled, SwitchError};
pub use docs::{coming_from, guarantees};
#[cfg(feature = "std")]
pub use echo::{ECHO_READ_SIZE, EchoError, Echoed, echo, echo_frames};
pub use error::{EncodeError, FrameError, Malformed, OptionError};
pub use framing::{
    Codec, DEFAULT_MAX_DELIMITED, DEFAULT_MAX_PAYLOAD, Decoded, Decoder, Delimited, Encoder,
    FixedLength, Framing, LengthDelimited, Netstring, ParseFramingError, Raw, Span,
};
#[cfg(feature = "std")]
pub use recv::{Receiver, RecvError};
#[cfg(feature = "std")]
pub use send::{SendError, Sender};

/// The README's examples, tested like those of the documentation.
#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
