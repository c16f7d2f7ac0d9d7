//! Panels on x86-64: two halves of eight rows with AVX2, sixteen rows with AVX-512, with and without VNNI and BF16. It must
//! not know matrices or tasks.
//!
//! Without VNNI, bytes are multiplied as 16-bit pairs: even and odd columns apart, so that no sum can saturate. Codes up to
//! 24 may take the shorter way through `maddubs`, as 2 · 24 · 127 fits.

#![expect(
    clippy::undocumented_unsafe_blocks,
    reason = "features are detected before the table is handed out; pointers as the trait requires"
)]

use super::{CODES, PanelLanes};
#[cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "the intrinsics are the vocabulary of this file"))]
use std::arch::x86_64::*;

/// Two vectors of eight rows.
pub(in crate::cpu) struct Avx2;

/// One vector of sixteen rows, AVX-512 F + BW + DQ + VL.
pub(in crate::cpu) struct Avx512;

/// The same with VNNI.
pub(in crate::cpu) struct Avx512Vnni;

/// The same with VNNI, BF16 and VBMI.
pub(in crate::cpu) struct Avx512Bf16;

impl PanelLanes for Avx2 {
    type Words = [__m256i; 2];
    type Integers = [__m256i; 2];
    type Floats = [__m256; 2];

    #[inline(always)]
    unsafe fn words(from: *const u8) -> Self::Words {
        unsafe { [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(32).cast())] }
    }
    #[inline(always)]
    unsafe fn store_words(to: *mut u8, words: Self::Words) {
        unsafe {
            _mm256_storeu_si256(to.cast(), words[0]);
            _mm256_storeu_si256(to.add(32).cast(), words[1]);
        }
    }
    #[inline(always)]
    unsafe fn codes(from: *const u8) -> (Self::Words, Self::Words) {
        unsafe {
            let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(CODES.as_ptr().cast()));
            let mask = _mm256_set1_epi8(15);
            let packed = Self::words(from);
            let low = packed.map(|bytes| _mm256_shuffle_epi8(table, _mm256_and_si256(bytes, mask)));
            let high =
                packed.map(|bytes| _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), mask)));
            (low, high)
        }
    }
    #[inline(always)]
    unsafe fn integers(value: i32) -> Self::Integers {
        unsafe { [_mm256_set1_epi32(value); 2] }
    }
    #[inline(always)]
    unsafe fn dot(sum: Self::Integers, weights: Self::Words, x: *const i8) -> Self::Integers {
        unsafe {
            let x = _mm256_set1_epi32(x.cast::<i32>().read_unaligned());
            let even_x = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(x));
            let odd_x = _mm256_srai_epi16::<8>(x);
            let half = |sum, weights| {
                let even = _mm256_madd_epi16(_mm256_and_si256(weights, _mm256_set1_epi16(0xff)), even_x);
                let odd = _mm256_madd_epi16(_mm256_srli_epi16::<8>(weights), odd_x);
                _mm256_add_epi32(sum, _mm256_add_epi32(even, odd))
            };
            [half(sum[0], weights[0]), half(sum[1], weights[1])]
        }
    }
    #[inline(always)]
    unsafe fn dot_codes(sum: Self::Integers, weights: Self::Words, x: *const i8) -> Self::Integers {
        unsafe {
            let x = _mm256_set1_epi32(x.cast::<i32>().read_unaligned());
            let half = |sum, weights| {
                let pairs = _mm256_madd_epi16(_mm256_maddubs_epi16(weights, x), _mm256_set1_epi16(1));
                _mm256_add_epi32(sum, pairs)
            };
            [half(sum[0], weights[0]), half(sum[1], weights[1])]
        }
    }
    #[inline(always)]
    unsafe fn floats(value: f32) -> Self::Floats {
        unsafe { [_mm256_set1_ps(value); 2] }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::Floats {
        unsafe { [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))] }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, value: Self::Floats) {
        unsafe {
            _mm256_storeu_ps(to, value[0]);
            _mm256_storeu_ps(to.add(8), value[1]);
        }
    }
    #[inline(always)]
    unsafe fn to_floats(value: Self::Integers) -> Self::Floats {
        unsafe { [_mm256_cvtepi32_ps(value[0]), _mm256_cvtepi32_ps(value[1])] }
    }
    #[inline(always)]
    unsafe fn add(a: Self::Floats, b: Self::Floats) -> Self::Floats {
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn mul(a: Self::Floats, b: Self::Floats) -> Self::Floats {
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn fma(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats {
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }
    #[inline(always)]
    unsafe fn scales_e8m0(from: *const u8) -> Self::Floats {
        unsafe {
            let half = |from: *const u8| {
                let bytes = _mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast()));
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(bytes))
            };
            [half(from), half(from.add(8))]
        }
    }
    #[inline(always)]
    unsafe fn scales_f16(from: *const u8) -> Self::Floats {
        unsafe {
            let half = |from: *const u8| _mm256_cvtph_ps(_mm_loadu_si128(from.cast()));
            [half(from), half(from.add(16))]
        }
    }
    #[inline(always)]
    unsafe fn dot_bf16(sum: Self::Floats, weights: *const u8, x: *const u8) -> Self::Floats {
        unsafe {
            let x = x.cast::<f32>();
            let (first, second) = (_mm256_set1_ps(x.read_unaligned()), _mm256_set1_ps(x.add(1).read_unaligned()));
            let words = Self::words(weights);
            let half = |sum, words| {
                let even = _mm256_castsi256_ps(_mm256_slli_epi32::<16>(words));
                let odd = _mm256_castsi256_ps(_mm256_and_si256(words, _mm256_set1_epi32(0xffff_0000_u32 as i32)));
                _mm256_fmadd_ps(odd, second, _mm256_fmadd_ps(even, first, sum))
            };
            [half(sum[0], words[0]), half(sum[1], words[1])]
        }
    }
}

