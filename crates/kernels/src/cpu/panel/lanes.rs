//! What a processor does with a panel's vectors: sixteen rows side by side. It must not know matrices or tasks.
//!
//! As with [`Lanes`](crate::cpu::lanes::Lanes), every method becomes part of a `#[target_feature]` function of the table.

use crate::decode::{bf16_to_f32, e8m0_to_f32, f16_to_f32};

/// Sixteen rows: four weight bytes of each, or one integer or float of each.
///
/// # Safety
/// All methods require the implementation's instruction set and pointers that are valid for what they touch: 64 bytes of
/// weights, 4 of activations, 16 (E8M0) or 32 (f16) of scales.
pub(in crate::cpu) trait PanelLanes {
    /// Four weight bytes of each row.
    type Words: Copy;
    /// An i32 per row.
    type Integers: Copy;
    /// A f32 per row.
    type Floats: Copy;
    /// Whether [`PanelLanes::dot_bf16`] takes activations rounded to bf16, in pairs, instead of f32.
    const BF16_PAIRS: bool = false;

    unsafe fn words(from: *const u8) -> Self::Words;
    unsafe fn store_words(to: *mut u8, words: Self::Words);
    /// The E2M1 codes of 64 bytes, low and high nibbles, as their doubled values plus 12.
    unsafe fn codes(from: *const u8) -> (Self::Words, Self::Words);
    unsafe fn integers(value: i32) -> Self::Integers;
    /// `sum + Σ weight · x` over four bytes, weights unsigned up to 255, activations signed.
    unsafe fn dot(sum: Self::Integers, weights: Self::Words, x: *const i8) -> Self::Integers;
    /// The same for weights up to 24.
    #[inline(always)]
    unsafe fn dot_codes(sum: Self::Integers, weights: Self::Words, x: *const i8) -> Self::Integers {
        // SAFETY: as for `dot`.
        unsafe { Self::dot(sum, weights, x) }
    }
    unsafe fn floats(value: f32) -> Self::Floats;
    unsafe fn load(from: *const f32) -> Self::Floats;
    unsafe fn store(to: *mut f32, value: Self::Floats);
    unsafe fn to_floats(value: Self::Integers) -> Self::Floats;
    unsafe fn add(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    unsafe fn mul(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a · b + c`.
    unsafe fn fma(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
    /// Sixteen E8M0 scales; 2⁻¹²⁷ counts as 0.
    unsafe fn scales_e8m0(from: *const u8) -> Self::Floats;
    /// Sixteen f16 scales.
    unsafe fn scales_f16(from: *const u8) -> Self::Floats;
    /// Sixteen moderate E8M0 scales in the form that [`PanelLanes::mul_powers`] takes.
    #[inline(always)]
    unsafe fn powers_e8m0(from: *const u8) -> Self::Floats {
        // SAFETY: as for `scales_e8m0`.
        unsafe { Self::scales_e8m0(from) }
    }
    /// Those times a moderate number.
    #[inline(always)]
    unsafe fn mul_powers(powers: Self::Floats, x: *const f32) -> Self::Floats {
        // SAFETY: `x` points to a number.
        unsafe { Self::mul(powers, Self::floats(*x)) }
    }
    /// `sum + w₀·x₀ + w₁·x₁` for two bf16 weights of each row; `x` as [`PanelLanes::BF16_PAIRS`] says, for two columns.
    unsafe fn dot_bf16(sum: Self::Floats, weights: *const u8, x: *const u8) -> Self::Floats;
}

/// Plain Rust; runs everywhere.
pub(in crate::cpu) struct Scalar;

/// The doubled E2M1 values plus 12, by code.
pub(super) const CODES: [u8; 16] = [12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0];

#[expect(clippy::undocumented_unsafe_blocks, reason = "pointers are valid as the trait requires")]
impl PanelLanes for Scalar {
    type Words = [u8; 64];
    type Integers = [i32; 16];
    type Floats = [f32; 16];

    #[inline(always)]
    unsafe fn words(from: *const u8) -> Self::Words {
        unsafe { from.cast::<[u8; 64]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store_words(to: *mut u8, words: Self::Words) {
        unsafe { to.cast::<[u8; 64]>().write_unaligned(words) };
    }
    #[inline(always)]
    unsafe fn codes(from: *const u8) -> (Self::Words, Self::Words) {
        let packed = unsafe { Self::words(from) };
        (packed.map(|byte| CODES[usize::from(byte & 15)]), packed.map(|byte| CODES[usize::from(byte >> 4)]))
    }
    #[inline(always)]
    unsafe fn integers(value: i32) -> Self::Integers {
        [value; 16]
    }
    #[inline(always)]
    unsafe fn dot(sum: Self::Integers, weights: Self::Words, x: *const i8) -> Self::Integers {
        let x = unsafe { x.cast::<[i8; 4]>().read_unaligned() };
        let product = |row: usize, i: usize| i32::from(weights[row * 4 + i]) * i32::from(x[i]);
        std::array::from_fn(|row| sum[row] + (0..4).map(|i| product(row, i)).sum::<i32>())
    }
    #[inline(always)]
    unsafe fn floats(value: f32) -> Self::Floats {
        [value; 16]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::Floats {
        unsafe { from.cast::<[f32; 16]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, value: Self::Floats) {
        unsafe { to.cast::<[f32; 16]>().write_unaligned(value) };
    }
    #[inline(always)]
    unsafe fn to_floats(value: Self::Integers) -> Self::Floats {
        value.map(|value| value as f32)
    }
    #[inline(always)]
    unsafe fn add(a: Self::Floats, b: Self::Floats) -> Self::Floats {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn mul(a: Self::Floats, b: Self::Floats) -> Self::Floats {
        std::array::from_fn(|i| a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn fma(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn scales_e8m0(from: *const u8) -> Self::Floats {
        unsafe { from.cast::<[u8; 16]>().read_unaligned() }.map(|byte| if byte == 0 { 0.0 } else { e8m0_to_f32(byte) })
    }
    #[inline(always)]
    unsafe fn scales_f16(from: *const u8) -> Self::Floats {
        unsafe { from.cast::<[[u8; 2]; 16]>().read_unaligned() }.map(|bytes| f16_to_f32(u16::from_le_bytes(bytes)))
    }
    #[inline(always)]
    unsafe fn dot_bf16(sum: Self::Floats, weights: *const u8, x: *const u8) -> Self::Floats {
        let weights = unsafe { weights.cast::<[[u8; 2]; 32]>().read_unaligned() };
        let x = unsafe { x.cast::<[f32; 2]>().read_unaligned() };
        let weight = |at: usize| bf16_to_f32(u16::from_le_bytes(weights[at]));
        std::array::from_fn(|row| sum[row] + weight(2 * row) * x[0] + weight(2 * row + 1) * x[1])
    }
}

#[cfg(target_arch = "x86_64")]
pub(in crate::cpu) use x86::{Avx2, Avx512, Avx512Bf16, Avx512Vnni};

#[cfg(target_arch = "x86_64")]
#[path = "lanes_x86.rs"]
mod x86;
