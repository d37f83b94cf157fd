//! Both real binaries, end to end, over loopback. No fixed ports, no sleeping for readiness.

mod bench;
mod failures;
mod framing;
mod guide;
mod hostile;
mod limits;
mod ping;
mod readme;
mod report;
mod shutdown;
mod streams;
mod support;
mod targets;
