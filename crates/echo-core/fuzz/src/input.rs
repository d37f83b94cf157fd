//! Options of codecs, read off raw bytes: any bytes make some codec.

use super::{Codec, Delimited, FixedLength, LengthDelimited, Netstring};

/// The bytes not used yet. At the end, zeros are read.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number from 0 to `n - 1`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n
    }

    /// The next `len` bytes, or all that are left.
    pub(crate) fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// One to four delimiters of one to four bytes each; of few different bytes, so that they overlap.
    pub(crate) fn delimiters(&mut self) -> Vec<Vec<u8>> {
        let count = self.below(4) + 1;
        let mut delimiters = Vec::new();
        for _ in 0..count {
            let len = self.below(4) + 1;
            delimiters.push((0..len).map(|_| b"ab\r\n"[self.below(4)]).collect());
        }
        delimiters
    }

    pub(crate) fn length(&mut self) -> LengthDelimited {
        const ADJUSTMENTS: [i64; 8] = [0, 0, -1, -4, 3, 250, i64::MIN, i64::MAX];
        let codec = [
            LengthDelimited::u8,
            LengthDelimited::u16,
            LengthDelimited::u32,
            LengthDelimited::u64,
            LengthDelimited::u16_le,
            LengthDelimited::u32_le,
            LengthDelimited::u64_le,
            LengthDelimited::varint,
        ][self.below(8)]();
        let codec = codec.field_offset(self.below(4)).adjustment(ADJUSTMENTS[self.below(8)]);
        match self.below(20) {
            19 => codec.unlimited(),
            max => codec.max_payload(max),
        }
    }

    /// Any codec but `Raw`, whose frames depend on the reads.
    pub(crate) fn codec(&mut self) -> Codec {
        match self.below(5) {
            0 => Codec::Length(self.length()),
            1 => Codec::Netstring(Netstring::new().max_payload(self.below(12))),
            2 => Codec::Fixed(FixedLength::new(self.below(12) + 1).expect("not 0")),
            3 => Codec::Delimited(Delimited::lines().max_payload(self.below(12))),
            _ => {
                let codec = Delimited::by_any(&self.delimiters()).expect("no empty delimiter");
                Codec::Delimited(codec.max_payload(self.below(12)))
            }
        }
    }
}
