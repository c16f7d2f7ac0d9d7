//! A rough copy of dense rows in 4 bits per value, and how far it may be off. It must not know what it is good for.
//!
//! Values are rounded to E2M1 with an E8M0 scale per block of 32, the least with which nothing is cut off. Of each row is told
//! which part of its values the errors are, and how far those are off beside that, in all and in the worst block.

use crate::decode::{FP4_VALUES, decode_dense, e8m0_to_f32};
use crate::packed::{BLOCK_COLUMNS, PANEL_ROWS, PackedFormat, Rows, dense_rows, pack_mxfp4, round_q8};
use crate::storage::{DenseFormat, DenseMatrix, Mxfp4Layout};

/// Bytes of a panel's [`Spreads`], one field after the other.
pub(crate) const SPREAD_BYTES: usize = 4 * PANEL_ROWS * size_of::<f32>();

/// The greatest magnitude of E2M1.
const GREATEST: f32 = 6.0;
/// Where a magnitude becomes the next greater one.
const BETWEEN: [f32; 7] = [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0];
/// An E8M0 scale of NaN.
const NAN_SCALE: u8 = 255;

/// How far sixteen rows of the copy are off. With values w and errors e, `e = part · w + rest`, the rest being at right angles to w.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spreads {
    /// `|part / (1 + part)|`: of a result of the copy, how much is the part's.
    pub(crate) parts: [f32; PANEL_ROWS],
    /// Mean square of the rest, all columns together.
    pub(crate) errors: [f32; PANEL_ROWS],
    /// That of the worst block.
    pub(crate) worst: [f32; PANEL_ROWS],
    /// Mean square of the values of the greatest block.
    pub(crate) sizes: [f32; PANEL_ROWS],
}

impl Spreads {
    /// From the bytes of a panel's spreads.
    #[inline(always)]
    pub(crate) fn read(bytes: &[u8; SPREAD_BYTES]) -> Self {
        let numbers = bytes.as_chunks().0;
        let number = |at: usize| f32::from_le_bytes(numbers[at]);
        let field = |index: usize| std::array::from_fn(|row| number(index * PANEL_ROWS + row));
        Self { parts: field(0), errors: field(1), worst: field(2), sizes: field(3) }
    }

    /// The bytes of a panel's spreads.
    pub(crate) fn write(&self, out: &mut [u8]) {
        let Self { parts, errors, worst, sizes } = self;
        let numbers = parts.iter().chain(errors).chain(worst).chain(sizes);
        numbers.zip(out.as_chunks_mut().0).for_each(|(number, to)| *to = number.to_le_bytes());
    }
}

/// Rounds the rows of a panel, as `format` holds them, into an MXFP4 panel. The columns are whole blocks.
pub(crate) fn pack_rough(matrix: &DenseMatrix, format: PackedFormat, panel: usize, out: &mut [u8]) -> Spreads {
    let (rows, columns) = (dense_rows(matrix, panel), matrix.columns);
    let (row_bytes, blocks) = (columns / 2, columns / BLOCK_COLUMNS);
    let none = [0.0; PANEL_ROWS];
    let mut spreads = Spreads { parts: none, errors: none, worst: none, sizes: none };
    let (mut values, mut nibbles, mut scales) =
        (vec![0.0; columns], vec![0; PANEL_ROWS * row_bytes], vec![0; PANEL_ROWS * blocks]);
    let mut errors = vec![0.0; columns];
    for (row, bytes) in rows.iter().enumerate() {
        let Some(bytes) = bytes else { continue };
        held(format, matrix.format, bytes, &mut values);
        let (nibbles, scales) = (&mut nibbles[row * row_bytes..][..row_bytes], &mut scales[row * blocks..][..blocks]);
        let rounded = values.as_chunks().0.iter().zip(nibbles.as_chunks_mut().0).zip(scales);
        for (((values, nibbles), scale), errors) in rounded.zip(errors.as_chunks_mut().0) {
            *scale = round(values, nibbles);
            difference(values, nibbles, *scale, errors);
        }
        let part = dot(&errors, &values) / dot(&values, &values).max(f32::MIN_POSITIVE);
        errors.iter_mut().zip(&values).for_each(|(error, value)| *error -= part * value);
        spreads.parts[row] = (part / (1.0 + part)).abs();
        spreads.errors[row] = dot(&errors, &errors) / columns as f32;
        [spreads.worst[row], spreads.sizes[row]] = [&errors, &values].map(|values| greatest_square(values));
    }
    let parts = |row: usize| (&nibbles[row * row_bytes..][..row_bytes], &scales[row * blocks..][..blocks]);
    let parts: Rows<(&[u8], &[u8])> = std::array::from_fn(|row| rows[row].map(|_| parts(row)));
    pack_mxfp4(Mxfp4Layout::Split, columns, &parts, out);
    spreads
}