/// What the three kinds of AVX-512 share; their sums of products differ.
macro_rules! avx512 {
    ($lanes:ident, $($own:tt)*) => {
        impl PanelLanes for $lanes {
            type Words = __m512i;
            type Integers = __m512i;
            type Floats = __m512;

            #[inline(always)]
            unsafe fn words(from: *const u8) -> Self::Words {
                unsafe { _mm512_loadu_si512(from.cast()) }
            }
            #[inline(always)]
            unsafe fn store_words(to: *mut u8, words: Self::Words) {
                unsafe { _mm512_storeu_si512(to.cast(), words) };
            }
            #[inline(always)]
            unsafe fn integers(value: i32) -> Self::Integers {
                unsafe { _mm512_set1_epi32(value) }
            }
            #[inline(always)]
            unsafe fn floats(value: f32) -> Self::Floats {
                unsafe { _mm512_set1_ps(value) }
            }
            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self::Floats {
                unsafe { _mm512_loadu_ps(from) }
            }
            #[inline(always)]
            unsafe fn store(to: *mut f32, value: Self::Floats) {
                unsafe { _mm512_storeu_ps(to, value) };
            }
            #[inline(always)]
            unsafe fn to_floats(value: Self::Integers) -> Self::Floats {
                unsafe { _mm512_cvtepi32_ps(value) }
            }
            #[inline(always)]
            unsafe fn add(a: Self::Floats, b: Self::Floats) -> Self::Floats {
                unsafe { _mm512_add_ps(a, b) }
            }
            #[inline(always)]
            unsafe fn mul(a: Self::Floats, b: Self::Floats) -> Self::Floats {
                unsafe { _mm512_mul_ps(a, b) }
            }
            #[inline(always)]
            unsafe fn fma(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats {
                unsafe { _mm512_fmadd_ps(a, b, c) }
            }
            #[inline(always)]
            unsafe fn scales_e8m0(from: *const u8) -> Self::Floats {
                unsafe {
                    let bytes = _mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast()));
                    _mm512_castsi512_ps(_mm512_slli_epi32::<23>(bytes))
                }
            }
            #[inline(always)]
            unsafe fn scales_f16(from: *const u8) -> Self::Floats {
                unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
            }
            /// Exponents less their bias, as bits: adding them multiplies.
            #[inline(always)]
            unsafe fn powers_e8m0(from: *const u8) -> Self::Floats {
                unsafe {
                    let exponents = _mm512_castps_si512(Self::scales_e8m0(from));
                    _mm512_castsi512_ps(_mm512_sub_epi32(exponents, _mm512_set1_epi32(127 << 23)))
                }
            }
            #[inline(always)]
            unsafe fn mul_powers(powers: Self::Floats, x: *const f32) -> Self::Floats {
                unsafe {
                    let x = _mm512_set1_epi32(x.cast::<i32>().read());
                    _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(powers), x))
                }
            }
            $($own)*
        }
    };
}

/// The codes of 64 bytes by looking nibbles up in a table of sixteen bytes per lane.
#[inline(always)]
unsafe fn codes_by_nibbles(from: *const u8) -> (__m512i, __m512i) {
    unsafe {
        let table = _mm512_broadcast_i32x4(_mm_loadu_si128(CODES.as_ptr().cast()));
        let (mask, packed) = (_mm512_set1_epi8(15), _mm512_loadu_si512(from.cast()));
        let low = _mm512_shuffle_epi8(table, _mm512_and_si512(packed, mask));
        let high = _mm512_and_si512(_mm512_srli_epi16::<4>(packed), mask);
        (low, _mm512_shuffle_epi8(table, high))
    }
}

