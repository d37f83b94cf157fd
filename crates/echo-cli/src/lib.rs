//! The command-line conventions that `echo-server` and `echo-client` share, so that they read, fail
//! and log alike: endpoints, units, one-line usage errors, exit codes, logging.

mod endpoint;
pub mod exit;
mod framing;
mod logging;
mod units;
mod usage;

pub use endpoint::{Endpoint, ParseEndpointError};
pub use framing::{FramingArgs, NoFrameLimit};
pub use logging::{LogFormat, LogGuard, Verbosity, escaped};
pub use units::{duration, positive_duration, size};
pub use usage::parse;
