//! Encoded weights to f32, one block at a time, written obviously. It must not know who needs the values.
//!
//! Formulas: the block layouts of GGUF (`ggml-quants`), and the OCP Microscaling (MX) specification 1.0 for E2M1 and E8M0.

use crate::storage::{DenseFormat, Mxfp4Layout};

/// The values of the sixteen E2M1 codes.
pub const FP4_VALUES: [f32; 16] =
    [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0];

/// The E8M0 scale `2^(byte − 127)`. 255, which means NaN and is refused by loaders, gives infinity.
#[inline(always)]
#[must_use]
pub fn e8m0_to_f32(byte: u8) -> f32 {
    // Without a branch, for the innermost loops: 0 alone is subnormal, and its pattern 2^-127 is below that of 1.
    f32::from_bits((u32::from(byte) << 23).max(0x0040_0000))
}

/// A bfloat16 bit pattern as f32 (exact).
#[inline(always)]
#[must_use]
pub fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// f32 to the nearest bfloat16, ties to even; NaN stays NaN.
#[inline(always)]
#[must_use]
pub fn f32_to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 0x0040;
    }
    ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16) as u16
}

/// An IEEE half-precision bit pattern as f32 (exact).
#[inline(always)]
#[must_use]
pub fn f16_to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let magnitude = u32::from(bits & 0x7FFF);
    let value = match magnitude {
        // Subnormal: an integer multiple of 2^-24.
        0..0x0400 => magnitude as f32 * f32::from_bits(0x3380_0000),
        0x7C00.. => f32::from_bits(0x7F80_0000 | (magnitude & 0x3FF) << 13),
        _ => f32::from_bits((magnitude << 13) + 0x3800_0000),
    };
    f32::from_bits(value.to_bits() | sign)
}

/// f32 to the nearest IEEE half-precision bit pattern, ties to even; what is too large becomes infinity.
#[must_use]
pub fn f32_to_f16(value: f32) -> u16 {
    let (bits, sign) = (value.to_bits() & 0x7FFF_FFFF, (value.to_bits() >> 16 & 0x8000) as u16);
    let magnitude = match bits {
        // NaN stays NaN.
        0x7F80_0001.. => 0x7E00,
        // 65,520 and more round to infinity.
        0x477F_F000.. => 0x7C00,
        // Normal: the exponent moves, the mantissa is rounded.
        0x3880_0000.. => (bits - 0x3800_0000 + 0x0FFF + (bits >> 13 & 1)) >> 13,
        // Subnormal: a whole number of 2⁻²⁴, rounded by adding 0.5, whose unit in the last place that is.
        _ => (f32::from_bits(bits) + 0.5).to_bits() - 0x3F00_0000,
    };
    sign | magnitude as u16
}

/// Decodes `out.len()` values of an encoded row, from column `start` on; both are whole blocks.
///
/// # Panics
/// When the row has fewer values, or `start` or the length is no multiple of the block.
pub fn decode_dense(format: DenseFormat, row: &[u8], start: usize, out: &mut [f32]) {
    let (values, bytes) = (format.block_values(), format.block_bytes());
    assert!(start.is_multiple_of(values) && out.len().is_multiple_of(values), "whole blocks");
    let blocks = row[start / values * bytes..].chunks_exact(bytes);
    for (block, out) in blocks.zip(out.chunks_exact_mut(values)) {
        decode_block(format, block, out);
    }
}

/// Decodes the 32 values of an MXFP4 block in their natural order.
pub fn decode_mxfp4_block(layout: Mxfp4Layout, nibbles: &[u8], scale: u8, out: &mut [f32; 32]) {
    let scale = e8m0_to_f32(scale);
    for (i, &byte) in nibbles[..16].iter().enumerate() {
        let (low, high) = match layout {
            Mxfp4Layout::Split => (2 * i, 2 * i + 1),
            Mxfp4Layout::Joined => (i, i + 16),
        };
        out[low] = FP4_VALUES[usize::from(byte & 15)] * scale;
        out[high] = FP4_VALUES[usize::from(byte >> 4)] * scale;
    }
}

