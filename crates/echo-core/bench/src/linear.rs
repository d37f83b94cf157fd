//! Twice the line, twice the work: a line that drips in must not be looked at again and again.

use std::time::Instant;

use echo_core::{Deframer, Delimited, Polled};

use crate::harness::Spread;

/// What a read brings.
const DRIP: usize = 16;
const LINE: usize = 1 << 20;

/// At most so many times the time for a line of twice the length.
pub(crate) const AT_MOST: f64 = 2.2;

/// How many times as long a line of 2 MiB takes as one of 1 MiB, both in pieces of 16 bytes.
pub(crate) fn doubling_the_line(rounds: usize) -> (Spread, Spread) {
    let mut once = Vec::new();
    let mut ratios = Vec::new();
    for round in 0..rounds {
        let (one, two) = if round % 2 == 0 {
            let one = receive_line(LINE);
            (one, receive_line(2 * LINE))
        } else {
            let two = receive_line(2 * LINE);
            (receive_line(LINE), two)
        };
        once.push(one / LINE as f64);
        ratios.push(two / one);
    }
    (Spread::of(ratios), Spread::of(once))
}

/// The time to receive a line of `len` bytes, in ns.
fn receive_line(len: usize) -> f64 {
    let mut line = vec![b'x'; len];
    line.extend_from_slice(b"\r\n");
    let begin = Instant::now();
    let mut deframer = Deframer::new(Delimited::lines().max_payload(4 << 20));
    let mut received = 0;
    for piece in line.chunks(DRIP) {
        let mut left = piece;
        while !left.is_empty() {
            let space = deframer.space();
            let (now, later) = left.split_at(left.len().min(space.len()));
            space[..now.len()].copy_from_slice(now);
            deframer.filled(now.len()).expect("there was room");
            left = later;
            while let Ok(Polled::Frame(payload)) = deframer.poll() {
                received += std::hint::black_box(payload).len();
            }
        }
    }
    let ns = begin.elapsed().as_secs_f64() * 1e9;
    assert_eq!(received, len);
    ns
}
