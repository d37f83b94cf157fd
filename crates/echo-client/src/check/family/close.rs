//! How a connection ends: with everything returned, in order, and without harm to others.

use std::time::{Duration, Instant};

use crate::{
    check::{
        case::{Broken, Check, Level, Seen},
        conn::{Conn, Exchange, READ_SIZE, time},
        many,
        trial::Trial,
    },
    figures,
};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "close.half-drain",
        level: Level::Must,
        does: "Sends 1 B, 1 MiB and 8 MiB, as far as possible before it reads, and FIN after them.",
        expected: "All of it comes back, then FIN.",
        hint: "Something takes our FIN for the end of the connection, not of one direction: a \
               proxy without half-close, two copies that race, a relay that closes before it has \
               flushed.",
        source: "RFC 9293, 3.6: who has sent FIN may still receive; socat ends 0.5 s after the \
                 first FIN unless -t says otherwise",
        slow: false,
        run: half_drain,
    },
    Check {
        id: "close.half-empty",
        level: Level::Must,
        does: "Connects, and sends FIN and nothing else.",
        expected: "FIN comes back, and nothing else.",
        hint: "An end without data is not passed on, is answered with RST, or with a page or prompt.",
        source: "RFC 9293, 3.6: closing a connection",
        slow: false,
        run: half_empty,
    },
    Check {
        id: "close.eof-delay",
        level: Level::Must,
        does: "Sends 4 KiB and FIN, gets all back, and waits for FIN; three times.",
        expected: "FIN follows the last byte at once: at best within 250 ms and 10 round trips.",
        hint: "The service never closes its side, or a relay waits for a timer before it passes \
               the end on.",
        source: "RFC 9293, 3.6: the user answers FIN with CLOSE, which sends FIN",
        slow: false,
        run: eof_delay,
    },
    Check {
        id: "close.not-first",
        level: Level::Must,
        does: "Sends a message, waits 300 ms and sends another, three times on one connection.",
        expected: "Each comes back: who connected says when it is over.",
        hint: "The service takes one message for all there is (one recv, then close), or counts.",
        source: "RFC 862: this continues until the calling user terminates the connection",
        slow: false,
        run: not_first,
    },
    Check {
        id: "close.reset",
        level: Level::Must,
        does: "Resets connections: fresh ones, after an echo, in mid-stream; connects after each.",
        expected: "Each new connection echoes.",
        hint: "An error on one connection ends the service: accept()? or SIGPIPE in it.",
        source: "RFC 9293, 3.5.3: a reset ends one connection",
        slow: false,
        run: reset,
    },
    Check {
        id: "close.reset-isolated",
        level: Level::Must,
        does: "Resets connections while four others are in mid-stream.",
        expected: "The others get all their bytes, undamaged.",
        hint: "Connections share what one of them can break: a buffer, a loop, a descriptor that \
               is closed twice.",
        source: "RFC 9293, 3.5.3: a reset ends one connection",
        slow: false,
        run: reset_isolated,
    },
    Check {
        id: "close.no-rst",
        level: Level::Must,
        does: "Sends up to 1 MiB and FIN before it reads; then reads slowly.",
        expected: "All comes back, and the end is FIN, not RST.",
        hint: "The socket is closed with input unread or with SO_LINGER 0, so the kernel resets \
               it, and what it had not delivered is lost.",
        source: "RFC 1122, 4.2.2.13, and RFC 2525, 2.17: closing with data unread sends RST",
        slow: false,
        run: no_rst,
    },
];

/// What half-drain sends: the least there is, what buffers hold, and what they do not.
const DRAINED: [u64; 3] = [1, 1 << 20, 8 << 20];

/// FIN is late when it takes longer after the last byte, whatever the path.
const EOF_LIMIT: Duration = Duration::from_millis(250);

/// Round trips that it may take more.
const EOF_TRIPS: u32 = 10;

/// The best of so many tells what the service does: a loaded machine is not late each time.
const EOF_TRIES: usize = 3;

/// How long a connection is left alone that the service might close.
const HOLD: Duration = Duration::from_millis(300);

/// Messages, and a pause after each but the last.
const HELD: u32 = 3;

const ECHO: Exchange = Exchange::OF_A_MESSAGE;

/// Connections that are reset, one after the other.
const VICTIMS: usize = 6;

/// What a connection has sent, and not read, when it is reset, or when its neighbour is.
const UNREAD: u64 = 64 << 10;

/// Connections that go on while others are reset.
const NEIGHBOURS: usize = 4;

