//! Vectors of f32 lanes, so that each CPU kernel is written once and instantiated per instruction set.
//!
//! Every method is `inline(always)`: it becomes part of a `#[target_feature]` function of the ISA table (`isa.rs`), which is the
//! only way to reach it. Nothing here knows matrices or models.

/// A vector of `WIDTH` f32 values.
///
/// # Safety
/// All methods require that the processor has the implementation's instruction set (the ISA table is handed out only after
/// detection) and that pointers are valid for the lanes they touch.
pub(super) trait Lanes {
    /// Number of lanes; divides 16.
    const WIDTH: usize;
    /// The vector.
    type V: Copy;

    unsafe fn splat(value: f32) -> Self::V;
    unsafe fn load(from: *const f32) -> Self::V;
    unsafe fn store(to: *mut f32, value: Self::V);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// The greater; `b` when either is not a number, so that NaN in the second place is kept.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// The lesser; `b` when either is not a number.
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    /// `a × b + c`, rounded once where the instruction set can.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    unsafe fn reduce_add(value: Self::V) -> f32;
    unsafe fn reduce_max(value: Self::V) -> f32;
    /// Rounds to the nearest integer.
    unsafe fn round(value: Self::V) -> Self::V;
    /// `2^n` for integral `n` in −126 ..= 127.
    unsafe fn power_of_two(n: Self::V) -> Self::V;
    /// `WIDTH` little-endian bf16 values.
    unsafe fn load_bf16(from: *const u8) -> Self::V;
    /// `WIDTH` little-endian f16 values.
    unsafe fn load_f16(from: *const u8) -> Self::V;
    /// One little-endian f16 value in all lanes.
    unsafe fn splat_f16(from: *const u8) -> Self::V;
    /// `WIDTH` signed bytes.
    unsafe fn load_i8(from: *const u8) -> Self::V;
    /// The E2M1 values of the low nibbles of `WIDTH` bytes.
    unsafe fn load_fp4_low(from: *const u8) -> Self::V;
    /// The E2M1 values of the high nibbles of `WIDTH` bytes.
    unsafe fn load_fp4_high(from: *const u8) -> Self::V;

    /// `e^x`, within about one unit in the last place; underflows to almost zero below −87.
    ///
    /// Cody–Waite reduction to |r| ≤ ln 2 / 2 and the Taylor polynomial of degree 7, whose remainder there is below 1e-8.
    #[inline(always)]
    unsafe fn exp(x: Self::V) -> Self::V {
        // SAFETY: as for the trait.
        unsafe {
            let x = Self::max(Self::splat(-87.3), Self::min(Self::splat(88.0), x));
            let n = Self::round(Self::mul(x, Self::splat(std::f32::consts::LOG2_E)));
            let r = Self::fma(n, Self::splat(-0.693_359_4), x);
            let r = Self::fma(n, Self::splat(2.121_944_4e-4), r);
            let mut p = Self::splat(1.0 / 5040.0);
            for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
                p = Self::fma(p, r, Self::splat(coefficient));
            }
            Self::mul(p, Self::power_of_two(n))
        }
    }
}

/// Eight lanes in plain Rust: runs everywhere, and is what other architectures get.
pub(super) struct Scalar;

const FP4: [f32; 16] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0];

#[inline(always)]
fn map(f: impl Fn(usize) -> f32) -> [f32; 8] {
    std::array::from_fn(f)
}

#[expect(clippy::undocumented_unsafe_blocks, reason = "pointers are valid for eight lanes, as the trait requires")]
impl Lanes for Scalar {
    const WIDTH: usize = 8;
    type V = [f32; 8];

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self::V {
        [value; 8]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        unsafe { from.cast::<[f32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, value: Self::V) {
        unsafe { to.cast::<[f32; 8]>().write_unaligned(value) }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        map(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        map(|i| a[i] - b[i])
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        map(|i| a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
        map(|i| a[i] / b[i])
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        map(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        map(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        map(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn reduce_add(value: Self::V) -> f32 {
        ((value[0] + value[4]) + (value[2] + value[6])) + ((value[1] + value[5]) + (value[3] + value[7]))
    }
    #[inline(always)]
    unsafe fn reduce_max(value: Self::V) -> f32 {
        value.iter().copied().fold(f32::NEG_INFINITY, f32::max)
    }
    #[inline(always)]
    unsafe fn round(value: Self::V) -> Self::V {
        map(|i| value[i].round_ties_even())
    }
    #[inline(always)]
    unsafe fn power_of_two(n: Self::V) -> Self::V {
        map(|i| f32::from_bits(((n[i] as i32 + 127) as u32) << 23))
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const u8) -> Self::V {
        let raw = unsafe { from.cast::<[[u8; 2]; 8]>().read_unaligned() };
        map(|i| f32::from_bits(u32::from(u16::from_le_bytes(raw[i])) << 16))
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const u8) -> Self::V {
        let raw = unsafe { from.cast::<[[u8; 2]; 8]>().read_unaligned() };
        map(|i| crate::decode::f16_to_f32(u16::from_le_bytes(raw[i])))
    }
    #[inline(always)]
    unsafe fn splat_f16(from: *const u8) -> Self::V {
        [crate::decode::f16_to_f32(u16::from_le_bytes(unsafe { from.cast::<[u8; 2]>().read_unaligned() })); 8]
    }
    #[inline(always)]
    unsafe fn load_i8(from: *const u8) -> Self::V {
        let raw = unsafe { from.cast::<[i8; 8]>().read_unaligned() };
        map(|i| f32::from(raw[i]))
    }
    #[inline(always)]
    unsafe fn load_fp4_low(from: *const u8) -> Self::V {
        let raw = unsafe { from.cast::<[u8; 8]>().read_unaligned() };
        map(|i| FP4[usize::from(raw[i] & 15)])
    }
    #[inline(always)]
    unsafe fn load_fp4_high(from: *const u8) -> Self::V {
        let raw = unsafe { from.cast::<[u8; 8]>().read_unaligned() };
        map(|i| FP4[usize::from(raw[i] >> 4)])
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
#[path = "lanes_x86.rs"]
mod x86;
