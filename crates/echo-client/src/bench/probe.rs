//! One message at a time beside the load: what the load does to somebody else's latency.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use super::{Probe, Settings, clock::Clock, flow::SEED, histogram, plan::Plan};
use crate::{
    ConnectError, figures,
    pattern::Pattern,
    ping::{self, Arrival, Path},
};

/// Bytes of a message.
const SIZE: usize = 64;

/// Between one message's return and the next message: too rare to be part of the load.
const PAUSE: Duration = Duration::from_millis(10);

/// The probe's connection, in the pattern: none of the load has it.
const NUMBER: u32 = (1 << 24) - 1;

/// A path of its own.
///
/// # Errors
/// [`ConnectError`]
pub(super) fn open(settings: &Settings) -> Result<Box<dyn Path>, ConnectError> {
    let target = &settings.target;
    let socket = settings.connector.connect(target)?;
    ping::open(target, socket, Pattern::new(SEED, NUMBER), SIZE)
        .map_err(|error| ConnectError::new(target, error))
}

/// Sends and awaits one message after the other, from the start of the load until its end.
///
/// When a message has been waited for long enough, a datagram is lost, and a stream has failed.
pub(super) fn run(
    settings: &Settings,
    plan: &Plan,
    clock: Clock,
    mut path: Box<dyn Path>,
) -> Probe {
    let wait = settings.patience();
    let is_over = || clock.now() >= plan.patience_ends();
    let mut probe = Probe { sent: 0, received: 0, rtt: histogram(), failed: None };
    clock.wait_for_start();
    for number in 0.. {
        let now = clock.now();
        if now >= plan.until() {
            break;
        }
        let measured = plan.measures(now);
        probe.sent += u64::from(measured);
        match exchange(plan, &mut *path, number, wait, &is_over) {
            Ok(Some(took)) if measured => {
                probe.received += 1;
                probe.rtt.saturating_record(super::nanos(took));
            }
            Ok(Some(_)) => {}
            Ok(None) if is_over() => {
                probe.sent -= u64::from(measured); // it may be on its way
                break;
            }
            Ok(None) if settings.is_datagrams() => {}
            Ok(None) => {
                probe.failed = Some(format!("nothing came for {}", figures::duration(wait)));
                break;
            }
            Err(error) => {
                probe.failed = Some(error.to_string());
                break;
            }
        }
        thread::sleep(PAUSE);
    }
    probe
}

/// How long the message with this number is on its way; none when it is not back in time, or before
/// all is over.
fn exchange(
    plan: &Plan,
    path: &mut dyn Path,
    number: u64,
    wait: Duration,
    is_over: &dyn Fn() -> bool,
) -> io::Result<Option<Duration>> {
    let sent = path.send()?;
    let (until, mut arrivals) = (sent + wait, Vec::new());
    while Instant::now() < until && !is_over() {
        path.receive(until, &mut arrivals)?;
        for arrival in arrivals.drain(..) {
            match arrival {
                Arrival::Back { probe, at } if probe == number => {
                    return Ok(Some(at.saturating_duration_since(sent)));
                }
                Arrival::Damaged { .. } if plan.verify => {
                    return Err(io::Error::other("a message came back damaged"));
                }
                // One that was given up, or that came once more.
                _ => {}
            }
        }
    }
    Ok(None)
}
