//! What is sent, such that what comes back tells whether it is that.
//!
//! ```text
//! table, a period of bytes in no order:  |<---------------- P ---------------->|
//! connection 0                           ^ starts here, goes round for ever
//! connection 1                                       ^ starts here
//! ```
//!
//! A byte's place follows from its connection and its offset, so nothing is generated while the
//! clock runs: messages are sent from the table and compared with it. P is prime: bytes that
//! are lost, doubled, swapped, or another connection's are found, whatever their number.

/// The period. A prime, that no buffer's size and no message's size divides or is divided by.
const PERIOD: usize = 131_071;

/// The most that is looked at in one piece.
pub(crate) const MAX_PIECE: usize = 1 << 18;

/// The bytes of every connection.
pub(crate) struct Pattern {
    /// The period, and its beginning again, so that no piece is cut at the seam.
    table: Vec<u8>,
}

/// The place of a connection's next byte in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(usize);

impl Pattern {
    pub(crate) fn new() -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let period: Vec<u8> = std::iter::repeat_with(|| {
            // xorshift64
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 56) as u8
        })
        .take(PERIOD)
        .collect();
        Self { table: period.iter().copied().cycle().take(PERIOD + MAX_PIECE).collect() }
    }

    /// The next `n` bytes, at most [`MAX_PIECE`].
    pub(crate) fn at(&self, place: Place, n: usize) -> &[u8] {
        &self.table[place.0..place.0 + n]
    }
}

impl Place {
    /// Where a connection begins: neighbours are far apart, and no two begin alike.
    pub(crate) fn of(connection: usize) -> Self {
        Self(connection * 7_919 % PERIOD)
    }

    pub(crate) fn advance(&mut self, n: usize) {
        self.0 = (self.0 + n) % PERIOD;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_the_same_however_it_is_cut_and_goes_round() {
        let pattern = Pattern::new();
        let mut place = Place::of(16);
        let whole = pattern.at(place, MAX_PIECE).to_vec();
        let mut pieces = Vec::new();
        for n in [1, 65_536, 131_071, 7, 65_529] {
            pieces.extend_from_slice(pattern.at(place, n));
            place.advance(n);
        }
        assert!(pieces == whole);
    }

    #[test]
    fn neither_a_shift_nor_another_connection_goes_unnoticed() {
        let pattern = Pattern::new();
        let here = Place::of(3);
        for shift in [1, 64, 4096, 65_536] {
            let mut there = here;
            there.advance(shift);
            assert_ne!(pattern.at(here, 16), pattern.at(there, 16), "{shift} bytes lost");
        }
        for other in [0, 2, 4, 18_999] {
            assert_ne!(pattern.at(here, 16), pattern.at(Place::of(other), 16), "from {other}");
        }
    }
}
