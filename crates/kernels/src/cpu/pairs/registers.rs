//! The register tiles of attention over pairs and the exponential (AVX-512).
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

/// What a cache's values are multiplied as.
///
/// # Safety
/// All functions require that the processor has the implementation's instruction set and that pointers hold what they say.
pub(super) trait Product {
    /// 16 sums of products.
    type Sum: Copy;

    /// Bytes of a stored value.
    const VALUE_BYTES: usize;

    unsafe fn zero() -> Self::Sum;

    /// Loads `32 · COUNT` values as 16 bits each and asks for the lines that lie `ahead` of them.
    unsafe fn load<const COUNT: usize>(from: *const u8, ahead: isize) -> [__m512i; COUNT];

    /// `sum + a₀·b₀ + a₁·b₁` in each lane.
    unsafe fn add_pairs(sum: Self::Sum, a: __m512i, b: __m512i) -> Self::Sum;

    /// A score, made of a sum, the scales of 16 keys and that of the query; they are looked at where the product has any.
    unsafe fn score(sum: Self::Sum, key_scales: *const f32, query_scale: *const f32) -> __m512;

    /// What a block's weighted values are added up from, and `end` brings where they belong.
    unsafe fn begin(place: *const f32) -> Self::Sum;

    /// Writes a block's sums with the scale of its weights, where the product has one.
    unsafe fn end(place: *mut f32, sum: Self::Sum, weight_scale: *const f32);
}

/// A tile's queries as 16-bit values, `stride` apart, and their scales.
pub(super) struct Queries {
    pub(super) values: *const u16,
    pub(super) stride: usize,
    pub(super) scales: *const f32,
}

/// Half a block's keys.
pub(super) struct Keys {
    pub(super) pairs: usize,
    pub(super) values: *const u8,
    pub(super) scales: *const f32,
    pub(super) ahead: isize,
}

/// Scores of a tile of queries against half a block; rows of scores are a block apart.
///
/// # Safety
/// The processor has the instruction set; there are as many queries, keys (aligned to 64 bytes) and places as said.
#[inline(always)]
pub(super) unsafe fn score<P: Product, const TILE: usize>(queries: &Queries, keys: &Keys, scores: *mut f32) {
    // SAFETY: as required.
    unsafe {
        let places: [*const u16; TILE] = std::array::from_fn(|q| queries.values.add(q * queries.stride));
        let mut sums = [[P::zero(); 2]; TILE];
        for pair in 0..keys.pairs {
            let row = P::load::<2>(keys.values.add(pair * 2 * HALF * P::VALUE_BYTES), keys.ahead);
            for q in 0..TILE {
                let query = splat_pair(places[q].add(2 * pair));
                sums[q] = [P::add_pairs(sums[q][0], row[0], query), P::add_pairs(sums[q][1], row[1], query)];
            }
        }
        for q in 0..TILE {
            for v in 0..2 {
                let score = P::score(sums[q][v], keys.scales.wrapping_add(v * 16), queries.scales.add(q));
                _mm512_store_ps(scores.add(q * BLOCK_POSITIONS + v * 16), score);
            }
        }
    }
}

/// Rows of a tile's weights as 16-bit values, a block apart, and their scales.
pub(super) struct Weights {
    pub(super) values: *const u16,
    pub(super) scales: *const f32,
}

/// Adds the weighted values of some pairs of positions to `16 · VECTORS` columns of a tile's sums, `stride` apart.
///
/// # Safety
/// As for [`score`].
#[inline(always)]
pub(super) unsafe fn accumulate<P: Product, const TILE: usize, const VECTORS: usize>(
    weights: &Weights,
    values: *const u8,
    pairs: Range<usize>,
    ahead: isize,
    place: *mut f32,
    stride: usize,
) {
    // SAFETY: as required.
    unsafe {
        let mut sums = [[P::zero(); VECTORS]; TILE];
        for q in 0..TILE {
            for v in 0..VECTORS {
                sums[q][v] = P::begin(place.add(q * stride + v * 16));
            }
        }
        for pair in pairs {
            let value = P::load::<VECTORS>(values.add(pair * VECTORS * HALF * P::VALUE_BYTES), ahead);
            for q in 0..TILE {
                let weight = splat_pair(weights.values.add(q * BLOCK_POSITIONS + 2 * pair));
                for v in 0..VECTORS {
                    sums[q][v] = P::add_pairs(sums[q][v], value[v], weight);
                }
            }
        }
        for q in 0..TILE {
            for v in 0..VECTORS {
                P::end(place.add(q * stride + v * 16), sums[q][v], weights.scales.add(q));
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

/// One pair in all lanes.
#[inline(always)]
unsafe fn splat_pair(from: *const u16) -> __m512i {
    // SAFETY: the caller has a pair there, aligned to its 4 bytes.
    unsafe { _mm512_set1_epi32(*from.cast::<i32>()) }
}

/// Asks for the line that lies `ahead` of a place.
///
/// Asked for into the second level only: that has room for far more lines on their way from memory. At 16,384 positions it
/// made decode half as fast again as asking for nothing or into the first level.
///
/// # Safety
/// The processor has the instruction set; asking for a line never faults.
#[inline(always)]
pub(super) unsafe fn ask(from: *const u8, ahead: isize) {
    // SAFETY: as required.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(from.wrapping_byte_offset(ahead).cast()) };
}
