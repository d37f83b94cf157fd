//! The battery: one file per family, in the order in which they run.

mod basic;
mod close;
mod conn;

use super::case::Check;

/// All of it.
pub(super) const BATTERY: [&[Check]; 3] = [basic::CHECKS, close::CHECKS, conn::CHECKS];
