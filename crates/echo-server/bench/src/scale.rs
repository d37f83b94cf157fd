//! `scale`: what a message costs a server as connections grow, and what a byte costs it as messages
//! grow.

use crate::{
    cell::{Cell, MAX_BYTES, MAX_CONNECTIONS},
    loader::Sample,
};

/// A message of 64 B in flight on each of so many.
const CONNECTIONS: [usize; 7] = [1, 10, 100, 1000, 5000, 10_000, MAX_CONNECTIONS];

/// One message in flight on one connection.
const BYTES: [usize; 9] = [1, 64, 512, 4096, 32 << 10, 256 << 10, 2 << 20, 16 << 20, MAX_BYTES];

/// What is told, of which cells, and what it is of a sample.
pub(crate) type Scale = (&'static str, fn(Cell) -> bool, fn(Cell, &Sample) -> f64);

pub(crate) const SCALES: [Scale; 2] = [
    (
        "CPU time of the server in \u{b5}s per message of 64 B, as connections grow",
        |cell| cell.bytes == 64,
        |_, sample| sample.cpu_us,
    ),
    (
        "CPU time of the server in ns per byte, on one connection, as messages grow",
        |cell| cell.connections == 1,
        |cell, sample| sample.cpu_us * 1e3 / cell.bytes as f64,
    ),
];

/// The points of both; in a quick run, every other.
pub(crate) fn cells(quick: bool) -> Vec<Cell> {
    let step = if quick { 2 } else { 1 };
    let connections = CONNECTIONS.iter().step_by(step).map(|&count| Cell::new(count, 64, 1));
    let bytes = BYTES.iter().step_by(step).map(|&bytes| Cell::new(1, bytes, 1));
    // One connection with 64 B is a point of both.
    connections.chain(bytes.filter(|cell| cell.bytes != 64)).collect()
}
