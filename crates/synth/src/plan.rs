//! A file before it is written: its pieces in order, each made of units that can be computed from their index alone.
//!
//! Layouts decide here what a file holds; `stream` only carries it out.

use crate::dense::DenseFormat;
use crate::field::{Field, Normal, Scales};
use crate::numbers::Words;

/// A file and everything in it.
#[derive(Debug)]
pub(crate) struct FilePlan {
    /// Name inside the target folder.
    pub(crate) name: String,
    pub(crate) contents: Vec<Content>,
}

/// A run of bytes: `units` pieces of equal size.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    source: Source,
    units: usize,
    rows: Option<RowOrder>,
}

#[derive(Clone, Debug)]
enum Source {
    Literal(Vec<u8>),
    Published(Field),
    Dense(Normal, DenseFormat),
    Joined { blocks: Words, scales: Scales },
}

/// Output rows that are taken from the source in another order.
#[derive(Clone, Copy, Debug)]
struct RowOrder {
    row_units: usize,
    pick: Pick,
}

/// Which source row becomes output row `r`. Published gate/up matrices interleave: even rows gate, odd rows up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    /// The even rows.
    Gate,
    /// The odd rows.
    Up,
    /// Per expert of `2 × width` rows: all gate rows, then all up rows.
    GateThenUp {
        /// Rows of one half.
        width: usize,
    },
}

impl Pick {
    fn source_row(self, row: usize) -> usize {
        match self {
            Self::Gate => 2 * row,
            Self::Up => 2 * row + 1,
            Self::GateThenUp { width } => {
                let (expert, inside) = (row / (2 * width), row % (2 * width));
                expert * 2 * width + 2 * (inside % width) + inside / width
            }
        }
    }
}

impl FilePlan {
    pub(crate) fn text(name: &str, text: String) -> Self {
        Self { name: name.into(), contents: vec![Content::literal(text.into_bytes())] }
    }

    pub(crate) fn byte_count(&self) -> u64 {
        self.contents.iter().map(|content| content.byte_count() as u64).sum()
    }
}

impl Content {
    pub(crate) fn literal(bytes: Vec<u8>) -> Self {
        Self { units: bytes.len(), source: Source::Literal(bytes), rows: None }
    }

    /// A tensor as published, of `byte_count` bytes.
    pub(crate) fn published(field: &Field, byte_count: usize) -> Self {
        Self { units: byte_count / field.unit_bytes(), source: Source::Published(field.clone()), rows: None }
    }

    /// A matrix of `values` values in another encoding.
    pub(crate) fn dense(values: &Normal, count: usize, format: DenseFormat) -> Self {
        Self { units: count / format.block_values(), source: Source::Dense(values.clone(), format), rows: None }
    }

    /// MXFP4 in 17-byte blocks: the scale, then low nibbles = values 0–15 and high nibbles = values 16–31.
    pub(crate) fn joined(blocks: Words, scales: &Scales, block_count: usize) -> Self {
        Self { units: block_count, source: Source::Joined { blocks, scales: scales.clone() }, rows: None }
    }

    /// Takes `row_count` output rows of `row_units` units each in another order.
    pub(crate) fn with_rows(mut self, row_count: usize, row_units: usize, pick: Pick) -> Self {
        self.units = row_count * row_units;
        self.rows = Some(RowOrder { row_units, pick });
        self
    }

    pub(crate) fn units(&self) -> usize {
        self.units
    }

    pub(crate) fn unit_bytes(&self) -> usize {
        match &self.source {
            Source::Literal(_) => 1,
            Source::Published(field) => field.unit_bytes(),
            Source::Dense(_, format) => format.block_bytes(),
            Source::Joined { .. } => 17,
        }
    }

    pub(crate) fn byte_count(&self) -> usize {
        self.units * self.unit_bytes()
    }

    /// Makes the units from `first` on, as many as `out` holds.
    pub(crate) fn fill(&self, first: usize, mut out: &mut [u8]) {
        let Some(RowOrder { row_units, pick }) = self.rows else {
            return self.source.fill(first, out);
        };
        let unit_bytes = self.unit_bytes();
        let mut unit = first;
        while !out.is_empty() {
            let (row, inside) = (unit / row_units, unit % row_units);
            let units = (row_units - inside).min(out.len() / unit_bytes);
            let (piece, rest) = out.split_at_mut(units * unit_bytes);
            self.source.fill(pick.source_row(row) * row_units + inside, piece);
            unit += units;
            out = rest;
        }
    }
}

impl Source {
    fn fill(&self, first: usize, out: &mut [u8]) {
        match self {
            Self::Literal(bytes) => out.copy_from_slice(&bytes[first..first + out.len()]),
            Self::Published(field) => field.fill(first, out),
            Self::Dense(values, format) => format.fill(values, first, out),
            Self::Joined { blocks, scales } => {
                for (block, out) in (first..).zip(out.as_chunks_mut::<17>().0) {
                    let word = 2 * block as u64;
                    let nibbles = repack(blocks.at(word), blocks.at(word + 1));
                    out[0] = scales.at(block);
                    out[1..].copy_from_slice(&nibbles.to_le_bytes());
                }
            }
        }
    }
}

/// The first word holds the codes of values 0–15, the second those of 16–31, lowest nibble first. The result's byte `i` holds
/// value `i` low and value `i + 16` high.
fn repack(first: u64, second: u64) -> u128 {
    spread_nibbles(first) | spread_nibbles(second) << 4
}

/// Nibble `i` of a word becomes byte `i` of the result: halves move apart, then halves of halves, down to single nibbles.
fn spread_nibbles(word: u64) -> u128 {
    let mut wide = u128::from(word);
    wide = (wide | wide << 32) & 0x0000_0000_FFFF_FFFF_0000_0000_FFFF_FFFF;
    wide = (wide | wide << 16) & 0x0000_FFFF_0000_FFFF_0000_FFFF_0000_FFFF;
    wide = (wide | wide << 8) & 0x00FF_00FF_00FF_00FF_00FF_00FF_00FF_00FF;
    (wide | wide << 4) & 0x0F0F_0F0F_0F0F_0F0F_0F0F_0F0F_0F0F_0F0F
}

#[cfg(test)]
mod tests {
    use super::{Pick, repack};

    #[test]
    fn low_nibbles_are_the_first_half() {
        let bytes = repack(0xFEDC_BA98_7654_3210, 0x0123_4567_89AB_CDEF).to_le_bytes();
        let codes: Vec<u8> = (0..32).map(|i| if i < 16 { bytes[i] & 15 } else { bytes[i - 16] >> 4 }).collect();
        assert_eq!(codes, (0..16).chain((0..16).rev()).collect::<Vec<u8>>());
    }

    #[test]
    fn gate_and_up_rows_come_apart() {
        let rows = |pick: Pick, count: usize| (0..count).map(|row| pick.source_row(row)).collect::<Vec<_>>();
        assert_eq!(rows(Pick::Gate, 4), [0, 2, 4, 6]);
        assert_eq!(rows(Pick::Up, 4), [1, 3, 5, 7]);
        assert_eq!(rows(Pick::GateThenUp { width: 2 }, 8), [0, 2, 1, 3, 4, 6, 5, 7]);
    }
}