/// What a block's copy has more than its values.
fn difference(
    values: &[f32; BLOCK_COLUMNS],
    nibbles: &[u8; BLOCK_COLUMNS / 2],
    scale: u8,
    out: &mut [f32; BLOCK_COLUMNS],
) {
    let scale = e8m0_to_f32(scale);
    for ((out, value), byte) in out.as_chunks_mut::<2>().0.iter_mut().zip(values.as_chunks::<2>().0).zip(nibbles) {
        *out = [byte & 15, byte >> 4].map(|code| FP4_VALUES[usize::from(code)] * scale);
        out.iter_mut().zip(value).for_each(|(out, value)| *out -= value);
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; 16];
    for (a, b) in a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0) {
        sums.iter_mut().zip(a).zip(b).for_each(|((sum, a), b)| *sum += a * b);
    }
    sums.iter().sum()
}

/// The greatest mean square of a block; not a number where one is not.
fn greatest_square(values: &[f32]) -> f32 {
    let squares = values.chunks_exact(BLOCK_COLUMNS).map(|block| dot(block, block) / BLOCK_COLUMNS as f32);
    squares.fold(0.0, |most, square| if square <= most { most } else { square })
}

/// The values of a row as a packed form holds them.
fn held(format: PackedFormat, published: DenseFormat, bytes: &[u8], out: &mut [f32]) {
    decode_dense(published, bytes, 0, out);
    if format == PackedFormat::Q8 && published != DenseFormat::Q8_0 {
        out.chunks_mut(BLOCK_COLUMNS).for_each(round_q8);
    }
}

/// E2M1 codes of a block, two per byte, the first in the lower half; its E8M0 scale.
fn round(values: &[f32; BLOCK_COLUMNS], nibbles: &mut [u8; BLOCK_COLUMNS / 2]) -> u8 {
    // Magnitudes are ordered as their patterns are, what is not finite last.
    let greatest = f32::from_bits(values.iter().fold(0, |most, value| most.max(value.to_bits() & 0x7FFF_FFFF)));
    let Some(scale) = scale_for(greatest) else {
        nibbles.fill(0);
        return NAN_SCALE;
    };
    let inverse = 1.0 / e8m0_to_f32(scale);
    let code = |value: f32| {
        let magnitude = value.abs() * inverse;
        let steps: u8 = BETWEEN.iter().map(|&least| u8::from(magnitude >= least)).sum();
        steps | u8::from(value < 0.0) << 3
    };
    for (byte, pair) in nibbles.iter_mut().zip(values.as_chunks::<2>().0) {
        *byte = code(pair[0]) | code(pair[1]) << 4;
    }
    scale
}

