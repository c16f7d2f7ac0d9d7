//! The register tiles of attention over pairs and the exponential (AVX-512 with BF16).
//!
//! It must not know heads, windows or what a query sees. Every function is `inline(always)`: it becomes part of `attend`,
//! which has the instruction set.

#![expect(
    clippy::needless_range_loop,
    reason = "register tiles are indexed by constants, so that they stay in registers"
)]

#[cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "the intrinsics are the vocabulary of this file"))]
use std::arch::x86_64::*;
use std::ops::Range;

use crate::cpu::kv::BLOCK_POSITIONS;

/// Positions whose scores share a register tile, and columns of values that do.
pub(super) const HALF: usize = 32;

/// Scores of a tile of queries, `stride` apart, against half a block; rows of scores are a block apart.
///
/// # Safety
/// The processor has the instruction set; there are as many queries, keys (aligned to 64 bytes) and places as said.
#[inline(always)]
pub(super) unsafe fn score<const TILE: usize>(
    queries: *const u16,
    stride: usize,
    keys: *const u16,
    pairs: usize,
    ahead: isize,
    scores: *mut f32,
) {
    // SAFETY: as required.
    unsafe {
        let queries: [*const u16; TILE] = std::array::from_fn(|q| queries.add(q * stride));
        let mut sums = [[_mm512_setzero_ps(); 2]; TILE];
        for pair in 0..pairs {
            let row = keys.add(pair * 2 * HALF);
            let keys = [load(row, ahead), load(row.add(HALF), ahead)];
            for q in 0..TILE {
                let query = queries[q].add(2 * pair);
                sums[q] = [add_pairs(sums[q][0], keys[0], query), add_pairs(sums[q][1], keys[1], query)];
            }
        }
        for q in 0..TILE {
            let to = scores.add(q * BLOCK_POSITIONS);
            _mm512_store_ps(to, sums[q][0]);
            _mm512_store_ps(to.add(16), sums[q][1]);
        }
    }
}

/// Adds the weighted values of some pairs of positions to `16 · VECTORS` columns of a tile's sums, `stride` apart; rows of
/// weights are a block apart.
///
/// # Safety
/// As for [`score`].
#[inline(always)]
pub(super) unsafe fn accumulate<const TILE: usize, const VECTORS: usize>(
    weights: *const u16,
    values: *const u16,
    pairs: Range<usize>,
    ahead: isize,
    place: *mut f32,
    stride: usize,
) {
    // SAFETY: as required.
    unsafe {
        let mut sums = [[_mm512_setzero_ps(); VECTORS]; TILE];
        for q in 0..TILE {
            for v in 0..VECTORS {
                sums[q][v] = _mm512_load_ps(place.add(q * stride + v * 16));
            }
        }
        for pair in pairs {
            let mut value = [_mm512_setzero_si512(); VECTORS];
            for v in 0..VECTORS {
                value[v] = load(values.add((pair * VECTORS + v) * HALF), ahead);
            }
            for q in 0..TILE {
                for v in 0..VECTORS {
                    sums[q][v] = add_pairs(sums[q][v], value[v], weights.add(q * BLOCK_POSITIONS + 2 * pair));
                }
            }
        }
        for q in 0..TILE {
            for v in 0..VECTORS {
                _mm512_store_ps(place.add(q * stride + v * 16), sums[q][v]);
            }
        }
    }
}

/// `2^x`, within 3e-6 of itself; exactly zero for −∞.
///
/// The polynomial is the best of degree 4 on [0, 1) in relative error (found by Remez exchange).
///
/// # Safety
/// The processor has the instruction set.
#[inline(always)]
pub(super) unsafe fn exp2(x: __m512) -> __m512 {
    // SAFETY: only registers; the instruction set is the caller's.
    unsafe {
        // x − ⌊x⌋, without exceptions.
        let rest = _mm512_reduce_ps::<0x09>(x);
        let mut p = _mm512_set1_ps(0.013_534_168);
        for coefficient in [0.052_011_46, 0.241_442_76, 0.693_003_83, 1.000_002_6] {
            p = _mm512_fmadd_ps(p, rest, _mm512_set1_ps(coefficient));
        }
        // p · 2^⌊x⌋.
        _mm512_scalef_ps(p, x)
    }
}

/// `sum + a₀·b₀ + a₁·b₁` in each lane; `b` is one pair.
#[inline(always)]
unsafe fn add_pairs(sum: __m512, a: __m512i, b: *const u16) -> __m512 {
    // SAFETY: `b` points to a pair, aligned to its 4 bytes; the types are views of the same 512 bits.
    unsafe {
        let b = _mm512_set1_epi32(*b.cast::<i32>());
        _mm512_dpbf16_ps(sum, std::mem::transmute::<__m512i, __m512bh>(a), std::mem::transmute::<__m512i, __m512bh>(b))
    }
}

/// Loads 32 bf16 and asks for those of the next block.
///
/// Asked for into the second level only: that has room for far more lines on their way from memory. At 16,384 positions it
/// made decode half as fast again as asking for nothing or into the first level.
#[inline(always)]
unsafe fn load(from: *const u16, ahead: isize) -> __m512i {
    // SAFETY: the caller has 32 values; asking for a line never faults.
    unsafe {
        _mm_prefetch::<_MM_HINT_T1>(from.wrapping_byte_offset(ahead).cast());
        _mm512_load_si512(from.cast())
    }
}
