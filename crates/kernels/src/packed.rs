//! Weights in panels of sixteen rows, the form that the fast kernels read: one stream, whole vectors, no horizontal sums.
//!
//! It must not know how products are computed or who asks for them. A panel is its scales, padded to a cache line, then its
//! values, block by block of 32 columns; within a block the sixteen rows' values of four columns (two for bf16) lie side by
//! side, so that one 64-byte vector meets one broadcast of an activation. The form is the same for every instruction set.

use crate::decode::{self, f16_to_f32, f32_to_f16};
use crate::storage::{Bytes, DenseFormat, DenseMatrix, Mxfp4Layout, Mxfp4Matrix};

/// Rows of a panel.
pub(crate) const PANEL_ROWS: usize = 16;
/// Columns of a block.
pub(crate) const BLOCK_COLUMNS: usize = 32;
/// Panels begin on cache lines.
pub(crate) const LINE_BYTES: usize = 64;

/// An encoding of packed values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PackedFormat {
    /// E2M1 codes, as published, with their E8M0 scales.
    Mxfp4,
    /// Signed bytes, 128 added, with a f16 scale per block.
    Q8,
    /// bfloat16, as published.
    BF16,
}

/// Matrices `[matrices, rows, columns]` in panels.
pub(crate) struct PackedMatrix {
    pub(crate) format: PackedFormat,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) bytes: Bytes,
}

impl PackedFormat {
    /// Bytes of the scales of a block, all rows together.
    pub(crate) const fn scale_bytes(self) -> usize {
        match self {
            Self::Mxfp4 => PANEL_ROWS,
            Self::Q8 => 2 * PANEL_ROWS,
            Self::BF16 => 0,
        }
    }

    /// Bytes of the values of a block, all rows together.
    pub(crate) const fn value_bytes(self) -> usize {
        match self {
            Self::Mxfp4 => PANEL_ROWS * BLOCK_COLUMNS / 2,
            Self::Q8 => PANEL_ROWS * BLOCK_COLUMNS,
            Self::BF16 => 2 * PANEL_ROWS * BLOCK_COLUMNS,
        }
    }

    /// Where the values of a panel of so many columns begin.
    pub(crate) const fn values_start(self, columns: usize) -> usize {
        (columns.div_ceil(BLOCK_COLUMNS) * self.scale_bytes()).next_multiple_of(LINE_BYTES)
    }

    /// Bytes of a panel of so many columns.
    pub(crate) const fn panel_bytes(self, columns: usize) -> usize {
        self.values_start(columns) + columns.div_ceil(BLOCK_COLUMNS) * self.value_bytes()
    }
}

impl PackedMatrix {
    /// Panels of each matrix.
    pub(crate) fn panels(&self) -> usize {
        self.rows.div_ceil(PANEL_ROWS)
    }

    /// Blocks of a row; the last is filled up with zeros.
    pub(crate) fn blocks(&self) -> usize {
        self.columns.div_ceil(BLOCK_COLUMNS)
    }

    /// Bytes of a panel.
    pub(crate) fn panel_bytes(&self) -> usize {
        self.format.panel_bytes(self.columns)
    }

    /// The scales of a panel of a matrix, block by block.
    pub(crate) fn scales(&self, matrix: usize, panel: usize) -> &[u8] {
        &self.panel(matrix, panel)[..self.blocks() * self.format.scale_bytes()]
    }

    /// The bytes of a panel of a matrix.
    pub(crate) fn panel(&self, matrix: usize, panel: usize) -> &[u8] {
        let length = self.panel_bytes();
        &self.bytes[(matrix * self.panels() + panel) * length..][..length]
    }
}

/// Sixteen rows of the same tensor, of which the last may be missing.
pub(crate) type Rows<T> = [Option<T>; PANEL_ROWS];

/// Packs rows of MXFP4: `rows` gives nibbles and scales of each.
pub(crate) fn pack_mxfp4(layout: Mxfp4Layout, columns: usize, rows: &Rows<(&[u8], &[u8])>, out: &mut [u8]) {
    let (blocks, values) = (columns / BLOCK_COLUMNS, PackedFormat::Mxfp4.values_start(columns));
    let value_bytes = PackedFormat::Mxfp4.value_bytes();
    out.fill(0);
    for (row, source) in rows.iter().enumerate() {
        let Some((nibbles, scales)) = *source else { continue };
        for block in 0..blocks {
            let (scale, nibbles) = match layout {
                Mxfp4Layout::Split => (scales[block], &nibbles[block * 16..][..16]),
                Mxfp4Layout::Joined => (nibbles[block * 17], &nibbles[block * 17 + 1..][..16]),
            };
            out[block * PANEL_ROWS + row] = scale;
            let words = nibbles.as_chunks::<4>().0;
            let word = |index: usize| u32::from_le_bytes(words[index]);
            for octet in 0..4 {
                let packed = match layout {
                    Mxfp4Layout::Split => spread(word(octet)) | spread(word(octet) >> 16) << 4,
                    Mxfp4Layout::Joined => {
                        let (first, shift) = (octet % 2 * 2, octet / 2 * 4);
                        let half = |index| word(index) >> shift & 0x0f0f_0f0f;
                        half(first) | half(first + 1) << 4
                    }
                };
                let at = values + block * value_bytes + octet * 64 + row * 4;
                out[at..at + 4].copy_from_slice(&packed.to_le_bytes());
            }
        }
    }
}

