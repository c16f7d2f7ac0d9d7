//! Rounding to what the exported file can hold: MXFP4 for the experts, bf16 for the rest. It must not know files or training.
//!
//! MXFP4 (OCP Microscaling Formats 1.0): 32 values share a scale 2^(byte − 127), each value is an E2M1 number, one of
//! 0, ½, 1, 1½, 2, 3, 4, 6 with a sign. Of two scales the one with the least squared error is taken: 2^(floor(log2 m) − 2),
//! where m is the largest magnitude, under which m lies between 4 and 8 and is cut to 6; and its double, under which m is not
//! cut but everything else is coarser. A larger one never rounds better than these, and up to 7 units the first never rounds
//! worse than the second, because up to 6 its numbers contain the second's. So the second is only tried above 7. Where it is
//! taken, m becomes the number 4; under the first m becomes 4 or 6. Both mean that quantising the result again finds the
//! same scale and, there, the same numbers: quantising twice is quantising once, to the byte.

use crate::parameters::{Layout, TensorKind};
use kernels::decode::{FP4_VALUES, bf16_to_f32, e8m0_to_f32, f32_to_bf16};

/// Values that share a scale.
pub const BLOCK_VALUES: usize = 32;
/// The largest E2M1 number.
const LARGEST: f32 = 6.0;
/// Units of the smaller scale up to which it is never the worse one.
const NEVER_WORSE: f32 = 7.0;
/// Partial sums of a block, so that the compiler may use vectors without reordering a sum.
const LANES: usize = 8;

/// A block of 32 finite values as MXFP4: the scale byte, and the numbers with value `2i` in the low half of byte `i` and
/// `2i + 1` in the high half.
#[must_use]
pub fn quantise_block(values: &[f32; BLOCK_VALUES]) -> (u8, [u8; 16]) {
    let (scale, numbers) = round_block(values);
    let mut nibbles = [0; 16];
    for (byte, pair) in nibbles.iter_mut().zip(numbers.as_chunks::<2>().0) {
        *byte = code(pair[0]) | code(pair[1]) << 4;
    }
    (scale, nibbles)
}

/// Replaces `out` by what the values become when they are stored as MXFP4, blocks of 32 one after another. Values that are
/// not numbers stay so.
///
/// # Panics
/// When the lengths differ or are not whole blocks: our bug.
pub fn fake_quantise(values: &[f32], out: &mut [f32]) {
    let (blocks, rest) = values.as_chunks::<BLOCK_VALUES>();
    assert!(rest.is_empty() && values.len() == out.len(), "whole blocks in and out");
    for (block, out) in blocks.iter().zip(out.as_chunks_mut::<BLOCK_VALUES>().0) {
        let (scale, numbers) = round_block(block);
        let scale = e8m0_to_f32(scale);
        for (out, number) in out.iter_mut().zip(numbers) {
            *out = number * scale;
        }
    }
}

/// Replaces `out` by the values rounded to bf16, ties to even.
///
/// # Panics
/// When the lengths differ: our bug.
pub fn round_to_bf16(values: &[f32], out: &mut [f32]) {
    assert_eq!(values.len(), out.len(), "as many out as in");
    for (out, &value) in out.iter_mut().zip(values) {
        *out = bf16_to_f32(f32_to_bf16(value));
    }
}

/// Replaces `out` by what a whole vector of parameters becomes in an exported file.
///
/// # Panics
/// When a length is not the layout's: our bug.
pub fn as_exported(layout: &Layout, parameters: &[f32], out: &mut [f32]) {
    assert!(parameters.len() == layout.length() && out.len() == layout.length(), "vectors of the layout");
    for tensor in layout.tensors() {
        rounding(tensor.kind)(&parameters[tensor.range.clone()], &mut out[tensor.range.clone()]);
    }
}

/// How the values of a kind of tensor are rounded in an exported file, whole blocks of 32 at a time.
pub(crate) fn rounding(kind: TensorKind) -> fn(&[f32], &mut [f32]) {
    match kind {
        TensorKind::Experts => fake_quantise,
        TensorKind::Embedding | TensorKind::Weight | TensorKind::Bias | TensorKind::Norm | TensorKind::Sinks => {
            round_to_bf16
        }
    }
}

