//! The command-line conventions that `echo-server` and `echo-client` share, so that they read, fail
//! and log alike: endpoints, units, one-line usage errors, exit codes, logging.
#![warn(clippy::print_stderr, reason = "it panics when stderr is closed or full; use `say`")]

mod endpoint;
pub mod exit;
mod framing;
mod logging;
#[cfg(feature = "manual")]
pub mod manual;
mod say;
mod units;
mod usage;

pub use endpoint::{Endpoint, ParseEndpointError};
pub use framing::{FramingArgs, NoFrameLimit};
pub use logging::{Color, LogFormat, LogGuard, Verbosity, escaped};
pub use say::say;
pub use units::{duration, positive_duration, size};
pub use usage::parse;
