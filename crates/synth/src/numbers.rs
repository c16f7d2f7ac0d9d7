//! The counter-based random numbers and the two roundings. Integers and one f64 multiply, so that any language can make the
//! same file bit for bit:
//!
//! ```text
//! h      = fnv1a64(tensor name) ^ (seed × 0x9E3779B97F4A7C15)
//! u64(i) = splitmix64_finalise(h + (i + 1) × 0x9E3779B97F4A7C15)
//! z(i)   = (sum of the four 16-bit lanes of u64(i) − 131070) × (deviation / 37837)       about normal
//! ```

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
/// Standard deviation of the sum of four uniform 16-bit lanes, rounded down.
const LANES_DEVIATION: f64 = 37_837.0;

/// A stream of random words; word `i` is computed from `i` alone, so any range can be made anywhere, in any thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Words {
    state: u64,
}

impl Words {
    pub(crate) fn new(tensor_name: &str, seed: u64) -> Self {
        Self { state: fnv1a64(tensor_name) ^ seed.wrapping_mul(GOLDEN) }
    }

    #[inline]
    pub(crate) fn at(self, index: u64) -> u64 {
        let mut z = self.state.wrapping_add(index.wrapping_add(1).wrapping_mul(GOLDEN));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Nearly normal value `index`, as a bf16 bit pattern; `step` is [`normal_step`] of the deviation.
    #[inline]
    pub(crate) fn normal(self, index: u64, mean: f64, step: f64) -> u16 {
        let word = self.at(index);
        let lanes = (word & 0xFFFF) + ((word >> 16) & 0xFFFF) + ((word >> 32) & 0xFFFF) + (word >> 48);
        // At most 4 × 65535, so both conversions are exact.
        let centred = f64::from(lanes as i32 - 131_070);
        bf16_from_f32((mean + centred * step) as f32)
    }
}

/// What one unit of the centred lane sum is worth for a standard deviation.
pub(crate) fn normal_step(deviation: f64) -> f64 {
    deviation / LANES_DEVIATION
}

/// Rounds to nearest, ties to even; our values are finite.
#[inline]
pub(crate) fn bf16_from_f32(value: f32) -> u16 {
    let bits = value.to_bits();
    ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16) as u16
}

#[inline]
pub(crate) fn f32_from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// IEEE half precision, round to nearest, ties to even; too large becomes infinite.
pub(crate) fn f16_from_f32(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = ((bits >> 16) & 0x8000) as u16;
    let magnitude = bits & 0x7FFF_FFFF;
    if magnitude > 0x7F80_0000 {
        return sign | 0x7E00;
    }
    if magnitude >= 0x4780_0000 {
        return sign | 0x7C00;
    }
    // The smallest normal half is 2^-14. Below it the result is a multiple of 2^-24: adding 1.5 × 2^-1 lets the f32 adder
    // do that rounding. Above it, 13 mantissa bits go.
    let half = if magnitude < 0x3880_0000 {
        (f32::from_bits(magnitude) + 0.5).to_bits() - 0.5f32.to_bits()
    } else {
        (magnitude - 0x3800_0000 + 0xFFF + ((magnitude >> 13) & 1)) >> 13
    };
    sign | half as u16
}

fn fnv1a64(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use super::{bf16_from_f32, f16_from_f32, f32_from_bf16};

    #[test]
    fn half_precision_rounds_to_even() {
        // (value, bits) from IEEE 754: exact values, ties, the subnormal range and overflow.
        let two_to = |exponent: i32| 2f32.powi(exponent);
        for (value, bits) in [
            (0.0, 0x0000),
            (-0.0, 0x8000),
            (1.0, 0x3C00),
            (-2.0, 0xC000),
            (65504.0, 0x7BFF),
            (65520.0, 0x7C00),
            (1.0 + two_to(-11), 0x3C00),
            (1.0 + 3.0 * two_to(-11), 0x3C02),
            (two_to(-14), 0x0400),
            (two_to(-24), 0x0001),
            (two_to(-25), 0x0000),
            (3.0 * two_to(-25), 0x0002),
            (f32::INFINITY, 0x7C00),
        ] {
            assert_eq!(f16_from_f32(value), bits, "{value:e}");
        }
        assert_eq!(f16_from_f32(f32::NAN) & 0x7C00, 0x7C00);
        assert_ne!(f16_from_f32(f32::NAN) & 0x03FF, 0);
    }

    #[test]
    fn bf16_rounds_to_even() {
        assert_eq!(bf16_from_f32(1.0), 0x3F80);
        assert_eq!(bf16_from_f32(1.0 + 2f32.powi(-8)), 0x3F80);
        assert_eq!(bf16_from_f32(1.0 + 3.0 * 2f32.powi(-8)), 0x3F82);
        assert_eq!(f32_from_bf16(0xC040), -3.0);
    }
}
