//! The battery: one file per family, in the order in which they run.

mod basic;

use super::case::Check;

/// All of it.
pub(super) const BATTERY: [&[Check]; 1] = [basic::CHECKS];
