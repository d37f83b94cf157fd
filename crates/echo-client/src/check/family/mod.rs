//! The battery: one file per family, in the order in which they run.

mod basic;
mod big;
mod close;
mod conn;
mod flow;
mod stream;
mod udp;

use super::case::Check;

/// All of it.
pub(super) const BATTERY: [&[Check]; 8] = [
    basic::CHECKS,
    stream::CHECKS,
    stream::TIMING,
    big::CHECKS,
    flow::CHECKS,
    close::CHECKS,
    conn::CHECKS,
    udp::CHECKS,
];
