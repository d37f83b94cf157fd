//! How soon a small message comes back, how evenly, and whether all of it at once.

use std::time::{Duration, Instant};

use crate::{
    check::{
        case::{Broken, Check, Level, Seen},
        conn::{Exchange, READ_SIZE, time},
        trial::Trial,
        trips::Trips,
    },
    figures,
};

pub(in crate::check::family) const CHECKS: &[Check] = &[
    Check {
        id: "stream.prompt",
        level: Level::Should,
        does: "Compares the shortest of 20 round trips of a message with the shortest of 3 \
               handshakes.",
        expected: "A message takes little longer than the handshake, which no program takes part in.",
        hint: "The service delays its answers or is too busy, or a proxy near by talks to a service \
               far away.",
        source: "RFC 9293, 3.5: a handshake takes a round trip between the kernels",
        slow: false,
        run: prompt,
    },
    Check {
        id: "stream.steady",
        level: Level::Should,
        does: "Sends 40 messages, each when the last is back; up to three times.",
        expected: "In one of the three, most take about as long as the shortest.",
        hint: "The path is loaded, or waits on a timer: a queue, a radio link, a poll loop that \
               sleeps.",
        source: "RFC 3393: the variation of delay is what queues and timers on a path show as",
        slow: false,
        run: steady,
    },
    Check {
        id: "stream.pace",
        level: Level::Should,
        does: "Sends 4 KiB in one write.",
        expected: "All of it is back within a second.",
        hint: "Something sends the answer piece by piece: a byte per write, a serial line, a shaper \
               with a very low rate.",
        source: "RFC 9293, 3.7.4: small segments are to be avoided by who sends",
        slow: false,
        run: pace,
    },
];

const TRIPS: u32 = 20;
const HANDSHAKES: usize = 3;

/// What a program may take to answer, on a machine that has other things to do.
const PROMPT: Duration = Duration::from_millis(20);

const ROUNDS: u32 = 3;
const TRIPS_OF_A_ROUND: u32 = 40;

/// So much longer than half as long again as the shortest, a trip is late.
const STEADY: Duration = Duration::from_millis(8);

/// Of a segment or three: whatever the path, they are soon back.
const BLOCK: usize = 4 << 10;

/// How long that may take, beside the path's own time.
const SOON: Duration = Duration::from_secs(1);

/// Round trips that it may take to send a few segments.
const SLOW_START_TRIPS: u32 = 4;

fn prompt(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let mut handshake = Duration::MAX;
    for _ in 0..HANDSHAKES {
        let begun = Instant::now();
        trial.connect()?;
        handshake = handshake.min(begun.elapsed());
    }
    let least = Trips::make(&mut trial.connect()?, TRIPS, trial.patience())?.least();
    let words = format!("a message takes {}, a handshake {}", time(least), time(handshake));
    Ok(match least > handshake + PROMPT {
        true => Seen::Odd(words),
        false => Seen::Kept(words),
    })
}

fn steady(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let mut conn = trial.connect()?;
    let mut words = String::new();
    for _ in 0..ROUNDS {
        let trips = Trips::make(&mut conn, TRIPS_OF_A_ROUND, trial.patience())?;
        let [least, median, most] = [trips.least(), trips.median(), trips.most()];
        words = format!(
            "{} messages took {} to {}, half of them over {}",
            trips.count(),
            time(least),
            time(most),
            time(median)
        );
        if median <= least + least / 2 + STEADY {
            return Ok(Seen::Kept(words));
        }
    }
    Ok(Seen::Odd(words))
}

fn pace(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let mut conn = trial.connect()?;
    let soon = SOON + trial.rtt() * SLOW_START_TRIPS;
    let mut input = vec![0; READ_SIZE];
    let mut transfer = conn.begin(Exchange { len: BLOCK as u64, chunk: BLOCK, half_close: false });
    let begun = Instant::now();
    let mut pieces = 0;
    loop {
        let before = conn.came();
        let is_over = conn.advance(&mut transfer, &mut input)?;
        pieces += u32::from(conn.came() > before);
        let took = begun.elapsed();
        if is_over {
            let words = format!("4 KiB came back in {}, at {pieces} times", time(took));
            return Ok(if took > soon { Seen::Odd(words) } else { Seen::Kept(words) });
        }
        if !conn.wait(conn.wants(&transfer), begun + soon)? {
            let came = figures::count(conn.came());
            let words = format!("only {came} of 4,096 bytes came back in {}", time(took));
            return Ok(Seen::Odd(format!("{words}, at {pieces} times")));
        }
    }
}
