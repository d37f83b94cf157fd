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

/// The cells that `--quick` measures.
pub(crate) const KEY: [Cell; 6] = [
    Cell::new(1, 64, 1),
    Cell::new(50, 64, 1),
    Cell::new(500, 64, 1),
    Cell::new(50, 64, 16),
    Cell::new(50, 4096, 1),
    Cell::new(4, 65536, 4),
];

/// All that makes sense: no more in flight than socket buffers hold, the memory of both ends, and
/// one connection with many messages stands for what a proxy sends.
pub(crate) const GRID: [Cell; 17] = [
    Cell::new(1, 64, 1),
    Cell::new(1, 64, 16),
    Cell::new(1, 4096, 1),
    Cell::new(1, 4096, 16),
    Cell::new(1, 65536, 1),
    Cell::new(4, 65536, 4),
    Cell::new(50, 64, 1),
    Cell::new(50, 64, 16),
    Cell::new(50, 4096, 1),
    Cell::new(50, 4096, 16),
    Cell::new(50, 65536, 1),
    Cell::new(500, 64, 1),
    Cell::new(500, 64, 16),
    Cell::new(500, 4096, 1),
    Cell::new(500, 65536, 1),
    Cell::new(5000, 64, 1),
    Cell::new(5000, 4096, 1),
];

impl Cell {
    const fn new(connections: usize, bytes: usize, depth: usize) -> Self {
        Self { connections, bytes, depth }
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
            Some(&[connections @ 1..=19_000, bytes @ 1..=65_536, depth @ 1..=64]) => {
                Ok(Self { connections, bytes, depth })
            }
            _ => Err("connections x bytes x depth, such as 50x64x16; \
                      at most 19000, 65536 and 64"
                .into()),
        }
    }
}
