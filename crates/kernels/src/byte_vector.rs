//! A short vector as signed bytes with one scale: the grid that 8-bit keys and values lie on. It must not know where they are kept.
//!
//! The rounding is exact, so that every instruction set gives the same bytes: `127·x` is exact in f64, and the quotient of two
//! f32 comes no nearer than 2⁻³³ to a half without being one, which f64 tells apart.

/// The greatest byte.
pub(crate) const STEPS: f64 = 127.0;

/// `x ≈ scale · out`; returns the scale. The slices are equally long.
#[inline(always)]
pub(crate) fn round(x: &[f32], out: &mut [i8]) -> f32 {
    // Magnitudes are ordered as their patterns are, infinity and NaN last.
    let greatest = f32::from_bits(x.iter().fold(0, |most, value| most.max(value.to_bits() & 0x7FFF_FFFF)));
    if greatest == 0.0 || !greatest.is_finite() {
        out.fill(0);
        return if greatest == 0.0 { 0.0 } else { f32::NAN };
    }
    let divisor = f64::from(greatest);
    for (to, &value) in out.iter_mut().zip(x) {
        // SAFETY: no magnitude is above the greatest's, which is finite, so that this is at most 127.
        *to = unsafe { (f64::from(value) * STEPS / divisor).round_ties_even().to_int_unchecked::<i32>() } as i8;
    }
    (divisor / STEPS) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounded(x: &[f32]) -> (Vec<i8>, f32) {
        let mut out = vec![55; x.len()];
        let scale = round(x, &mut out);
        (out, scale)
    }

    #[test]
    fn halves_go_to_even() {
        // The greatest is 127, so that values are their own bytes.
        let (bytes, scale) = rounded(&[127.0, 0.5, 1.5, -2.5, 3.500_001, -0.499_999_97, 126.5, -127.0, 0.0, -0.0]);
        assert_eq!((bytes, scale), (vec![127, 0, 2, -2, 4, 0, 126, -127, 0, 0], 1.0));
        // 127·x / greatest in integers: x = m, greatest = 254·k, halves where m is an odd multiple of k.
        for k in [3u32, 5, 32_771, 66_051] {
            let x: Vec<f32> = (0..254).map(|j| (j * k) as f32).chain([(254 * k) as f32]).collect();
            let expected: Vec<i8> = (0..=254).map(|j| (f64::from(j) / 2.0).round_ties_even() as i8).collect();
            assert_eq!(rounded(&x).0, expected, "{k}");
        }
    }

    #[test]
    fn of_any_magnitude_and_of_none() {
        for exponent in [-140, -126, -30, 0, 60, 127] {
            let greatest = 2f64.powi(exponent) as f32;
            let (bytes, scale) = rounded(&[greatest, -greatest, greatest / 2.0, 0.0]);
            assert_eq!(bytes, [127, -127, 64, 0], "2^{exponent}");
            assert_eq!(scale, (f64::from(greatest) / 127.0) as f32);
        }
        assert_eq!(rounded(&[f32::MAX, -f32::MAX]).0, [127, -127]);
        let (bytes, scale) = rounded(&[0.0, -0.0, 0.0]);
        assert_eq!((bytes, scale.to_bits()), (vec![0; 3], 0));
    }

    #[test]
    fn what_is_not_finite_is_seen_in_the_scale() {
        for value in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let (bytes, scale) = rounded(&[1.0, value, -3.0]);
            assert!(scale.is_nan() && bytes == [0; 3], "{value}");
        }
    }
}
