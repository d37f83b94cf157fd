//! Flow control: who does not read holds up the one who sends to him, and nobody else.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use crate::{
    check::{
        case::{Broken, Check, Level, Seen},
        conn::{Conn, Exchange, MESSAGE, READ_SIZE, Received, time},
        many,
        trial::Trial,
        trips::Trips,
    },
    figures,
};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "flow.slow-reader",
        level: Level::Must,
        does: "Sends up to 8 MiB without receiving until the path takes no more; then receives \
               4 KiB every millisecond for a while, then the rest.",
        expected: "All of it comes, in order, and the connection goes on.",
        hint: "The service loses what it cannot send at once, or gives up on a peer that is slow for \
               a moment.",
        source: "RFC 9293, 3.8.6: a closed window holds the sender up, and loses nothing",
        slow: false,
        run: slow_reader,
    },
    Check {
        id: "flow.stalled-peer",
        level: Level::Must,
        does: "Fills one connection without receiving from it, and sends messages on another.",
        expected: "The other is answered as before.",
        hint: "One blocking write holds up everybody: one thread for all connections, a lock held \
               while sending, streams of one multiplexed tunnel that share a window.",
        source: "RFC 9293, 3.8.6: the window is each connection's own",
        slow: false,
        run: stalled_peer,
    },
    Check {
        id: "flow.absorbed",
        level: Level::Should,
        does: "Sends without receiving until the path takes no more, up to 64 MiB.",
        expected: "It stops taking before that.",
        hint: "Something buffers without a bound: a few peers that do not read take all its memory.",
        source: "RFC 9293, 3.8.6: the window is what tells a sender to wait",
        slow: false,
        run: absorbed,
    },
    Check {
        id: "flow.fairness",
        level: Level::Must,
        does: "Sends and receives on one connection as fast as it can, and messages on another; up to \
               three times.",
        expected: "The other is answered, though later than on an idle path.",
        hint: "One connection is served for as long as it has bytes (a loop until EAGAIN without a \
               limit), or a queue on the path is long (bufferbloat).",
        source: "RFC 2914, 3.2: flows share a path; RFC 7567: long queues are harmful",
        slow: false,
        run: fairness,
    },
];

/// What is sent at most to a path that we do not receive from.
const AHEAD: u64 = 8 << 20;

/// Whoever takes so much of it has no bound.
const ABSORBED: u64 = 64 << 20;

/// The size of our own buffers where it is the path's that matter. The system may use more.
const OUR_BUFFERS: usize = 64 << 10;

/// A slow reader's pieces, how many they are, and the pause after each.
const PIECE: usize = 4 << 10;
const PIECES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(1);

/// Messages before and beside the other connection, and how long it may take to send them.
const TRIPS: u32 = 50;
const WITHIN: Duration = Duration::from_millis(500);

/// A message is much later beside another connection than alone when it takes so much longer, and ten
/// times as long.
const MUCH: Duration = Duration::from_millis(50);
const MANY_TIMES: u32 = 10;

/// The best of so many tells what the service does: a loaded machine is not late each time.
const TRIES: usize = 3;

/// A connection is busy, and messages beside it begin, once it has returned so much, or tried to for
/// [`WITHIN`].
const BUSY: u64 = 1 << 20;

/// More than any path carries while the messages are sent.
const ENDLESS: u64 = 1 << 40;

fn slow_reader(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let mut conn = trial.connect()?;
    keep_buffers_small(&conn);
    let ahead = conn.send_ahead(AHEAD)?;
    let mut piece = vec![0; PIECE];
    for _ in 0..PIECES {
        if conn.came() >= ahead {
            break;
        }
        match conn.take(&mut piece, trial.patience())? {
            Received::Bytes(_) => trial.pause(PAUSE)?,
            over => return Err(conn.short(conn.came(), ahead, over)),
        }
    }
    let more = Exchange { len: READ_SIZE as u64, chunk: READ_SIZE, half_close: false };
    conn.exchange(more)?;
    let ahead = figures::bytes(ahead as f64);
    Ok(Seen::Kept(format!("all came, {ahead} of it sent before we received")))
}

