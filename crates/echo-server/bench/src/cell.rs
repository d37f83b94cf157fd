//! A cell of the grid: how many connections, how large a message, how many of them in flight.

use std::{fmt, str::FromStr};

/// One cell, written `50x64x16`: connections x bytes x messages in flight on each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) connections: usize,
    /// A message's size.
    pub(crate) bytes: usize,
    /// Messages in flight on each connection.
    pub(crate) depth: usize,
}

/// What a process with 20,000 descriptors can have, with some to spare.
pub(crate) const MAX_CONNECTIONS: usize = 19_000;

/// The largest message of echo-client.
pub(crate) const MAX_BYTES: usize = 64 << 20;

/// The cells that `--quick` measures.
const KEY: [Cell; 6] = [
    Cell::new(1, 64, 1),
    Cell::new(50, 64, 1),
    Cell::new(500, 64, 1),
    Cell::new(50, 64, 16),
    Cell::new(50, 4096, 1),
    Cell::new(4, 65536, 4),
];

/// All that makes sense: connections {1, 50, 500, 5000} x bytes {64, 4096, 65536} x depth {1, 16}
/// as long as no more than 64 MiB are in flight, which both ends' socket buffers have to hold; and
/// four bulk flows, as a proxy has them.
const GRID: [Cell; 21] = [
    Cell::new(1, 64, 1),
    Cell::new(1, 64, 16),
    Cell::new(1, 4096, 1),
    Cell::new(1, 4096, 16),
    Cell::new(1, 65536, 1),
    Cell::new(1, 65536, 16),
    Cell::new(4, 65536, 4),
    Cell::new(50, 64, 1),
    Cell::new(50, 64, 16),
    Cell::new(50, 4096, 1),
    Cell::new(50, 4096, 16),
    Cell::new(50, 65536, 1),
    Cell::new(50, 65536, 16),
    Cell::new(500, 64, 1),
    Cell::new(500, 64, 16),
    Cell::new(500, 4096, 1),
    Cell::new(500, 4096, 16),
    Cell::new(500, 65536, 1),
    Cell::new(5000, 64, 1),
    Cell::new(5000, 64, 16),
    Cell::new(5000, 4096, 1),
];

/// What `server` measures.
pub(crate) fn grid(quick: bool) -> Vec<Cell> {
    if quick { KEY.to_vec() } else { GRID.to_vec() }
}

impl Cell {
    pub(crate) const fn new(connections: usize, bytes: usize, depth: usize) -> Self {
        Self { connections, bytes, depth }
    }
}

impl Cell {
    /// In words.
    pub(crate) fn told(self) -> String {
        format!("{} connections x {} B x {} in flight", self.connections, self.bytes, self.depth)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.connections, self.bytes, self.depth)
    }
}

impl FromStr for Cell {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Option<Vec<usize>> = text.split('x').map(|word| word.parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[connections @ 1..=MAX_CONNECTIONS, bytes @ 1..=MAX_BYTES, depth @ 1..=64]) => {
                Ok(Self { connections, bytes, depth })
            }
            _ => Err("connections x bytes x depth, such as 50x64x16; \
                      at most 19000, 67108864 and 64"
                .into()),
        }
    }
}
