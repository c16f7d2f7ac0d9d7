//! Writes rows of keys and values into a block of pairs of bytes (AVX-512). It must not know positions beyond the block.
//!
//! Rounding takes the time, and the instruction set's vectors do it; the bytes are put where they belong one by one.

use super::Rows;
use crate::byte_vector;
use crate::cpu::kv::BLOCK_POSITIONS;

/// Positions whose keys lie side by side, and columns of values that do.
const HALF: usize = 32;

/// Longest head that needs no memory of its own.
const HEAD_DIM_MAX: usize = super::BYTE_HEAD_DIM_MAX;

/// Writes [`Rows`].
///
/// # Safety
/// The rows' pointers hold what they say, and nobody else touches the head's part of the block.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) unsafe fn append(rows: &Rows) {
    let (dim, padded_dim) = (rows.shape.head_dim, rows.shape.padded_dim);
    // SAFETY: as required.
    let head = unsafe { std::slice::from_raw_parts_mut(rows.head, rows.shape.head_bytes(super::Element::Byte)) };
    let (keys, rest) = head.split_at_mut(BLOCK_POSITIONS * dim);
    let (values, scales) = rest.split_at_mut(BLOCK_POSITIONS * padded_dim);
    let (key_scales, value_scales) = scales.split_at_mut(BLOCK_POSITIONS * size_of::<f32>());
    let mut bytes = [0; HEAD_DIM_MAX];
    let bytes = &mut bytes[..dim];
    for row in 0..rows.rows {
        let slot = rows.slot + row;
        let scale_place = slot * size_of::<f32>()..(slot + 1) * size_of::<f32>();
        // SAFETY: as required: `head_dim` values from the head's first column on.
        let key = unsafe { std::slice::from_raw_parts(rows.keys.add(row * rows.stride), dim) };
        let scale = byte_vector::round(key, bytes);
        key_scales[scale_place.clone()].copy_from_slice(&scale.to_ne_bytes());
        let lines = keys[slot / HALF * HALF * dim..].as_chunks_mut::<{ 2 * HALF }>().0;
        for (line, two) in lines.iter_mut().zip(bytes.as_chunks::<2>().0) {
            (line[slot % HALF * 2], line[slot % HALF * 2 + 1]) = (two[0] as u8, two[1] as u8);
        }
        // SAFETY: as for the key.
        let value = unsafe { std::slice::from_raw_parts(rows.values.add(row * rows.stride), dim) };
        let scale = byte_vector::round(value, bytes);
        value_scales[scale_place].copy_from_slice(&scale.to_ne_bytes());
        for (tile, columns) in bytes.chunks(HALF).enumerate() {
            let width = (padded_dim - tile * HALF).min(HALF);
            let from = tile * HALF * BLOCK_POSITIONS + slot / 2 * width * 2 + slot % 2;
            let places = &mut values[from..from + 2 * columns.len() - 1];
            for (to, &byte) in places.chunks_mut(2).zip(columns) {
                to[0] = byte as u8;
            }
        }
    }
}