/// The scale byte, and the E2M1 numbers with their signs.
fn round_block(values: &[f32; BLOCK_VALUES]) -> (u8, [f32; BLOCK_VALUES]) {
    let largest = largest_magnitude(values);
    // The exponent field of an f32 is floor(log2) + 127. Below it no smaller scale exists; not-a-numbers never get here.
    let scale = ((largest.to_bits() >> 23) as u8).saturating_sub(2);
    let numbers = round_to_scale(values, scale);
    if largest * reciprocal(scale) > NEVER_WORSE {
        let coarser = round_to_scale(values, scale + 1);
        // In units of each scale; a unit of the double is two.
        if 4.0 * squared_error(values, &coarser, scale + 1) < squared_error(values, &numbers, scale) {
            return (scale + 1, coarser);
        }
    }
    (scale, numbers)
}

fn largest_magnitude(values: &[f32; BLOCK_VALUES]) -> f32 {
    let mut largest = [0f32; LANES];
    for chunk in values.as_chunks::<LANES>().0 {
        for (largest, value) in largest.iter_mut().zip(chunk) {
            // Not f32::max, whose care for not-a-numbers costs instructions.
            let value = value.abs();
            *largest = if value > *largest { value } else { *largest };
        }
    }
    largest.into_iter().fold(0.0, |a, b| if b > a { b } else { a })
}

/// 1 / scale, exactly. The scale of finite values is at most 2^126.
fn reciprocal(scale: u8) -> f32 {
    f32::from_bits((254 - u32::from(scale)) << 23)
}

/// The nearest E2M1 numbers in units of the scale, ties to the even code.
fn round_to_scale(values: &[f32; BLOCK_VALUES], scale: u8) -> [f32; BLOCK_VALUES] {
    let reciprocal = reciprocal(scale);
    values.map(|value| {
        let exact = value * reciprocal;
        let magnitude = exact.abs();
        let cut = if magnitude > LARGEST { LARGEST } else { magnitude };
        round_magnitude(cut).copysign(exact)
    })
}

/// In units of the scale.
fn squared_error(values: &[f32; BLOCK_VALUES], numbers: &[f32; BLOCK_VALUES], scale: u8) -> f32 {
    let reciprocal = reciprocal(scale);
    let mut errors = [0f32; LANES];
    for (values, numbers) in values.as_chunks::<LANES>().0.iter().zip(numbers.as_chunks::<LANES>().0) {
        for ((value, number), error) in values.iter().zip(numbers).zip(&mut errors) {
            let difference = value * reciprocal - number;
            *error += difference * difference;
        }
    }
    errors.into_iter().sum()
}

/// The nearest E2M1 number of a magnitude up to 6. Between 2^e and 2^(e + 1) they lie half of 2^e apart, below 1 as above it.
/// Adding 2^22 times 2^e leaves no room for bits below that step, so the addition rounds as wanted, ties to even.
fn round_magnitude(magnitude: f32) -> f32 {
    let power = f32::from_bits(magnitude.to_bits() & 0x7F80_0000);
    let anchor = if power > 1.0 { power } else { 1.0 } * 4_194_304.0;
    (magnitude + anchor) - anchor
}