/// The four nibbles of the low half, a byte each.
const fn spread(word: u32) -> u32 {
    let pairs = (word & 0xffff | word << 8) & 0x00ff_00ff;
    (pairs | pairs << 4) & 0x0f0f_0f0f
}

/// Packs dense rows in eight bits: `Q8_0` as it is, anything else rounded, block by block, to 127 steps of its greatest value.
pub(crate) fn pack_q8(format: DenseFormat, columns: usize, rows: &Rows<&[u8]>, out: &mut [u8]) {
    let (blocks, values) = (columns.div_ceil(BLOCK_COLUMNS), PackedFormat::Q8.values_start(columns));
    let value_bytes = PackedFormat::Q8.value_bytes();
    out[..values].fill(0);
    out[values..].fill(128);
    let mut decoded = vec![0.0; blocks * BLOCK_COLUMNS];
    for (row, source) in rows.iter().enumerate() {
        let Some(bytes) = *source else { continue };
        if format != DenseFormat::Q8_0 {
            decode::decode_dense(format, bytes, 0, &mut decoded[..columns]);
        }
        for block in 0..blocks {
            let (scale, quantised) = match format {
                DenseFormat::Q8_0 => {
                    let bytes = &bytes[block * 34..][..34];
                    (u16::from_le_bytes([bytes[0], bytes[1]]), std::array::from_fn(|i| bytes[2 + i] ^ 0x80))
                }
                _ => quantised(&decoded[block * BLOCK_COLUMNS..][..BLOCK_COLUMNS]),
            };
            out[(block * PANEL_ROWS + row) * 2..][..2].copy_from_slice(&scale.to_le_bytes());
            for (quad, four) in quantised.as_chunks::<4>().0.iter().enumerate() {
                out[values + block * value_bytes + quad * 64 + row * 4..][..4].copy_from_slice(four);
            }
        }
    }
}

/// Replaces the values of a block by those that [`pack_q8`] makes of them.
pub(crate) fn round_q8(values: &mut [f32]) {
    let mut block = [0.0; BLOCK_COLUMNS];
    block[..values.len()].copy_from_slice(values);
    let (scale, bytes) = quantised(&block);
    let step = f16_to_f32(scale);
    values.iter_mut().zip(bytes).for_each(|(value, byte)| *value = (f32::from(byte) - 128.0) * step);
}

/// A f16 scale and bytes with 128 added, for the 32 values of a block.
fn quantised(values: &[f32]) -> (u16, [u8; BLOCK_COLUMNS]) {
    // Magnitudes are ordered as their patterns are, NaN last: it makes the scale NaN, so that it is seen in the result.
    let greatest = f32::from_bits(values.iter().fold(0, |most, value| most.max(value.to_bits() & 0x7FFF_FFFF)));
    let scale = f32_to_f16(greatest / 127.0);
    let step = f16_to_f32(scale);
    let inverse = if step > 0.0 { 1.0 / step } else { 0.0 };
    let byte = |i: usize| ((values[i] * inverse).round().clamp(-127.0, 127.0) + 128.0) as u8;
    (scale, std::array::from_fn(byte))
}

/// Packs rows of bf16 as they are.
pub(crate) fn pack_bf16(columns: usize, rows: &Rows<&[u8]>, out: &mut [u8]) {
    out.fill(0);
    for (row, source) in rows.iter().enumerate() {
        let Some(bytes) = *source else { continue };
        for (pair, value) in bytes[..2 * columns].chunks(4).enumerate() {
            out[pair * 64 + row * 4..][..value.len()].copy_from_slice(value);
        }
    }
}

/// The rows `16 · panel ..` of a dense matrix.
pub(crate) fn dense_rows(matrix: &DenseMatrix, panel: usize) -> Rows<&[u8]> {
    std::array::from_fn(|row| {
        let row = panel * PANEL_ROWS + row;
        (row < matrix.rows).then(|| matrix.row(row))
    })
}

/// A row of an expert.
pub(crate) fn expert_row(matrix: &Mxfp4Matrix, expert: usize, row: usize) -> Option<(&[u8], &[u8])> {
    (row < matrix.rows).then(|| (matrix.row_blocks(expert, row), matrix.row_scales(expert, row)))
}
