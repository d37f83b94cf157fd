//! A stream has no messages: however it is cut, the same bytes come back, and at once.

mod timing;
mod two_write;

#[cfg(test)]
mod tests;

use crate::{
    check::{
        case::{Broken, Check, Level, Seen},
        conn::{Exchange, time},
        trial::Trial,
    },
    figures,
};

pub(super) use timing::CHECKS as TIMING;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "stream.trickle",
        level: Level::Must,
        does: "Sends bytes one by one: 32, each when the last is back, then 1,000 without waiting.",
        expected: "All come back, each of the first 32 before the next is sent.",
        hint: "Something waits for a full buffer, a line or a whole message, or takes one read for \
               one message.",
        source: "RFC 9293, 3.9.1.2: data has to be delivered without waiting for a full buffer",
        slow: false,
        run: trickle,
    },
    Check {
        id: "stream.boundaries",
        level: Level::Must,
        does: "Sends messages of 2^k - 1, 2^k and 2^k + 1 bytes for k from 9 to 17, and of one \
               segment, one byte less and one more; waits for each.",
        expected: "Each comes back whole.",
        hint: "A buffer has just this size: its last byte is lost, or what goes beyond it waits for \
               more.",
        source: "RFC 9293, 3.8.6.2.2: the receiver passes on what it has; off-by-one errors in \
                 buffers sit at powers of two",
        slow: false,
        run: boundaries,
    },
    Check {
        id: "stream.pipeline",
        level: Level::Must,
        does: "Sends 10,000 messages of 64 bytes without waiting for any.",
        expected: "All come back, in order.",
        hint: "One read is taken for one request and the rest of the buffer thrown away, or a short \
               write is not resumed.",
        source: "RFC 9293, 2.2: one reliable, in-order stream, without records",
        slow: false,
        run: pipeline,
    },
    Check {
        id: "stream.fragments",
        level: Level::Must,
        does: "Sends 1 MiB in writes of random sizes up to 8 KiB.",
        expected: "The same bytes come back.",
        hint: "What comes back depends on where the stream is cut: bytes of one read are taken for \
               a message.",
        source: "RFC 9293, 2.2: one reliable, in-order stream, without records",
        slow: false,
        run: fragments,
    },
    two_write::CHECK,
];

/// Bytes of `trickle` that are waited for one by one.
const WAITED_FOR: u64 = 32;

/// Bytes of `trickle` that are not.
const NOT_WAITED_FOR: u64 = 1_000;

/// Powers of two that are usual sizes of buffers.
const EXPONENTS: std::ops::RangeInclusive<u32> = 9..=17;

const MESSAGES: u64 = 10_000;
const MESSAGE: usize = 64;

/// Bytes of `fragments`, and of its largest write.
const FRAGMENTED: u64 = 1 << 20;
const FRAGMENT: usize = 8 << 10;

fn trickle(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let mut conn = trial.connect()?;
    for nth in 0..WAITED_FOR {
        let one = Exchange { len: 1, chunk: 1, half_close: false };
        conn.exchange(one).map_err(|broken| broken.at(&format!("byte {nth}, sent alone")))?;
    }
    let many = Exchange { len: NOT_WAITED_FOR, chunk: 1, half_close: false };
    let took = conn.exchange(many).map_err(|broken| broken.at("1,000 writes of one byte"))?;
    let all = figures::count(WAITED_FOR + NOT_WAITED_FOR);
    Ok(Seen::Kept(format!("{all} bytes came back, 1,000 of them in {}", time(took))))
}

fn boundaries(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let mut conn = trial.connect()?;
    let segment = conn.socket().tcp_mss().ok();
    let powers = EXPONENTS.map(|k| 1 << k);
    let middles = powers.chain(segment.filter(|segment| *segment > 1));
    let mut sent = 0;
    for size in middles.flat_map(|size| [size - 1, size, size + 1]) {
        let exchange = Exchange { len: size.into(), chunk: size as usize, half_close: false };
        let size = figures::count(size.into());
        conn.exchange(exchange).map_err(|broken| broken.at(&format!("message of {size} bytes")))?;
        sent += 1;
    }
    let segment = segment.map_or("no segments".to_owned(), |segment| {
        format!("a segment is {} bytes", figures::count(segment.into()))
    });
    Ok(Seen::Kept(format!("{sent} messages came back whole; {segment}")))
}

fn pipeline(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let len = MESSAGES * MESSAGE as u64;
    let took = trial.connect()?.exchange(Exchange { len, chunk: MESSAGE, half_close: false })?;
    Ok(Seen::Kept(format!("10,000 messages came back in {}", time(took))))
}

fn fragments(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let seed = fastrand::u64(..);
    let mut conn = trial.connect()?;
    let transfer = conn.begin(Exchange { len: FRAGMENTED, chunk: FRAGMENT, half_close: false });
    let random = fastrand::Rng::with_seed(seed);
    let came = conn.complete(transfer.in_fragments(random));
    let took = came.map_err(|broken| broken.at(&format!("sizes drawn with seed {seed}")))?;
    Ok(Seen::Kept(format!("1 MiB came back in {}, seed {seed}", time(took))))
}
