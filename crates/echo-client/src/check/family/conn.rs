//! Many connections: one after the other, at once, and left alone.

use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use crate::{
    check::{
        case::{Broken, Check, Level, Seen},
        conn::{Conn, Exchange, MESSAGE, Received, time},
        many,
        trial::Trial,
    },
    figures,
};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "conn.accept",
        level: Level::Should,
        does: "Connects and sends two messages, one after the other; five times.",
        expected: "The first takes no longer than the second, but for 200 ms at best.",
        hint: "A connection waits before anybody looks at it: a poll timer in the accept loop, a \
               reverse name lookup, a process started for each.",
        source: "listen(2): the kernel completes connections before accept is called",
        slow: false,
        run: accept,
    },
    Check {
        id: "conn.serial",
        level: Level::Must,
        does: "Opens 100 connections, one after the other; each sends a message and FIN.",
        expected: "Each gets its message back, then FIN.",
        hint: "The service ends after some connections, or a rate limit refuses those that come \
               too soon (xinetd: cps, 50 a second by default).",
        source: "RFC 862: a server listens; nothing ends that",
        slow: false,
        run: serial,
    },
    Check {
        id: "conn.crosstalk",
        level: Level::Must,
        does: "Exchanges 128 KiB on each of 16 connections at once; every byte tells its own.",
        expected: "Each gets its own bytes, all of them, in order.",
        hint: "Two connections share a buffer, or a descriptor number that was closed too early \
               and is another's by now.",
        source: "RFC 9293, 4: a connection is identified by a pair of sockets",
        slow: false,
        run: crosstalk,
    },
    Check {
        id: "conn.burst",
        level: Level::Must,
        does: "Opens 256 connections, keeps them all, and sends a message on each.",
        expected: "All are served while all are open.",
        hint: "With one served, the others wait for its end: a loop that serves inside accept. \
               With some, there is a limit: of connections, workers, descriptors or the backlog.",
        source: "RFC 862 knows no limit; listen(2): the kernel accepts more than anybody serves",
        slow: false,
        run: burst,
    },
    Check {
        id: "conn.churn",
        level: Level::Must,
        does: "Opens and drops 1,000 connections quickly: with FIN, RST, and data unread.",
        expected: "New connections are served after it, as fast as before.",
        hint: "What a connection had is not given back when it ends (a slot, a descriptor, a \
               process), or a table of connections on the path is full (conntrack).",
        source: "RFC 9293, 3.6 and 3.5.3: both FIN and RST end a connection",
        slow: false,
        run: churn,
    },
    Check {
        id: "conn.idle",
        level: Level::Must,
        does: "Sends a message, is silent for 1.5 s, and sends another.",
        expected: "Both come back.",
        hint: "A timeout is far too short: of the service, or of a proxy (nginx: proxy_timeout, \
               haproxy: timeout client and server).",
        source: "RFC 1122, 4.2.3.6: a connection without traffic stays; even keep-alives wait 2 h",
        slow: false,
        run: idle,
    },
    Check {
        id: "conn.idle-limit",
        level: Level::Should,
        does: "Leaves connections alone, each twice as long as the one before: 1 s to 128 s.",
        expected: "Each echoes after it.",
        hint: "The figure is the idle timeout of the service or of something on the path. Send \
               keep-alives more often; silence is worse than FIN, nobody is told.",
        source: "RFC 5382, REQ-5: a NAT keeps an idle connection for at least 2 h 4 min",
        slow: true,
        run: idle_limit,
    },
];

/// A first message is late when it takes longer than the next, whatever the path, by this.
const ACCEPT_LIMIT: Duration = Duration::from_millis(200);

/// Round trips that it may take more.
const ACCEPT_TRIPS: u32 = 5;

/// The best of so many tells what the service does: a loaded machine is not late each time.
const ACCEPT_TRIES: usize = 5;

/// Connecting a burst may take so many times the patience; the rest of the time is for what they say.
const BURST_LIMIT: u32 = 2;