fn decode_block(format: DenseFormat, block: &[u8], out: &mut [f32]) {
    match format {
        DenseFormat::F32 => out[0] = f32::from_le_bytes([block[0], block[1], block[2], block[3]]),
        DenseFormat::F16 => out[0] = half(block, 0),
        DenseFormat::BF16 => out[0] = bf16_to_f32(u16::from_le_bytes([block[0], block[1]])),
        DenseFormat::Q8_0 => {
            let scale = half(block, 0);
            for (out, &byte) in out.iter_mut().zip(&block[2..34]) {
                *out = scale * f32::from(byte.cast_signed());
            }
        }
        DenseFormat::Q4_0 => decode_legacy(half(block, 0), -8.0 * half(block, 0), 0, &block[2..18], out),
        DenseFormat::Q4_1 => decode_legacy(half(block, 0), half(block, 2), 0, &block[4..20], out),
        DenseFormat::Q5_0 => decode_legacy(half(block, 0), -16.0 * half(block, 0), word(block, 2), &block[6..22], out),
        DenseFormat::Q5_1 => decode_legacy(half(block, 0), half(block, 2), word(block, 4), &block[8..24], out),
        DenseFormat::Q2K => decode_q2k(block, out),
        DenseFormat::Q3K => decode_q3k(block, out),
        DenseFormat::Q4K => decode_q45k(block, None, &block[16..144], out),
        DenseFormat::Q5K => decode_q45k(block, Some(&block[16..48]), &block[48..176], out),
        DenseFormat::Q6K => decode_q6k(block, out),
    }
}

fn half(block: &[u8], at: usize) -> f32 {
    f16_to_f32(u16::from_le_bytes([block[at], block[at + 1]]))
}

fn word(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}

/// 32 values of 4 bits plus a fifth bit each from `fifth_bits`: `scale × q + offset`.
fn decode_legacy(scale: f32, offset: f32, fifth_bits: u32, nibbles: &[u8], out: &mut [f32]) {
    for (i, &byte) in nibbles.iter().enumerate() {
        let low = u32::from(byte & 15) | (fifth_bits >> i & 1) << 4;
        let high = u32::from(byte >> 4) | (fifth_bits >> (i + 16) & 1) << 4;
        out[i] = scale * low as f32 + offset;
        out[i + 16] = scale * high as f32 + offset;
    }
}

/// Sixteen scale/minimum nibbles, 64 bytes of 2-bit values, f16 scale and minimum scale.
fn decode_q2k(block: &[u8], out: &mut [f32]) {
    let (scale, minimum) = (half(block, 80), half(block, 82));
    for (group, out) in out.chunks_exact_mut(16).enumerate() {
        let factors = block[group];
        let (scale, minimum) = (scale * f32::from(factors & 15), minimum * f32::from(factors >> 4));
        let (bytes, shift) = two_bit_group(&block[16..80], group);
        for (out, &byte) in out.iter_mut().zip(bytes) {
            *out = scale * f32::from(byte >> shift & 3) - minimum;
        }
    }
}

/// 32 bytes of third bits, 64 of 2-bit values, twelve of packed 6-bit scales (minus 32), f16 scale.
fn decode_q3k(block: &[u8], out: &mut [f32]) {
    let scale = half(block, 108);
    let packed = &block[96..108];
    for (group, out) in out.chunks_exact_mut(16).enumerate() {
        let low = if group < 8 { packed[group] & 15 } else { packed[group - 8] >> 4 };
        let high = packed[8 + group % 4] >> (2 * (group / 4)) & 3;
        let scale = scale * (f32::from(low | high << 4) - 32.0);
        let (bytes, shift) = two_bit_group(&block[32..96], group);
        let third = &block[group % 2 * 16..];
        for ((out, &byte), &third) in out.iter_mut().zip(bytes).zip(third) {
            let subtract = if third >> (group / 2) & 1 == 1 { 0.0 } else { 4.0 };
            *out = scale * (f32::from(byte >> shift & 3) - subtract);
        }
    }
}

/// Where the sixteen 2-bit values of a group lie: 128 values share 32 bytes, four bit pairs deep.
fn two_bit_group(bytes: &[u8], group: usize) -> (&[u8], u32) {
    let start = group / 8 * 32 + group % 2 * 16;
    (&bytes[start..start + 16], (group % 8 / 2 * 2) as u32)
}

/// f16 scale and minimum scale, eight 6-bit scales and minimums in twelve bytes, nibbles, and fifth bits for Q5_K.
fn decode_q45k(block: &[u8], fifth: Option<&[u8]>, nibbles: &[u8], out: &mut [f32]) {
    let (scale, minimum) = (half(block, 0), half(block, 2));
    let packed = &block[4..16];
    for (group, out) in out.chunks_exact_mut(32).enumerate() {
        let (factor, offset) = if group < 4 {
            (packed[group] & 63, packed[group + 4] & 63)
        } else {
            let (low, scale_high, minimum_high) = (packed[group + 4], packed[group - 4] >> 6, packed[group] >> 6);
            (low & 15 | scale_high << 4, low >> 4 | minimum_high << 4)
        };
        let (scale, minimum) = (scale * f32::from(factor), minimum * f32::from(offset));
        for (i, (out, &byte)) in out.iter_mut().zip(&nibbles[group / 2 * 32..]).enumerate() {
            let nibble = if group % 2 == 0 { byte & 15 } else { byte >> 4 };
            let fifth = fifth.map_or(0, |bits| bits[i] >> group & 1);
            *out = scale * f32::from(nibble | fifth << 4) - minimum;
        }
    }
}

