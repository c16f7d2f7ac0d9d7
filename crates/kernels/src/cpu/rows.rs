//! Kernels over single rows of activations: RMSNorm, scaled sums, SwiGLU. Must not know layers or weights' formats.

use super::lanes::Lanes;
use crate::byte_vector;

/// `out = x / sqrt(mean(x²) + epsilon) · weight`; returns the factor `1 / sqrt(…)`.
///
/// # Safety
/// The slices are equally long.
#[inline(always)]
pub(in crate::cpu) unsafe fn rms_norm<L: Lanes>(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) -> f32 {
    let length = x.len();
    let (x, weight, out) = (x.as_ptr(), weight.as_ptr(), out.as_mut_ptr());
    // SAFETY: all indices are below the common length.
    unsafe {
        let mut squares = L::splat(0.0);
        let mut i = 0;
        while i + L::WIDTH <= length {
            let value = L::load(x.add(i));
            squares = L::fma(value, value, squares);
            i += L::WIDTH;
        }
        let mut sum = L::reduce_add(squares);
        while i < length {
            sum += *x.add(i) * *x.add(i);
            i += 1;
        }
        let scale = 1.0 / (sum / length as f32 + epsilon).sqrt();
        i = 0;
        while i + L::WIDTH <= length {
            let value = L::mul(L::load(x.add(i)), L::splat(scale));
            L::store(out.add(i), L::mul(value, L::load(weight.add(i))));
            i += L::WIDTH;
        }
        while i < length {
            *out.add(i) = *x.add(i) * scale * *weight.add(i);
            i += 1;
        }
        scale
    }
}

/// Blocks whose greatest magnitude is below this are zero, with a scale of 1: the inverse of theirs would not be a number.
pub(super) const QUANTISED_MIN: f32 = 1e-30;

/// A block of activations as signed bytes: `x ≈ scale · out`, the greatest magnitude at 127. Returns the scale, and the sum of
/// the bytes. What is not finite makes the scale not finite, so that it is seen in the result. `steps` is 127.
///
/// # Safety
/// None besides the instruction set.
#[inline(always)]
pub(super) unsafe fn quantise(x: &[f32], out: &mut [i8], steps: f32) -> (f32, i32) {
    // Magnitudes are ordered as their patterns are, infinity and NaN last.
    let greatest = f32::from_bits(x.iter().fold(0, |most, value| most.max(value.to_bits() & 0x7FFF_FFFF)));
    if !(QUANTISED_MIN..f32::INFINITY).contains(&greatest) {
        out.fill(0);
        return (if greatest < QUANTISED_MIN { 1.0 } else { greatest }, 0);
    }
    let inverse = steps / greatest;
    let mut sum = 0;
    for (to, value) in out.iter_mut().zip(x) {
        // SAFETY: all values are finite, so this is at most 127 and a rounding error.
        let rounded = unsafe { (value * inverse).round_ties_even().to_int_unchecked::<i32>() };
        *to = rounded as i8;
        sum += rounded;
    }
    (greatest / steps, sum)
}

/// A head's key or value as signed bytes: [`byte_vector::round`] with the instruction set's vectors.
///
/// # Safety
/// None besides the instruction set.
#[inline(always)]
pub(super) unsafe fn to_bytes(x: &[f32], out: &mut [i8]) -> f32 {
    byte_vector::round(x, out)
}

/// `out += factor · x`.
///
/// # Safety
/// The slices are equally long.
#[inline(always)]
pub(super) unsafe fn add_scaled<L: Lanes>(x: &[f32], factor: f32, out: &mut [f32]) {
    let length = x.len();
    let (x, out) = (x.as_ptr(), out.as_mut_ptr());
    // SAFETY: all indices are below the common length.
    unsafe {
        let mut i = 0;
        while i + L::WIDTH <= length {
            L::store(out.add(i), L::fma(L::load(x.add(i)), L::splat(factor), L::load(out.add(i))));
            i += L::WIDTH;
        }
        while i < length {
            *out.add(i) += *x.add(i) * factor;
            i += 1;
        }
    }
}

/// `out = g·σ(1.702·g)·(clamp(up, −limit, limit) + 1)` with `g = min(gate, limit)`.
///
/// # Safety
/// `gate` and `up` are as long as `out`.
#[inline(always)]
pub(super) unsafe fn swiglu<L: Lanes>(gate: &[f32], up: &[f32], limit: f32, out: &mut [f32]) {
    let length = out.len();
    let mut padded = [0.0f32; 16];
    let mut i = 0;
    while i < length {
        let take = L::WIDTH.min(length - i);
        // SAFETY: whole vectors lie inside the slices; the last partial one goes through padded copies.
        unsafe {
            if take == L::WIDTH {
                let value = swiglu_vector::<L>(L::load(gate.as_ptr().add(i)), L::load(up.as_ptr().add(i)), limit);
                L::store(out.as_mut_ptr().add(i), value);
            } else {
                let (mut gate_tail, mut up_tail) = ([0.0f32; 16], [0.0f32; 16]);
                gate_tail[..take].copy_from_slice(&gate[i..i + take]);
                up_tail[..take].copy_from_slice(&up[i..i + take]);
                let value = swiglu_vector::<L>(L::load(gate_tail.as_ptr()), L::load(up_tail.as_ptr()), limit);
                L::store(padded.as_mut_ptr(), value);
                out[i..i + take].copy_from_slice(&padded[..take]);
            }
        }
        i += take;
    }
}

#[inline(always)]
unsafe fn swiglu_vector<L: Lanes>(gate: L::V, up: L::V, limit: f32) -> L::V {
    // SAFETY: as for `Lanes`. The clamped value stands second, so that NaN passes through.
    unsafe {
        let one = L::splat(1.0);
        let gate = L::min(L::splat(limit), gate);
        let up = L::max(L::splat(-limit), L::min(L::splat(limit), up));
        let denominator = L::add(one, L::exp(L::mul(gate, L::splat(-1.702))));
        L::mul(L::div(gate, denominator), L::add(up, one))
    }
}