fn stalled_peer(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let mut stalled = trial.connect()?;
    let mut other = trial.connect()?;
    keep_buffers_small(&stalled);
    stalled.echo(b"x")?;
    let alone = other_trips(&mut other, "beside an idle connection")?;
    let ahead = stalled.send_ahead(AHEAD)?;
    let beside = other_trips(&mut other, "beside a connection that does not receive")?;
    let ahead = figures::bytes(ahead as f64);
    Ok(compared(&alone, &beside, &format!("a connection with {ahead} that it does not receive")))
}

fn absorbed(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let mut conn = trial.connect()?;
    keep_buffers_small(&conn);
    let ahead = conn.send_ahead(ABSORBED)?;
    let words = figures::bytes(ahead as f64);
    Ok(match ahead == ABSORBED || trial.is_over() {
        true => Seen::Odd(format!("it took {words} and would take more")),
        false => Seen::Kept(format!("it took {words}, then no more")),
    })
}

fn fairness(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let mut seen = Seen::Nothing(String::new());
    for _ in 0..TRIES {
        let mut firehose = trial.connect()?;
        let mut other = trial.connect()?;
        firehose.echo(b"x")?;
        let alone = other_trips(&mut other, "beside an idle connection")?;
        let beside = beside_firehose(trial, &mut firehose, &mut other)?;
        let came = figures::bytes(firehose.came() as f64);
        seen = compared(&alone, &beside, &format!("a connection that returned {came} meanwhile"));
        if let Seen::Kept(_) = seen {
            break;
        }
    }
    Ok(seen)
}

/// Messages on one connection while the other sends and receives as fast as we can.
fn beside_firehose(
    trial: &Trial<'_>,
    firehose: &mut Conn<'_>,
    other: &mut Conn<'_>,
) -> Result<Trips, Broken> {
    let message = other.load(0, MESSAGE);
    let mut input = vec![0; READ_SIZE];
    let endless = Exchange { len: ENDLESS, chunk: READ_SIZE, half_close: false };
    let mut transfer = firehose.begin(endless);
    let busy = |broken: Broken| broken.at("the busy connection");
    let by = Instant::now() + WITHIN;
    while firehose.came() < BUSY && Instant::now() < by {
        firehose.wait(firehose.wants(&transfer), by)?;
        firehose.advance(&mut transfer, &mut input).map_err(busy)?;
    }
    let mut trips = Trips::default();
    let begun = Instant::now();
    while trips.count() < TRIPS as usize && begun.elapsed() < WITHIN {
        let sent = Instant::now();
        other.send(&message)?;
        let mut at = 0;
        while at < MESSAGE {
            let until = (sent + trial.patience()).min(trial.deadline());
            let wanted = [(&*firehose, firehose.wants(&transfer)), (&*other, PollFlags::IN)];
            let ready = many::wait(trial, wanted, until)?;
            if ready.contains(&1) {
                at += other.expect_some(&message, at)?;
            } else if Instant::now() >= until {
                let (came, waited) = (figures::bytes(firehose.came() as f64), time(sent.elapsed()));
                return Err(Broken::Promise(format!(
                    "no answer for {waited} beside a connection that returned {came} meanwhile"
                )));
            }
            if ready.contains(&0) {
                firehose.advance(&mut transfer, &mut input).map_err(busy)?;
            }
        }
        trips.add(sent.elapsed());
    }
    Ok(trips)
}

fn other_trips(other: &mut Conn<'_>, place: &str) -> Result<Trips, Broken> {
    Trips::make(other, TRIPS, WITHIN).map_err(|broken| broken.at(place))
}

/// What messages beside another connection say, compared with those alone.
fn compared(alone: &Trips, beside: &Trips, what: &str) -> Seen {
    let [before, now] = [alone.median(), beside.median()];
    let words = format!(
        "messages take {} beside {what}, {} alone; at most {}",
        time(now),
        time(before),
        time(beside.most()),
    );
    match now > (before * MANY_TIMES).max(before + MUCH) {
        true => Seen::Odd(words),
        false => Seen::Kept(words),
    }
}

/// So that it is the path that holds what was sent, and not we.
fn keep_buffers_small(conn: &Conn<'_>) {
    // Only a wish: what is measured is then a little more.
    let _ = conn.socket().set_send_buffer_size(OUR_BUFFERS);
    let _ = conn.socket().set_recv_buffer_size(OUR_BUFFERS);
}