/// What is sent before a slow reader begins to read.
const SLOWLY_READ: u64 = 1 << 20;

/// How often it pauses at most, and for how long.
const PAUSES: usize = 64;
const PAUSE: Duration = Duration::from_millis(2);

fn half_drain(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let mut took = Vec::new();
    for size in DRAINED {
        let shown = figures::bytes(size as f64);
        let drained = drain(trial, size).map_err(|broken| broken.at(&shown))?;
        took.push(format!("{shown} in {}", time(drained)));
    }
    Ok(Seen::Kept(format!("all came back, then FIN: {}", took.join(", "))))
}

/// Sends ahead, then FIN; receives it all, and FIN.
fn drain(trial: &Trial<'_>, size: u64) -> Result<Duration, Broken> {
    let before = Instant::now();
    let mut conn = trial.connect()?;
    let ahead = conn.send_ahead(size)?;
    conn.exchange(Exchange { len: size - ahead, chunk: READ_SIZE, half_close: true })?;
    conn.expect_fin()?;
    Ok(before.elapsed())
}

fn half_empty(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let mut conn = trial.connect()?;
    conn.finish()?;
    let took = conn.expect_fin()?;
    Ok(Seen::Kept(format!("FIN came back in {}", time(took))))
}

fn eof_delay(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let limit = EOF_LIMIT + trial.rtt() * EOF_TRIPS;
    let mut best = Duration::MAX;
    for _ in 0..EOF_TRIES {
        let mut conn = trial.connect()?;
        conn.exchange(Exchange { len: 4096, chunk: 4096, half_close: true })?;
        best = best.min(conn.expect_fin()?);
        if best <= limit {
            let words = format!("FIN followed the last byte by {}", time(best));
            return Ok(Seen::Kept(words));
        }
    }
    Ok(Seen::Odd(format!("FIN followed the last byte by {} at best", time(best))))
}

fn not_first(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let mut conn = trial.connect()?;
    for number in 1..=HELD {
        conn.exchange(ECHO).map_err(|broken| broken.at(&format!("message {number}")))?;
        if number < HELD {
            trial.pause(HOLD)?;
        }
    }
    Ok(Seen::Kept(format!("open after {HELD} messages, {} apart", time(HOLD))))
}

fn reset(trial: &Trial<'_>) -> Result<Seen, Broken> {
    for number in 0..VICTIMS {
        let mut conn = trial.connect()?;
        let when = match number % 3 {
            0 => "before a byte was sent",
            1 => {
                conn.exchange(ECHO)?;
                "after an echo"
            }
            _ => {
                conn.send_ahead(UNREAD)?;
                "in mid-stream"
            }
        };
        conn.reset()?;
        let next = trial.connect().and_then(|mut conn| conn.echo(b"still there?"));
        next.map_err(|broken| broken.at(&format!("the next after a reset {when}")))?;
    }
    Ok(Seen::Kept(format!("{VICTIMS} connections were reset, and each time the next one echoed")))
}

fn reset_isolated(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let neighbours: Result<Vec<Conn<'_>>, Broken> =
        (0..NEIGHBOURS).map(|_| trial.connect()).collect();
    let mut neighbours = neighbours?;
    for number in 1..=VICTIMS {
        let mut victim = trial.connect()?;
        for neighbour in &mut neighbours {
            neighbour.send_ahead(UNREAD)?;
        }
        victim.send_ahead(UNREAD)?;
        victim.reset()?;
        let rest = Exchange { len: UNREAD, chunk: 4096, half_close: false };
        for ended in many::exchange(trial, &mut neighbours, rest)? {
            let place = format!("a neighbour of reset {number}");
            ended.result.map_err(|broken| broken.at(&place))?;
        }
    }
    Ok(Seen::Kept(format!("{NEIGHBOURS} connections were unharmed by {VICTIMS} that were reset")))
}

fn no_rst(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let mut conn = trial.connect()?;
    let sent = conn.send_ahead(SLOWLY_READ)?;
    conn.finish()?;
    trial.pause(trial.quiet())?;
    let mut transfer = conn.begin(Exchange { len: 0, chunk: 0, half_close: false });
    let mut input = vec![0; READ_SIZE / 4];
    for _ in 0..PAUSES {
        if conn.advance(&mut transfer, &mut input)? {
            break;
        }
        trial.pause(PAUSE)?;
    }
    conn.complete(transfer)?;
    conn.expect_fin()?;
    Ok(Seen::Kept(format!("{} came back slowly, then FIN", figures::bytes(sent as f64))))
}

#[cfg(test)]
mod tests;
