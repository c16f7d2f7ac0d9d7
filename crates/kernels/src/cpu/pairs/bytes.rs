//! Pairs of bytes (AVX-512 with VNNI): products of 16-bit integers, exact in 32 bits, and how queries and weights become such.
//!
//! It must not know tiles' sizes or tasks. Keys' scales multiply scores, values' scales weights before these are rounded. Positions
//! whose key or value was not finite have scales of NaN, which reach the queries that see them through scores or weights' scales.

#[cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "the intrinsics are the vocabulary of this file"))]
use std::arch::x86_64::*;
use std::ops::Range;

use super::cache::{Cache, Head, Scratch, WeightRow};
use super::registers::{HALF, Product, ask, exp2};
use super::{Element, Job};
use crate::cpu::kv::BLOCK_POSITIONS;

/// A cache of bytes with scales.
pub(super) struct Bytes;

/// What is below one becomes an integer of 16 bits when multiplied by this.
const STEPS: f32 = 32767.0;

/// Least exponent that values are relative to, so that scales are ordinary numbers. What lies below it by as much as integers have
/// bits counts as nothing.
const EXPONENT_MIN: f32 = -100.0;

/// A line of 16-bit numbers, aligned as one.
#[repr(align(64))]
struct Line([u16; 32]);

/// Which halves of 32 integers of 32 bits are kept.
static LOWER_HALVES: Line = {
    let mut places = [0; 32];
    let mut i = 0;
    while i < 32 {
        places[i] = 2 * i as u16;
        i += 1;
    }
    Line(places)
};

#[expect(clippy::undocumented_unsafe_blocks, reason = "the instruction set and pointers are as the trait requires")]
impl Product for Bytes {
    type Sum = __m512i;

    const VALUE_BYTES: usize = Element::Byte.value_bytes();

    #[inline(always)]
    unsafe fn zero() -> __m512i {
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    unsafe fn load<const COUNT: usize>(from: *const u8, ahead: isize) -> [__m512i; COUNT] {
        std::array::from_fn(|v| unsafe {
            let from = from.add(v * 32);
            if v % 2 == 0 {
                ask(from, ahead);
            }
            _mm512_cvtepi8_epi16(_mm256_load_si256(from.cast()))
        })
    }

    #[inline(always)]
    unsafe fn add_pairs(sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // No sum is large enough to be saturated. Without saturation the compiler would make two instructions of this one, so that the
        // sums wait less for one another, though here there are enough of them: prompts then take a twentieth longer.
        unsafe { _mm512_dpwssds_epi32(sum, a, b) }
    }

    #[inline(always)]
    unsafe fn score(sum: __m512i, key_scales: *const f32, query_scale: *const f32) -> __m512 {
        unsafe {
            let scales = _mm512_mul_ps(_mm512_load_ps(key_scales), _mm512_set1_ps(*query_scale));
            _mm512_mul_ps(_mm512_cvtepi32_ps(sum), scales)
        }
    }

    #[inline(always)]
    unsafe fn begin(_place: *const f32) -> __m512i {
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    unsafe fn end(place: *mut f32, sum: __m512i, weight_scale: *const f32) {
        unsafe {
            let all = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_set1_ps(*weight_scale), _mm512_load_ps(place));
            _mm512_store_ps(place, all);
        }
    }
}

impl Cache for Bytes {
    const ELEMENT: Element = Element::Byte;

    #[inline(always)]
    unsafe fn round_query(from: *const f32, dim: usize, factor: f32, to: *mut u16) -> f32 {
        // SAFETY: as required.
        unsafe {
            let values = |i: usize| {
                let mask = if dim - i >= 16 { u16::MAX } else { (1 << (dim - i)) - 1 };
                _mm512_maskz_loadu_ps(mask, from.add(i))
            };
            let mut greatest = _mm512_setzero_si512();
            for i in (0..dim).step_by(16) {
                greatest = _mm512_max_epu32(greatest, magnitudes(values(i)));
            }
            let greatest = _mm512_reduce_max_epu32(greatest);
            let (up, down) = steps(exponent_above(greatest));
            for i in (0..dim).step_by(16) {
                let integers = _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(_mm512_mul_ps(values(i), up)));
                _mm256_storeu_si256(to.add(i).cast(), integers);
            }
            if f32::from_bits(greatest).is_finite() { factor * down } else { f32::NAN }
        }
    }