/// The E2M1 code of a number that is one.
fn code(number: f32) -> u8 {
    let known = FP4_VALUES.iter().position(|value| value.to_bits() == number.to_bits());
    known.expect("a rounded value is an E2M1 number") as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop};
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

    use super::{BLOCK_VALUES, fake_quantise, quantise_block, round_to_bf16};
    use kernels::decode::{FP4_VALUES, e8m0_to_f32};

    fn decode(scale: u8, nibbles: [u8; 16]) -> [f32; BLOCK_VALUES] {
        std::array::from_fn(|index| {
            let code = nibbles[index / 2] >> (index % 2 * 4) & 15;
            FP4_VALUES[usize::from(code)] * e8m0_to_f32(scale)
        })
    }

    /// By the definition, in f64: every number, every scale.
    fn slowly(values: &[f32; BLOCK_VALUES], scale: i32) -> ([f64; BLOCK_VALUES], f64) {
        let unit = 2f64.powi(scale - 127);
        let nearest = values.map(|value| {
            let exact = f64::from(value.abs()) / unit;
            let codes = 0..8usize;
            let distance = |code: usize| (f64::from(FP4_VALUES[code]) - exact).abs();
            // The nearest, and of two equally near the even code.
            let best = codes.min_by(|&a, &b| distance(a).total_cmp(&distance(b)).then((a % 2).cmp(&(b % 2)))).unwrap();
            f64::from(FP4_VALUES[best]) * unit * f64::from(value.signum())
        });
        let error = nearest.iter().zip(values).map(|(near, &value)| ((near - f64::from(value)) / unit).powi(2)).sum();
        (nearest, error)
    }

    fn blocks(test: impl Fn([f32; BLOCK_VALUES])) {
        // Every kind of block: near zero, near the limits, with one value far above the others.
        let magnitude = (-30i32..30, prop::collection::vec((-1.0f32..1.0, any::<bool>()), BLOCK_VALUES), 0..4u8);
        let block = magnitude.prop_map(|(power, values, shape)| {
            let scale = 2f32.powi(if shape == 3 { power * 4 - 20 } else { power });
            let mut block: [f32; BLOCK_VALUES] = std::array::from_fn(|index| {
                let (value, coarse) = values[index];
                scale * if shape > 0 && coarse { (value * 16.0).round() / 2.0 } else { value }
            });
            if shape == 1 {
                block[7] = scale * 7.75;
            }
            block
        });
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
        let config = Config { cases: 3000, failure_persistence: None, ..Config::default() };
        TestRunner::new_with_rng(config, rng)
            .run(&block, |block| {
                test(block);
                Ok(())
            })
            .unwrap();
    }

    #[test]
    fn quantising_twice_is_quantising_once() {
        blocks(|block| {
            let (scale, nibbles) = quantise_block(&block);
            assert_eq!(quantise_block(&decode(scale, nibbles)), (scale, nibbles), "{block:?}");
        });
    }

    #[test]
    fn both_roads_give_the_same_values() {
        blocks(|block| {
            let (scale, nibbles) = quantise_block(&block);
            let mut out = [1.0; BLOCK_VALUES];
            fake_quantise(&block, &mut out);
            assert_eq!(out.map(f32::to_bits), decode(scale, nibbles).map(f32::to_bits));
        });
    }

    #[test]
    fn the_scale_has_the_least_error_of_all_from_the_first_on() {
        let seen = std::cell::RefCell::new([0u32; 2]);
        blocks(|block| {
            let largest = block.iter().fold(0f32, |most, value| most.max(value.abs()));
            let (scale, nibbles) = quantise_block(&block);
            if largest < f32::MIN_POSITIVE * 4.0 {
                assert_eq!(scale, 0);
                return;
            }
            let first = largest.log2().floor() as i32 - 2 + 127;
            let unit = |scale: i32| 4f64.powi(scale - first);
            let error = |scale: i32| slowly(&block, scale).1 * unit(scale);
            let best = (first..first + 4).map(error).fold(f64::INFINITY, f64::min);
            let own = i32::from(scale);
            assert!(error(own) <= best * (1.0 + 1e-5), "{own} from {first}: {} {best}", error(own));
            assert!(own == first || error(own) < error(first), "ties go to the smaller scale");
            seen.borrow_mut()[(own - first) as usize] += 1;
            assert_eq!(decode(scale, nibbles).map(f64::from).map(f64::abs), slowly(&block, own).0.map(f64::abs));
        });
        assert!(seen.borrow().iter().all(|&count| count > 100), "both scales occur: {seen:?}");
    }

    #[test]
    fn known_blocks() {
        let mut block = [0.0f32; BLOCK_VALUES];
        assert_eq!(quantise_block(&block), (0, [0; 16]));
        // Ties go to the even code: ¼ → 0, ¾ → 1, 1¼ → 1, 1¾ → 2, 2½ → 2, 3½ → 4, 5 → 4.
        block[..8].copy_from_slice(&[0.25, 0.75, 1.25, 1.75, 2.5, 3.5, -5.0, 6.0]);
        let (scale, nibbles) = quantise_block(&block);
        assert_eq!((scale, &nibbles[..4]), (127, &[0x20, 0x42, 0x64, 0x7E][..]));
        // One value of 7.9 alone: cut to 6 it loses 1.9, under the double scale 0.1.
        let mut block = [0.0f32; BLOCK_VALUES];
        block[31] = -7.9;
        assert_eq!(quantise_block(&block), (128, std::array::from_fn(|index| if index == 15 { 0xE0 } else { 0 })));
        // The smallest and the largest magnitudes.
        assert_eq!(quantise_block(&[f32::from_bits(1); BLOCK_VALUES]).0, 0);
        assert_eq!(quantise_block(&[f32::MAX; BLOCK_VALUES]), (253, [0x66; 16]));
    }

    #[test]
    fn what_is_no_number_stays_so() {
        let mut block = [1.0f32; BLOCK_VALUES];
        block[3] = f32::NAN;
        let mut out = [0.0; BLOCK_VALUES];
        fake_quantise(&block, &mut out);
        assert!(out[3].is_nan() && out[4] == 1.0);
    }

    #[test]
    fn bf16_rounds_to_even() {
        let mut out = [0.0; 3];
        round_to_bf16(&[1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0, -0.1], &mut out);
        assert_eq!(out, [1.0, 1.0 + 4.0 / 256.0, -0.100_097_656]);
    }
}