/// The same in a table of 64 bytes, the sixteen four times: the two bits above a nibble make no difference, so nothing is masked.
#[inline(always)]
unsafe fn codes_by_bytes(from: *const u8) -> (__m512i, __m512i) {
    unsafe {
        let table = _mm512_broadcast_i32x4(_mm_loadu_si128(CODES.as_ptr().cast()));
        let packed = _mm512_loadu_si512(from.cast());
        let high = _mm512_srli_epi16::<4>(packed);
        (_mm512_permutexvar_epi8(packed, table), _mm512_permutexvar_epi8(high, table))
    }
}

/// The sum of two bf16 products in f32, in the order of the columns.
#[inline(always)]
unsafe fn dot_as_f32(sum: __m512, weights: *const u8, x: *const u8) -> __m512 {
    unsafe {
        let x = x.cast::<f32>();
        let words = _mm512_loadu_si512(weights.cast());
        let even = _mm512_castsi512_ps(_mm512_slli_epi32::<16>(words));
        let odd = _mm512_castsi512_ps(_mm512_and_si512(words, _mm512_set1_epi32(0xffff_0000_u32 as i32)));
        let sum = _mm512_fmadd_ps(even, _mm512_set1_ps(x.read_unaligned()), sum);
        _mm512_fmadd_ps(odd, _mm512_set1_ps(x.add(1).read_unaligned()), sum)
    }
}

avx512! {
    Avx512,
    #[inline(always)]
    unsafe fn codes(from: *const u8) -> (Self::Words, Self::Words) {
        unsafe { codes_by_nibbles(from) }
    }
    #[inline(always)]
    unsafe fn dot(sum: Self::Integers, weights: Self::Words, x: *const i8) -> Self::Integers {
        unsafe {
            let x = _mm512_set1_epi32(x.cast::<i32>().read_unaligned());
            let even_x = _mm512_srai_epi16::<8>(_mm512_slli_epi16::<8>(x));
            let even = _mm512_madd_epi16(_mm512_and_si512(weights, _mm512_set1_epi16(0xff)), even_x);
            let odd = _mm512_madd_epi16(_mm512_srli_epi16::<8>(weights), _mm512_srai_epi16::<8>(x));
            _mm512_add_epi32(sum, _mm512_add_epi32(even, odd))
        }
    }
    #[inline(always)]
    unsafe fn dot_codes(sum: Self::Integers, weights: Self::Words, x: *const i8) -> Self::Integers {
        unsafe {
            let x = _mm512_set1_epi32(x.cast::<i32>().read_unaligned());
            let pairs = _mm512_madd_epi16(_mm512_maddubs_epi16(weights, x), _mm512_set1_epi16(1));
            _mm512_add_epi32(sum, pairs)
        }
    }
    #[inline(always)]
    unsafe fn dot_bf16(sum: Self::Floats, weights: *const u8, x: *const u8) -> Self::Floats {
        unsafe { dot_as_f32(sum, weights, x) }
    }
}

avx512! {
    Avx512Vnni,
    #[inline(always)]
    unsafe fn codes(from: *const u8) -> (Self::Words, Self::Words) {
        unsafe { codes_by_nibbles(from) }
    }
    #[inline(always)]
    unsafe fn dot(sum: Self::Integers, weights: Self::Words, x: *const i8) -> Self::Integers {
        unsafe { _mm512_dpbusd_epi32(sum, weights, _mm512_set1_epi32(x.cast::<i32>().read_unaligned())) }
    }
    #[inline(always)]
    unsafe fn dot_bf16(sum: Self::Floats, weights: *const u8, x: *const u8) -> Self::Floats {
        unsafe { dot_as_f32(sum, weights, x) }
    }
}

avx512! {
    Avx512Bf16,
    const BF16_PAIRS: bool = true;
    #[inline(always)]
    unsafe fn codes(from: *const u8) -> (Self::Words, Self::Words) {
        unsafe { codes_by_bytes(from) }
    }
    #[inline(always)]
    unsafe fn dot(sum: Self::Integers, weights: Self::Words, x: *const i8) -> Self::Integers {
        unsafe { _mm512_dpbusd_epi32(sum, weights, _mm512_set1_epi32(x.cast::<i32>().read_unaligned())) }
    }
    #[inline(always)]
    unsafe fn dot_bf16(sum: Self::Floats, weights: *const u8, x: *const u8) -> Self::Floats {
        unsafe {
            let x = _mm512_set1_epi32(x.cast::<i32>().read_unaligned());
            let bits = |value: __m512i| std::mem::transmute::<__m512i, __m512bh>(value);
            _mm512_dpbf16_ps(sum, bits(_mm512_loadu_si512(weights.cast())), bits(x))
        }
    }
}
