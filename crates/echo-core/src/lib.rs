//! Receive correctly.
//!
//! `socket.recv()` hands over whatever has arrived: half a message, or two and a half. This crate
//! turns that into whole frames, with a limit and a deadline on everything, and loses no byte.
#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod buffer;
#[cfg(feature = "tokio-util")]
pub mod codec;
#[cfg(feature = "std")]
mod deadline;
mod deframer;
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

#[cfg(feature = "std")]
pub use deadline::{Timeouts, WithDeadline};
pub use deframer::{DEFAULT_READ_SIZE, Deframer, Overfilled, Polled, SwitchError};
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