    #[inline(always)]
    unsafe fn weigh<const ALL: bool>(
        score: impl Fn(usize) -> __m512,
        base: __m512,
        halves: Range<usize>,
        seen: u64,
        value_scales: *const f32,
        row: &WeightRow,
    ) {
        let halves = if ALL { 0..2 } else { halves };
        // SAFETY: as required.
        unsafe {
            let mut total = _mm512_load_ps(row.total);
            for v in 2 * halves.start..2 * halves.end {
                let weight = exp2(_mm512_sub_ps(score(v), base));
                total = _mm512_add_ps(total, weight);
                // Scales of what is not seen may be NaN, and must not count among the greatest.
                let mask = if ALL { u16::MAX } else { (seen >> (v * 16)) as u16 };
                let scaled = _mm512_maskz_mul_ps(mask, weight, _mm512_load_ps(value_scales.add(v * 16)));
                _mm512_store_ps(row.scores.add(v * 16), scaled);
            }
            _mm512_store_ps(row.total, total);
        }
    }

    /// For the whole tile, so that one row's greatest is found while others are rounded.
    #[inline(always)]
    unsafe fn round_weights<const TILE: usize>(
        scores: *const f32,
        halves: Range<usize>,
        weights: *mut u16,
        scales: *mut f32,
    ) {
        let first = halves.start * HALF;
        // SAFETY: as required.
        unsafe {
            if halves.len() == 2 {
                round_rows::<TILE, 2>(scores.add(first), weights.add(first), scales);
            } else {
                round_rows::<TILE, 1>(scores.add(first), weights.add(first), scales);
            }
        }
    }

    /// Nothing of this kind is ever stored: a scale says what is not finite, and unseen scales are not looked at.
    #[inline(always)]
    unsafe fn add_one_by_one<const TILE: usize>(_: &Job<'_>, _: &Scratch, _: usize, _: &Head) {
        unreachable!("blocks of bytes are always finite");
    }
}

/// [`Cache::round_weights`] for a number of halves that the compiler knows.
#[inline(always)]
unsafe fn round_rows<const TILE: usize, const HALVES: usize>(scores: *const f32, weights: *mut u16, scales: *mut f32) {
    // SAFETY: the trait's.
    unsafe {
        let lower_halves = _mm512_load_si512(LOWER_HALVES.0.as_ptr().cast());
        for q in 0..TILE {
            let row = scores.add(q * BLOCK_POSITIONS);
            let scaled: [[__m512; 2]; HALVES] =
                std::array::from_fn(|half| [0, 16].map(|v| _mm512_load_ps(row.add(half * HALF + v))));
            // None is negative, so that their patterns are ordered as they are, NaN last.
            let greatest = scaled.as_flattened().iter().fold(_mm512_setzero_si512(), |greatest, &scaled| {
                _mm512_max_epu32(greatest, _mm512_castps_si512(scaled))
            });
            let (up, down) = steps(exponent_above(_mm512_reduce_max_epu32(greatest)));
            for (half, scaled) in scaled.into_iter().enumerate() {
                let [low, high] = scaled.map(|scaled| _mm512_cvtps_epi32(_mm512_mul_ps(scaled, up)));
                let integers = _mm512_permutex2var_epi16(low, lower_halves, high);
                _mm512_store_si512(weights.add(q * BLOCK_POSITIONS + half * HALF).cast(), integers);
            }
            *scales.add(q) = down;
        }
    }
}

/// Magnitudes of f32 as integers in the same order, infinity and NaN last.
#[inline(always)]
unsafe fn magnitudes(values: __m512) -> __m512i {
    // SAFETY: only registers; the instruction set is the caller's.
    unsafe { _mm512_and_si512(_mm512_castps_si512(values), _mm512_set1_epi32(i32::MAX)) }
}

/// The least whole exponent `e` with `2^e` above a magnitude; not finite when that is not.
#[inline(always)]
unsafe fn exponent_above(greatest: u32) -> __m512 {
    // SAFETY: only registers; the instruction set is the caller's.
    unsafe {
        let exponent = _mm512_getexp_ps(_mm512_set1_ps(f32::from_bits(greatest)));
        // NaN stands second, so that it is kept; zero has −∞.
        let exponent = _mm512_max_ps(_mm512_set1_ps(EXPONENT_MIN), exponent);
        _mm512_add_ps(exponent, _mm512_set1_ps(1.0))
    }
}

/// What makes integers of 16 bits of values below `2^exponent`, in all lanes; and its inverse.
#[inline(always)]
unsafe fn steps(exponent: __m512) -> (__m512, f32) {
    // SAFETY: only registers; the instruction set is the caller's.
    unsafe {
        let up = _mm512_scalef_ps(_mm512_set1_ps(STEPS), _mm512_sub_ps(_mm512_setzero_ps(), exponent));
        (up, _mm512_cvtss_f32(_mm512_scalef_ps(_mm512_set1_ps(1.0 / STEPS), exponent)))
    }
}