/// Connections one after the other, as far as our patience goes.
const SERIAL: u32 = 100;

/// Connections whose bytes must not be mixed, and how many they are.
const MINGLED: usize = 16;
const MINGLED_LEN: u64 = 128 << 10;

/// Of no power of two, so that chunks begin at other places in each buffer.
const MINGLED_CHUNK: usize = 1500;

/// Connections that come and go, as far as our patience goes.
const CHURN: u32 = 1000;

/// What a message may take after them, beside what it took before.
const CHURN_LIMIT: Duration = Duration::from_millis(50);
const CHURN_TRIPS: u32 = 5;

/// Messages that the time of one is the least of.
const TRIES: usize = 5;

/// As long as anybody may think in the middle of a conversation.
const IDLE: Duration = Duration::from_millis(1500);

/// The idle times that are tried, in seconds.
const IDLE_LIMITS: [u64; 8] = [1, 2, 4, 8, 16, 32, 64, 128];

const ECHO: Exchange = Exchange::OF_A_MESSAGE;

fn accept(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let mut best = (Duration::MAX, Duration::MAX);
    for _ in 0..ACCEPT_TRIES {
        let before = Instant::now();
        let mut conn = trial.connect()?;
        conn.exchange(ECHO)?;
        let first = before.elapsed();
        let second = conn.exchange(ECHO)?;
        let late = first.saturating_sub(second);
        if late <= ACCEPT_LIMIT + trial.rtt() * ACCEPT_TRIPS {
            let [first, second] = [first, second].map(time);
            let words = format!("connected and echoed in {first}, the next in {second}");
            return Ok(Seen::Kept(words));
        }
        best = best.min((first, second));
    }
    let [first, second] = [best.0, best.1].map(time);
    Ok(Seen::Odd(format!("connected and echoed in {first} at best, the next in {second}")))
}

fn serial(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let start = Instant::now();
    let mut served = 0;
    while served < SERIAL && start.elapsed() < trial.patience() {
        let end = Exchange { half_close: true, ..ECHO };
        let ended = trial.connect().and_then(|mut conn| {
            conn.exchange(end)?;
            conn.expect_fin()
        });
        ended.map_err(|broken| broken.at(&format!("connection {}", served + 1)))?;
        served += 1;
    }
    let each = time(start.elapsed() / served.max(1));
    Ok(Seen::Kept(format!("{served} connections, {each} each")))
}

fn crosstalk(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let conns: Result<Vec<_>, Broken> = (0..MINGLED).map(|_| trial.connect()).collect();
    let exchange = Exchange { len: MINGLED_LEN, chunk: MINGLED_CHUNK, half_close: false };
    for ended in many::exchange(trial, &mut conns?, exchange)? {
        ended.result.map_err(|broken| broken.at(&format!("connection {}", ended.at)))?;
    }
    Ok(Seen::Kept(format!("{MINGLED} connections at once, each got its own bytes")))
}

fn burst(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let before = Instant::now();
    let mut conns = Vec::new();
    let mut why = None;
    while conns.len() < many::MAX && why.is_none() {
        match trial.connect() {
            Ok(conn) => conns.push(conn),
            Err(Broken::Promise(words)) => why = Some(words),
            Err(broken) => return Err(broken),
        }
        // A short backlog makes each wait for a repeated SYN, one second and more.
        if before.elapsed() > trial.patience() * BURST_LIMIT {
            let (count, took) = (conns.len(), time(before.elapsed()));
            why = Some(format!("connecting took {took} for {count} of them"));
        }
    }
    let mut served = 0;
    for ended in many::exchange(trial, &mut conns, ECHO)? {
        match ended.result {
            Ok(()) => served += 1,
            Err(Broken::Promise(words) | Broken::Slow(words)) => why = why.or(Some(words)),
            Err(broken) => return Err(broken),
        }
    }
    let all = many::MAX;
    let Some(why) = why else {
        return Ok(Seen::Kept(format!("{all} served at once in {}", time(before.elapsed()))));
    };
    let words = format!("{served} of {all} were served while all were open; else {why}");
    if served > 1 { Ok(Seen::Odd(words)) } else { Err(Broken::Promise(words)) }
}

