//! The battery: one file per family, in the order in which they run.

mod basic;
mod udp;

use super::case::Check;

/// All of it.
pub(super) const BATTERY: [&[Check]; 2] = [basic::CHECKS, udp::CHECKS];
