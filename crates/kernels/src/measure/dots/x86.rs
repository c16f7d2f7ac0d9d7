//! The x86-64 vectors of the measured dot products. Nothing here knows tiles or clocks.

#![expect(
    clippy::undocumented_unsafe_blocks,
    reason = "features are detected before a kernel is handed out; pointers as the trait requires"
)]

#[cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "the intrinsics are the vocabulary of this file"))]
use std::arch::x86_64::*;

use super::DotLanes;

pub(super) struct F32Avx2;
pub(super) struct Int8Avx2;
pub(super) struct F32Avx512;
pub(super) struct Int8Avx512Vnni;
pub(super) struct Bf16Avx512;

/// The sum of all lanes, by way of memory: it is no part of what is measured.
macro_rules! total {
    ($sums:expr, $store:ident, $lane:ty, $lanes:literal) => {{
        let mut lanes = [<$lane>::default(); $lanes];
        unsafe { $store(lanes.as_mut_ptr().cast(), $sums) };
        let mut total = 0.0;
        for lane in lanes {
            total += f64::from(lane);
        }
        total
    }};
}

impl DotLanes for F32Avx2 {
    const BYTES: usize = 32;
    const MACS: usize = 8;
    type Input = __m256;
    type Sums = __m256;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> __m256 {
        unsafe { _mm256_loadu_ps(from.cast()) }
    }
    #[inline(always)]
    unsafe fn zero() -> __m256 {
        unsafe { _mm256_setzero_ps() }
    }
    #[inline(always)]
    unsafe fn dot(sums: __m256, row: __m256, token: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(row, token, sums) }
    }
    #[inline(always)]
    unsafe fn total(sums: __m256) -> f64 {
        total!(sums, _mm256_storeu_ps, f32, 8)
    }
}

impl DotLanes for Int8Avx2 {
    const BYTES: usize = 32;
    const MACS: usize = 32;
    type Input = __m256i;
    type Sums = __m256i;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> __m256i {
        unsafe { _mm256_loadu_si256(from.cast()) }
    }
    #[inline(always)]
    unsafe fn zero() -> __m256i {
        unsafe { _mm256_setzero_si256() }
    }
    #[inline(always)]
    unsafe fn dot(sums: __m256i, row: __m256i, token: __m256i) -> __m256i {
        unsafe {
            let pairs = _mm256_maddubs_epi16(row, token);
            _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }
    #[inline(always)]
    unsafe fn total(sums: __m256i) -> f64 {
        total!(sums, _mm256_storeu_si256, i32, 8)
    }
}

impl DotLanes for F32Avx512 {
    const BYTES: usize = 64;
    const MACS: usize = 16;
    type Input = __m512;
    type Sums = __m512;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> __m512 {
        unsafe { _mm512_loadu_ps(from.cast()) }
    }
    #[inline(always)]
    unsafe fn zero() -> __m512 {
        unsafe { _mm512_setzero_ps() }
    }
    #[inline(always)]
    unsafe fn dot(sums: __m512, row: __m512, token: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(row, token, sums) }
    }
    #[inline(always)]
    unsafe fn total(sums: __m512) -> f64 {
        f64::from(unsafe { _mm512_reduce_add_ps(sums) })
    }
}

impl DotLanes for Int8Avx512Vnni {
    const BYTES: usize = 64;
    const MACS: usize = 64;
    type Input = __m512i;
    type Sums = __m512i;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> __m512i {
        unsafe { _mm512_loadu_si512(from.cast()) }
    }
    #[inline(always)]
    unsafe fn zero() -> __m512i {
        unsafe { _mm512_setzero_si512() }
    }
    #[inline(always)]
    unsafe fn dot(sums: __m512i, row: __m512i, token: __m512i) -> __m512i {
        unsafe { _mm512_dpbusd_epi32(sums, row, token) }
    }
    #[inline(always)]
    unsafe fn total(sums: __m512i) -> f64 {
        total!(sums, _mm512_storeu_si512, i32, 16)
    }
}

impl DotLanes for Bf16Avx512 {
    const BYTES: usize = 64;
    const MACS: usize = 32;
    type Input = __m512bh;
    type Sums = __m512;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> __m512bh {
        // Both are 64 bytes without further meaning.
        unsafe { std::mem::transmute::<__m512i, __m512bh>(_mm512_loadu_si512(from.cast())) }
    }
    #[inline(always)]
    unsafe fn zero() -> __m512 {
        unsafe { _mm512_setzero_ps() }
    }
    #[inline(always)]
    unsafe fn dot(sums: __m512, row: __m512bh, token: __m512bh) -> __m512 {
        unsafe { _mm512_dpbf16_ps(sums, row, token) }
    }
    #[inline(always)]
    unsafe fn total(sums: __m512) -> f64 {
        f64::from(unsafe { _mm512_reduce_add_ps(sums) })
    }
}
