//! Pairs of bf16 (AVX-512 with BF16): products, and how queries and weights are rounded. It must not know tiles' sizes or tasks.

#[cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "the intrinsics are the vocabulary of this file"))]
use std::arch::x86_64::*;
use std::ops::Range;

use super::cache::{Cache, Head, Scratch, WeightRow, seen};
use super::registers::{HALF, Product, ask, exp2};
use super::{Element, Job};
use crate::cpu::kv::BLOCK_POSITIONS;
use crate::decode::bf16_to_f32;

/// A cache of bf16, which needs no scales.
pub(super) struct BF16;

#[expect(clippy::undocumented_unsafe_blocks, reason = "the instruction set and pointers are as the trait requires")]
impl Product for BF16 {
    type Sum = __m512;

    const VALUE_BYTES: usize = Element::BF16.value_bytes();

    #[inline(always)]
    unsafe fn zero() -> __m512 {
        unsafe { _mm512_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn load<const COUNT: usize>(from: *const u8, ahead: isize) -> [__m512i; COUNT] {
        std::array::from_fn(|v| unsafe {
            let from = from.add(v * 64);
            ask(from, ahead);
            _mm512_load_si512(from.cast())
        })
    }

    #[inline(always)]
    unsafe fn add_pairs(sum: __m512, a: __m512i, b: __m512i) -> __m512 {
        // The types are views of the same 512 bits.
        unsafe {
            let (a, b) = (std::mem::transmute::<__m512i, __m512bh>(a), std::mem::transmute::<__m512i, __m512bh>(b));
            _mm512_dpbf16_ps(sum, a, b)
        }
    }

    #[inline(always)]
    unsafe fn score(sum: __m512, _key_scales: *const f32, _query_scale: *const f32) -> __m512 {
        sum
    }

    #[inline(always)]
    unsafe fn begin(place: *const f32) -> __m512 {
        unsafe { _mm512_load_ps(place) }
    }

    #[inline(always)]
    unsafe fn end(place: *mut f32, sum: __m512, _weight_scale: *const f32) {
        unsafe { _mm512_store_ps(place, sum) };
    }
}

impl Cache for BF16 {
    const ELEMENT: Element = Element::BF16;

    #[inline(always)]
    unsafe fn round_query(from: *const f32, dim: usize, factor: f32, to: *mut u16) -> f32 {
        // SAFETY: as required.
        unsafe {
            for i in (0..dim).step_by(16) {
                let mask = if dim - i >= 16 { u16::MAX } else { (1 << (dim - i)) - 1 };
                let scaled = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, from.add(i)), _mm512_set1_ps(factor));
                let rounded = std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(scaled));
                _mm256_storeu_si256(to.add(i).cast(), rounded);
            }
            1.0
        }
    }

    #[inline(always)]
    unsafe fn weigh<const ALL: bool>(
        score: impl Fn(usize) -> __m512,
        base: __m512,
        halves: Range<usize>,
        _seen: u64,
        _value_scales: *const f32,
        row: &WeightRow,
    ) {
        // SAFETY: as required.
        unsafe {
            let mut sum = _mm512_load_ps(row.total);
            // A pair of ones: totals are made of the rounded weights, so that those are what adds up to 1.
            let ones = std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32(0x3F80_3F80));
            for half in halves {
                let low = exp2(_mm512_sub_ps(score(2 * half), base));
                let high = exp2(_mm512_sub_ps(score(2 * half + 1), base));
                let rounded = _mm512_cvtne2ps_pbh(high, low);
                sum = _mm512_dpbf16_ps(sum, rounded, ones);
                let rounded = std::mem::transmute::<__m512bh, __m512i>(rounded);
                _mm512_store_si512(row.weights.add(half * HALF).cast(), rounded);
            }
            _mm512_store_ps(row.total, sum);
        }
    }

    /// They are rounded already, and have no scales.
    #[inline(always)]
    unsafe fn round_weights<const TILE: usize>(_: *const f32, _: Range<usize>, _: *mut u16, _: *mut f32) {}

    #[cold]
    #[inline(never)]
    unsafe fn add_one_by_one<const TILE: usize>(job: &Job<'_>, scratch: &Scratch, tile: usize, head: &Head) {
        let (dim, padded_dim) = (job.shape.head_dim, job.shape.padded_dim);
        // SAFETY: as required.
        unsafe {
            let values = head.values.cast::<u16>();
            for q in 0..TILE {
                for position in seen(job, tile + q, head.start) {
                    let weight = bf16_to_f32(*scratch.weights.add(q * BLOCK_POSITIONS + position));
                    for column in 0..dim {
                        let first = column / HALF * HALF;
                        let width = (padded_dim - first).min(HALF);
                        let place = first * BLOCK_POSITIONS + (position / 2 * width + column % HALF) * 2 + position % 2;
                        *scratch.sums.add((tile + q) * padded_dim + column) += weight * bf16_to_f32(*values.add(place));
                    }
                }
            }
        }
    }
}