fn churn(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let before = round_trip(trial)?;
    let start = Instant::now();
    let mut dropped = 0;
    while dropped < CHURN && start.elapsed() < trial.patience() {
        let place = |broken: Broken| broken.at(&format!("connection {}", dropped + 1));
        let mut conn = trial.connect().map_err(place)?;
        if dropped % 2 == 0 {
            conn.send_ahead(ECHO.len).map_err(place)?;
        }
        if dropped % 4 < 2 {
            conn.reset()?;
        }
        dropped += 1;
    }
    let place = |broken: Broken| broken.at(&format!("after {dropped} connections"));
    // The first comes while a busy machine still buries those; what is lost stays lost for the next.
    let after = round_trip(trial).or_else(|_| round_trip(trial)).map_err(place)?;
    let [was, is] = [before, after].map(time);
    let dropped = figures::count(u64::from(dropped));
    let words = format!("{dropped} came and went; a message took {was} before, {is} after");
    let limit = before * CHURN_TRIPS + CHURN_LIMIT;
    Ok(if after <= limit { Seen::Kept(words) } else { Seen::Odd(words) })
}

/// What a message takes on a new connection, at best.
fn round_trip(trial: &Trial<'_>) -> Result<Duration, Broken> {
    let mut conn = trial.connect()?;
    let mut best = Duration::MAX;
    for _ in 0..TRIES {
        best = best.min(conn.exchange(ECHO)?);
    }
    Ok(best)
}

fn idle(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let mut conn = trial.connect()?;
    conn.exchange(ECHO)?;
    trial.pause(IDLE)?;
    let idle = time(IDLE);
    conn.exchange(ECHO).map_err(|broken| broken.at(&format!("after {idle} of silence")))?;
    Ok(Seen::Kept(format!("echoed after {idle} of silence")))
}

fn idle_limit(trial: &Trial<'_>) -> Result<Seen, Broken> {
    idle_limit_of(trial, &IDLE_LIMITS.map(Duration::from_secs))
}

/// Opens a connection for each of these times, in order, and wakes each up after it. The first that
/// has ended tells the limit.
fn idle_limit_of(trial: &Trial<'_>, limits: &[Duration]) -> Result<Seen, Broken> {
    let longest = limits.last().copied().unwrap_or_default();
    let trial = trial.extended(longest);
    let open = || {
        let mut conn = trial.connect()?;
        conn.exchange(ECHO)?;
        Ok(conn)
    };
    let conns: Result<Vec<Conn<'_>>, Broken> = limits.iter().map(|_| open()).collect();
    let mut conns = conns?;
    let start = Instant::now();
    let mut survived = Duration::ZERO;
    for &limit in limits {
        let wanted = conns.iter().map(|conn| (conn, PollFlags::IN));
        if let [first, ..] = many::wait(&trial, wanted, start + limit)?[..] {
            let idle = time(start.elapsed());
            return match conns[first].receive(&mut [0; MESSAGE], Duration::ZERO)? {
                Received::Fin => Ok(Seen::Odd(format!("closed with FIN after {idle} of silence"))),
                other => {
                    let words = other.words(Duration::ZERO);
                    Err(Broken::Promise(format!("{words} came after {idle} of silence")))
                }
            };
        }
        if let Err(broken) = conns.remove(0).exchange(ECHO) {
            let [least, most] = [survived, limit].map(time);
            let place = format!("gone without a word between {least} and {most} of silence");
            return Err(broken.at(&place));
        }
        survived = limit;
    }
    Ok(Seen::Kept(format!("still there after {} of silence", time(longest))))
}

#[cfg(test)]
mod tests;
