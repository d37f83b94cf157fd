//! Bytes by the million: what goes wrong only when buffers fill, or far into a stream.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use crate::{
    check::{
        case::{Broken, Check, Level, Seen},
        conn::{Exchange, READ_SIZE, time},
        trial::Trial,
    },
    figures,
};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "big.one-mib",
        level: Level::Must,
        does: "Sends 1 MiB and receives at the same time.",
        expected: "The same bytes come back.",
        hint: "The stream ends, stops or is damaged after some bytes: a limit or a quota, a buffer \
               of fixed size, a write that was cut short and not resumed.",
        source: "RFC 9293, 2.2: one reliable, in-order stream, of any length",
        slow: false,
        run: one_mib,
    },
    Check {
        id: "big.both-ways",
        level: Level::Must,
        does: "Sends 64 MiB and receives at the same time, or what the path carries in 1 s.",
        expected: "The same bytes come back.",
        hint: "As for big.one-mib; what goes wrong once in many megabytes is a race between two \
               threads, a counter that is too small, or bad memory behind the checksum.",
        source: "RFC 9293, 2.2: one reliable, in-order stream, of any length; 3.10.4: both ways at \
                 once",
        slow: false,
        run: both_ways,
    },
    Check {
        id: "big.write-first",
        level: Level::Must,
        does: "Sends 256 KiB, or what the path takes of it, before it receives anything.",
        expected: "The same bytes come back once we receive.",
        hint: "The service gives up, or loses bytes, when it cannot send for a moment: a write that \
               would block is taken for done or for an error.",
        source: "RFC 9293, 3.8.6: a closed window holds the sender up, and loses nothing",
        slow: false,
        run: write_first,
    },
];

const MIB: u64 = 1 << 20;
const BOTH_WAYS: u64 = 64 * MIB;
const WRITE_FIRST: u64 = 256 << 10;

/// How long `both_ways` sends; a path that carries less than all of it in this time is only slow.
const SENDING: Duration = Duration::from_secs(1);

fn one_mib(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let took = trial.connect()?.exchange(all(MIB))?;
    Ok(Seen::Kept(format!("1 MiB came back in {}", time(took))))
}

fn both_ways(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let mut conn = trial.connect()?;
    let transfer = conn.begin(all(BOTH_WAYS)).until(Instant::now() + SENDING);
    let took = conn.complete(transfer)?;
    let rate = figures::bytes(conn.came() as f64 / took.as_secs_f64());
    let (came, took) = (figures::bytes(conn.came() as f64), time(took));
    Ok(Seen::Kept(format!("{came} came back in {took}, {rate}/s each way")))
}

fn write_first(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let mut conn = trial.connect()?;
    let ahead = conn.send_ahead(WRITE_FIRST)?;
    conn.exchange(all(WRITE_FIRST - ahead))?;
    let ahead = figures::bytes(ahead as f64);
    Ok(Seen::Kept(format!("256 KiB came back, {ahead} of them sent before we received")))
}

fn all(len: u64) -> Exchange {
    Exchange { len, chunk: READ_SIZE, half_close: false }
}
