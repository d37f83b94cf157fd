//! Both real binaries, end to end, over loopback. No fixed ports, no sleeping for readiness.

mod bench;
mod check;
mod damage;
mod datagrams;
mod endpoints;
#[cfg(target_os = "linux")]
mod engine;
mod failures;
mod framing;
mod guide;
mod limits;
mod ping;
mod readme;
mod report;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod targets;
mod udp;
