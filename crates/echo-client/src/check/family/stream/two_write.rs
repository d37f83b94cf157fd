//! Nagle's algorithm at the other end, and our delayed acknowledgement.
//!
//! ```text
//! we                                the service
//!  │ ──── "a" ─────────────────────▶ │
//!  │ ──── "bcd" ───────────────────▶ │
//!  │ ◀───────────────────── "a" ──── │   small, so it goes at once
//!  │ (owe an ACK, wait for data      │   "bcd" is small, and "a" is not acknowledged:
//!  │  to put it on, for 40 ms)       │   Nagle's algorithm holds it back
//!  │ ──── ACK ─────────────────────▶ │
//!  │ ◀─────────────────── "bcd" ──── │
//! ```
//!
//! A slow machine stalls now and then, this in every try; and what Nagle's algorithm holds back comes
//! the moment that we acknowledge.

use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use echo_cli::Endpoint;
use rustix::event::PollFlags;
use socket2::Socket;

use crate::{
    check::{
        case::{Broken, Check, Level, Seen},
        conn::{Conn, MESSAGE, time},
        trial::Trial,
    },
    figures,
};

pub(super) const CHECK: Check = Check {
    id: "stream.two-write",
    level: Level::Should,
    does: "Sends a message in two small writes; then messages that are a byte longer than a usual \
           buffer, from 513 to 16,385 bytes. Up to five tries each.",
    expected: "Each is back as soon as if it were one write: no stall of 40 ms.",
    hint: "Nagle's algorithm holds the second piece back until the first is acknowledged, which the \
           other side delays: set TCP_NODELAY in the service, and in the proxy on both sides.",
    source: "RFC 896 (Nagle's algorithm) with RFC 1122, 4.2.3.2 (delayed acknowledgements)",
    slow: false,
    run,
};

const TRIES: u32 = 5;

/// Where the message is cut in two.
const CUT: usize = 1;

/// Buffers that are smaller than a segment on loopback: what goes beyond them is a small piece.
const EXPONENTS: RangeInclusive<u32> = 9..=14;

/// Nothing for so long, beside two round trips, is a stall; acknowledgements are delayed by 40 ms at
/// least.
const SILENCE: Duration = Duration::from_millis(20);

/// With a round trip, what an acknowledgement releases is here by then.
const RELEASE: Duration = Duration::from_millis(1);

fn run(trial: &Trial<'_>) -> Result<Seen, Broken> {
    if let Endpoint::Unix { .. } = trial.target() {
        return Ok(Seen::Nothing("a Unix socket acknowledges nothing".to_owned()));
    }
    let mut conn = trial.connect()?;
    let two = Tries::make(trial, &mut conn, MESSAGE, CUT)?;
    let took = time(two.least);
    if two.always_stall {
        return Ok(Seen::Odd(match two.ever_held {
            true => "the second of two small writes came only once the first was acknowledged"
                .to_owned(),
            false => format!("two small writes take {took}, one takes {}", time(trial.rtt())),
        }));
    }
    for size in EXPONENTS.map(|k| (1 << k) + 1) {
        let one = Tries::make(trial, &mut conn, size, size)?;
        if one.always_stall {
            let (size, took) = (figures::count(size as u64), time(one.least));
            return Ok(Seen::Odd(match one.ever_held {
                true => {
                    format!("the end of {size} bytes came only once the start was acknowledged")
                }
                false => format!("{size} bytes take {took}, with a pause in the middle"),
            }));
        }
    }
    Ok(Seen::Kept(format!("two small writes came back in {took}")))
}

/// A message sent again until it does not stall.
struct Tries {
    always_stall: bool,
    /// In one of them the rest came the moment that we acknowledged.
    ever_held: bool,
    /// How long the shortest took.
    least: Duration,
}

impl Tries {
    /// The message is cut in two writes, unless `cut` is where it ends.
    fn make(
        trial: &Trial<'_>,
        conn: &mut Conn<'_>,
        size: usize,
        cut: usize,
    ) -> Result<Self, Broken> {
        let message = conn.load(0, size);
        let mut tries = Self { always_stall: true, ever_held: false, least: Duration::MAX };
        for _ in 0..TRIES {
            let begun = Instant::now();
            delay_acknowledgements(conn.socket(), true);
            conn.send(&message[..cut])?;
            conn.send(&message[cut..])?;
            let stall = stall(trial, conn, &message)?;
            tries.least = tries.least.min(begun.elapsed());
            match stall {
                None => {
                    tries.always_stall = false;
                    break;
                }
                Some(Stall { is_held }) => tries.ever_held |= is_held,
            }
        }
        Ok(tries)
    }
}

/// Nothing came for a while.
struct Stall {
    /// Until we acknowledged.
    is_held: bool,
}

/// Receives the message; says whether there was a stall on the way.
fn stall(trial: &Trial<'_>, conn: &mut Conn<'_>, message: &[u8]) -> Result<Option<Stall>, Broken> {
    let silence = SILENCE + trial.rtt() * 2;
    let (mut at, mut stall) = (0, None);
    while at < message.len() {
        if stall.is_none() && !conn.wait(PollFlags::IN, Instant::now() + silence)? {
            let until = Instant::now() + RELEASE + trial.rtt();
            delay_acknowledgements(conn.socket(), false);
            let is_held = conn.wait(PollFlags::IN, until)? && Instant::now() <= until;
            stall = Some(Stall { is_held });
        }
        at += conn.expect_some(message, at)?;
    }
    Ok(stall)
}

/// Whether to wait for data to put an acknowledgement on; if not, what is owed is sent now. Only a
/// hint to the kernel, and only some have it.
#[cfg(target_os = "linux")]
fn delay_acknowledgements(socket: &Socket, delay: bool) {
    // A Unix socket has none.
    let _ = socket.set_tcp_quickack(!delay);
}

#[cfg(not(target_os = "linux"))]
fn delay_acknowledgements(_socket: &Socket, _delay: bool) {}