/// The least power of two that a magnitude divided by is at most [`GREATEST`], as E8M0, at least 2⁻¹²⁶; `None` for one that is not finite.
fn scale_for(greatest: f32) -> Option<u8> {
    if !greatest.is_finite() {
        return None;
    }
    let ratio = greatest / GREATEST;
    let exponent = (ratio.to_bits() >> 23) as u8;
    let is_power = ratio.to_bits() & 0x7F_FFFF == 0;
    Some(if is_power { exponent } else { exponent + 1 }.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::f32_to_bf16;
    use crate::storage::Bytes;

    #[test]
    fn a_block_is_off_by_half_a_step_at_most() {
        for scale in [1e-30_f32, 1e-3, 1.0, 5.0, 6.0, 6.1, 1e30] {
            let values: [f32; 32] = std::array::from_fn(|i| ((i * 37 % 65) as f32 / 32.0 - 1.0) * scale);
            let mut nibbles = [0; 16];
            let step = e8m0_to_f32(round(&values, &mut nibbles));
            assert!(step * GREATEST >= scale * 0.999 && step * GREATEST / 2.0 < scale * 1.001, "{scale} {step}");
            for (place, value) in values.iter().enumerate() {
                let code = nibbles[place / 2] >> (place % 2 * 4) & 15;
                let off = (value - FP4_VALUES[usize::from(code)] * step).abs() / step;
                let bound = if value.abs() > 4.0 * step {
                    1.0
                } else if value.abs() > 2.0 * step {
                    0.5
                } else {
                    0.25
                };
                assert!(off <= bound * 1.0001, "{value} / {step} became {code}");
            }
        }
    }

    #[test]
    fn what_is_not_finite_or_nothing() {
        let mut nibbles = [7; 16];
        assert_eq!((round(&[0.0; 32], &mut nibbles), nibbles), (1, [0; 16]));
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let values = std::array::from_fn(|i| if i == 30 { value } else { 1.0 });
            assert_eq!(round(&values, &mut nibbles), NAN_SCALE);
        }
        assert_eq!((scale_for(6.0), scale_for(12.0), scale_for(12.1)), (Some(127), Some(128), Some(129)));
        assert!(e8m0_to_f32(scale_for(f32::MAX).unwrap()) * GREATEST >= f32::MAX);
    }

    #[test]
    fn spreads_are_those_of_the_worst_block() {
        // Rows of two blocks; the second one's values are not of 4 bits.
        let row = |row: usize, column: usize| match (row, column) {
            (_, 0..32) => [0.5, -1.0, 6.0, 3.0][column % 4],
            (0, _) => 1.0,
            _ => [5.0, 6.0][column % 2],
        };
        let bytes = (0..3).flat_map(|r| (0..64).flat_map(move |c| f32_to_bf16(row(r, c)).to_le_bytes())).collect();
        let matrix = DenseMatrix { format: DenseFormat::BF16, rows: 3, columns: 64, bytes: Bytes::from_vec(bytes) };
        let mut panel = vec![0; PackedFormat::Mxfp4.panel_bytes(64)];
        let found = pack_rough(&matrix, PackedFormat::BF16, 0, &mut panel);
        let mut bytes = [0; SPREAD_BYTES];
        found.write(&mut bytes);
        assert_eq!(Spreads::read(&bytes), found);
        // 5 is between 4 and 6, and became one of them, the same for all.
        let (small, large) = ((0.25 + 1.0 + 36.0 + 9.0) / 4.0, (25.0 + 36.0) / 2.0);
        let of = |row: usize| [found.parts[row], found.errors[row], found.worst[row], found.sizes[row]];
        assert_eq!(of(0), [0.0, 0.0, 0.0, small]);
        let part: f32 = 16.0 * 5.0 / (32.0 * small + 32.0 * large);
        let blocks = [32.0 * small * part.powi(2), 16.0 * (1.0 - 5.0 * part).powi(2) + 16.0 * (6.0 * part).powi(2)];
        let expected = [part / (1.0 + part), (blocks[0] + blocks[1]) / 64.0, blocks[1] / 32.0, large];
        assert!(of(1).iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-5), "{:?}", of(1));
        assert_eq!(of(3), [0.0; 4], "there is no such row");
    }

    #[test]
    fn what_is_off_alike_everywhere_is_no_error_beside_that() {
        // 4.9 and −4.9 become 4 and −4, in every block.
        let value = |row: usize, column: usize| if (row + column).is_multiple_of(3) { 4.9 } else { -4.9 };
        let bytes = (0..16).flat_map(|r| (0..64).flat_map(move |c| f32_to_bf16(value(r, c)).to_le_bytes())).collect();
        let matrix = DenseMatrix { format: DenseFormat::BF16, rows: 16, columns: 64, bytes: Bytes::from_vec(bytes) };
        let found = pack_rough(&matrix, PackedFormat::BF16, 0, &mut vec![0; PackedFormat::Mxfp4.panel_bytes(64)]);
        assert!(found.parts.iter().all(|part| (part - 0.9 / 4.0).abs() < 3e-3), "{found:?}");
        assert!(found.errors.iter().chain(&found.worst).all(|error| *error < 1e-9), "{found:?}");
    }
}