/// 128 bytes of low nibbles, 64 of high bit pairs, sixteen i8 scales, f16 scale; values minus 32.
fn decode_q6k(block: &[u8], out: &mut [f32]) {
    let scale = half(block, 208);
    for (group, out) in out.chunks_exact_mut(16).enumerate() {
        let scale = scale * f32::from(block[192 + group].cast_signed());
        // Eight groups make a half of 128 values: quarters of 32 share bytes, two quarters per nibble.
        let (part, quarter, side) = (group / 8, group % 8 / 2, group % 2 * 16);
        let low = &block[part * 64 + quarter % 2 * 32 + side..];
        let high = &block[128 + part * 32 + side..];
        for ((out, &low), &high) in out.iter_mut().zip(low).zip(high) {
            let nibble = if quarter < 2 { low & 15 } else { low >> 4 };
            *out = scale * (f32::from(nibble | (high >> (2 * quarter) & 3) << 4) - 32.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_rounds_to_even_and_keeps_nan() {
        for (value, bits) in [
            (1.0, 0x3F80),
            (f32::from_bits(0x3F80_8000), 0x3F80),
            (f32::from_bits(0x3F81_8000), 0x3F82),
            (f32::INFINITY, 0x7F80),
            (-0.0, 0x8000),
        ] {
            assert_eq!(f32_to_bf16(value), bits, "{value}");
        }
        assert!(bf16_to_f32(f32_to_bf16(f32::NAN)).is_nan());
        assert!(bf16_to_f32(f32_to_bf16(f32::from_bits(0x7F80_0001))).is_nan());
    }

    #[test]
    fn f16_covers_every_pattern() {
        for bits in 0..=u16::MAX {
            let (exponent, mantissa) = (i32::from(bits >> 10 & 31), f64::from(bits & 0x3FF));
            let magnitude = match exponent {
                0 => mantissa * 2f64.powi(-24),
                31 if mantissa == 0.0 => f64::INFINITY,
                31 => f64::NAN,
                _ => (1.0 + mantissa / 1024.0) * 2f64.powi(exponent - 15),
            };
            let expected = if bits >> 15 == 1 { -magnitude } else { magnitude };
            let found = f64::from(f16_to_f32(bits));
            assert!(
                found == expected || found.is_nan() && expected.is_nan(),
                "{bits:04x}: {found} instead of {expected}"
            );
        }
    }

    #[test]
    fn f32_to_f16_gives_every_pattern_back() {
        for bits in 0..=u16::MAX {
            let (value, back) = (f16_to_f32(bits), f32_to_f16(f16_to_f32(bits)));
            if value.is_nan() {
                assert!(f16_to_f32(back).is_nan() && back >> 15 == bits >> 15, "{bits:04x}: {back:04x} is a number");
            } else {
                assert_eq!(back, bits, "{value}");
            }
        }
        assert!(f16_to_f32(f32_to_f16(f32::from_bits(0x7F80_0001))).is_nan());
    }

    #[test]
    fn f32_to_f16_rounds_to_nearest_even() {
        for low in 0..0x7C00_u16 {
            // Seen from below, infinity stands where the next value would be.
            let value = |bits: u16| if bits == 0x7C00 { 65_536.0 } else { f16_to_f32(bits) };
            let (low_value, high_value) = (value(low), value(low + 1));
            let middle = f32::midpoint(low_value, high_value);
            assert!(f64::from(middle) * 2.0 == f64::from(low_value) + f64::from(high_value), "the middle is exact");
            let even = low + (low & 1);
            let quarter = f32::midpoint(low_value, middle);
            let cases = [(middle, even), (middle.next_down(), low), (middle.next_up(), low + 1), (quarter, low)];
            for (value, bits) in cases {
                assert_eq!(f32_to_f16(value), bits, "{value:e}");
                assert_eq!(f32_to_f16(-value), bits | 0x8000, "-{value:e}");
            }
        }
    }

    #[test]
    fn f32_to_f16_at_its_ends() {
        for (value, bits) in [
            (65_536.0, 0x7C00),
            (1e30, 0x7C00),
            (f32::MAX, 0x7C00),
            (f32::INFINITY, 0x7C00),
            (-f32::INFINITY, 0xFC00),
            (f32::MIN_POSITIVE, 0),
            (-f32::from_bits(1), 0x8000),
            (0.0, 0),
            (-0.0, 0x8000),
        ] {
            assert_eq!(f32_to_f16(value), bits, "{value:e}");
        }
    }
}
