//! Writes rows of keys and values into a block of pairs of bf16 (AVX-512 with BF16). It must not know positions beyond the block.
//!
//! Values are merged row by row: a row is one half of each pair. Keys are transposed, 16 positions by 16 pairs in registers
//! where 16 positions are there, else one by one.

#[cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "the intrinsics are the vocabulary of this file"))]
use std::arch::x86_64::*;

use super::Rows;

/// Positions that are transposed together.
const RUN: usize = 16;

/// Writes [`Rows`].
///
/// # Safety
/// The rows' pointers hold what they say, and nobody else touches the head's part of the block.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
pub(super) unsafe fn append(rows: &Rows) {
    // SAFETY: as required; `slot + rows` is at most 64.
    unsafe {
        let mut row = 0;
        while row < rows.rows {
            let slot = rows.slot + row;
            if slot.is_multiple_of(RUN) && rows.rows - row >= RUN {
                write_key_run(rows, row);
                row += RUN;
            } else {
                write_key(rows, row);
                row += 1;
            }
        }
        let mut finite = true;
        for row in 0..rows.rows {
            finite &= write_value(rows, row);
        }
        if !finite {
            *rows.finite = false;
        }
    }
}

/// `count` values from `from` on, at most 16, as bf16; the others are zero.
#[inline(always)]
unsafe fn round(from: *const f32, count: usize) -> __m256i {
    // SAFETY: the caller has `count` values.
    unsafe {
        let mask = if count >= 16 { u16::MAX } else { (1 << count) - 1 };
        std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, from)))
    }
}

/// 16 pairs of a key, or as many as there are.
#[inline(always)]
unsafe fn key_pairs(rows: &Rows, row: usize, pair: usize) -> __m512i {
    // SAFETY: `append`'s contract; `pair` is below `head_dim / 2`.
    unsafe {
        let from = rows.keys.add(row * rows.stride + 2 * pair);
        let count = rows.shape.head_dim - 2 * pair;
        let low = round(from, count);
        if count <= 16 {
            return _mm512_castsi256_si512(low);
        }
        _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), round(from.add(16), count - 16))
    }
}

/// Where a pair of a position lies.
#[inline(always)]
unsafe fn key_place(rows: &Rows, pair: usize, slot: usize) -> *mut u32 {
    // SAFETY: both are inside the block.
    unsafe { rows.head.cast::<u32>().add((slot / 32 * (rows.shape.head_dim / 2) + pair) * 32 + slot % 32) }
}

#[inline(always)]
unsafe fn write_key(rows: &Rows, row: usize) {
    let pairs = rows.shape.head_dim / 2;
    // SAFETY: `append`'s contract.
    unsafe {
        for first in (0..pairs).step_by(16) {
            let mut buffer = [0u32; 16];
            _mm512_storeu_si512(buffer.as_mut_ptr().cast(), key_pairs(rows, row, first));
            for (pair, value) in (first..pairs).zip(buffer) {
                *key_place(rows, pair, rows.slot + row) = value;
            }
        }
    }
}

#[inline(always)]
unsafe fn write_key_run(rows: &Rows, row: usize) {
    let pairs = rows.shape.head_dim / 2;
    // SAFETY: `append`'s contract, for `RUN` rows.
    unsafe {
        for first in (0..pairs).step_by(16) {
            let mut tile = [_mm512_setzero_si512(); RUN];
            for (i, tile) in tile.iter_mut().enumerate() {
                *tile = key_pairs(rows, row + i, first);
            }
            for (pair, line) in (first..pairs).zip(transpose(tile)) {
                _mm512_storeu_si512(key_place(rows, pair, rows.slot + row).cast(), line);
            }
        }
    }
}

/// Transposes 16 rows of 16 values of 32 bits: by ones and twos inside quarters, then the quarters.
#[inline(always)]
unsafe fn transpose(rows: [__m512i; 16]) -> [__m512i; 16] {
    // SAFETY: only registers; the instruction set is the caller's.
    unsafe {
        let zero = _mm512_setzero_si512();
        let mut quarters = [zero; 16];
        for i in 0..4 {
            let four = [rows[4 * i], rows[4 * i + 1], rows[4 * i + 2], rows[4 * i + 3]];
            let low = [_mm512_unpacklo_epi32(four[0], four[1]), _mm512_unpacklo_epi32(four[2], four[3])];
            let high = [_mm512_unpackhi_epi32(four[0], four[1]), _mm512_unpackhi_epi32(four[2], four[3])];
            // Entry `4·i + j`: in its quarter `k` the values of column `4·k + j` of rows `4·i ..`.
            quarters[4 * i] = _mm512_unpacklo_epi64(low[0], low[1]);
            quarters[4 * i + 1] = _mm512_unpackhi_epi64(low[0], low[1]);
            quarters[4 * i + 2] = _mm512_unpacklo_epi64(high[0], high[1]);
            quarters[4 * i + 3] = _mm512_unpackhi_epi64(high[0], high[1]);
        }
        let mut out = [zero; 16];
        for j in 0..4 {
            let of = [quarters[j], quarters[4 + j], quarters[8 + j], quarters[12 + j]];
            let even = [_mm512_shuffle_i32x4::<0x88>(of[0], of[1]), _mm512_shuffle_i32x4::<0x88>(of[2], of[3])];
            let odd = [_mm512_shuffle_i32x4::<0xDD>(of[0], of[1]), _mm512_shuffle_i32x4::<0xDD>(of[2], of[3])];
            out[j] = _mm512_shuffle_i32x4::<0x88>(even[0], even[1]);
            out[4 + j] = _mm512_shuffle_i32x4::<0x88>(odd[0], odd[1]);
            out[8 + j] = _mm512_shuffle_i32x4::<0xDD>(even[0], even[1]);
            out[12 + j] = _mm512_shuffle_i32x4::<0xDD>(odd[0], odd[1]);
        }
        out
    }
}

/// Merges one row of values; whether all are finite as stored.
#[inline(always)]
unsafe fn write_value(rows: &Rows, row: usize) -> bool {
    let (dim, padded) = (rows.shape.head_dim, rows.shape.padded_dim);
    let slot = rows.slot + row;
    // SAFETY: `append`'s contract.
    unsafe {
        let mut finite = true;
        let exponent = _mm256_set1_epi16(0x7F80);
        let values = rows.head.cast::<u16>().add(64 * dim).cast::<u32>();
        for column in (0..dim).step_by(16) {
            let rounded = round(rows.values.add(row * rows.stride + column), dim - column);
            finite &= _mm256_cmpeq_epi16_mask(_mm256_and_si256(rounded, exponent), exponent) == 0;
            let tile = column / 32 * 32;
            let width = (padded - tile).min(32);
            let to = values.add(tile * 32 + slot / 2 * width + column % 32);
            let wide = _mm512_cvtepu16_epi32(rounded);
            let old = _mm512_loadu_si512(to.cast());
            let merged = if slot.is_multiple_of(2) {
                _mm512_mask_blend_epi16(0x5555_5555, old, wide)
            } else {
                _mm512_mask_blend_epi16(0xAAAA_AAAA, old, _mm512_slli_epi32::<16>(wide))
            };
            _mm512_storeu_si512(to.cast(), merged);
        }
        finite
    }
}
