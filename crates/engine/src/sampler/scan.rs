//! Passes over all logits of a row, written so that the compiler can make vectors of them: a vocabulary has 200,000 of them, and
//! every token costs these passes. It must not know settings.

/// Logits per run: sums of a run are f32, of all runs f64.
const RUN: usize = 64;

/// The first greatest of the finite logits; token 0 where none is finite.
pub(super) fn greatest(logits: &[f32]) -> u32 {
    let mut best = (f32::NEG_INFINITY, 0);
    for (index, run) in logits.chunks(RUN).enumerate() {
        let top = run.iter().fold(f32::NEG_INFINITY, |top, &logit| top.max(finite(logit)));
        if top > best.0 {
            best = (top, index);
        }
    }
    let start = best.1 * RUN;
    let place = logits[start..].iter().position(|&logit| logit == best.0 && logit.is_finite());
    place.map_or(0, |place| (start + place) as u32)
}

/// `ln Σ exp(logit)` over the finite logits, `top` being the greatest of them; within 1e-6 of the sum's own logarithm.
pub(super) fn log_sum_exp(logits: &[f32], top: f32) -> f32 {
    let sums = logits.chunks(RUN).map(|run| {
        let mut lanes = [0.0_f32; 8];
        let (eights, rest) = run.as_chunks::<8>();
        for eight in eights {
            for (lane, &logit) in lanes.iter_mut().zip(eight) {
                *lane += exp(finite(logit) - top);
            }
        }
        let rest: f32 = rest.iter().map(|&logit| exp(finite(logit) - top)).sum();
        f64::from(lanes.iter().sum::<f32>() + rest)
    });
    top + sums.sum::<f64>().ln() as f32
}

/// Shows the finite logits above a bound with their tokens, in order; the bound is minus infinity, and after each what `show` gives. Runs
/// without such a logit are passed over.
pub(super) fn for_each_above(logits: &[f32], mut show: impl FnMut(f32, u32) -> f32) {
    let mut bound = f32::NEG_INFINITY;
    for (index, run) in logits.chunks(RUN).enumerate() {
        if run.iter().fold(f32::NEG_INFINITY, |top, &logit| top.max(finite(logit))) <= bound {
            continue;
        }
        for (id, &logit) in (index * RUN..).zip(run) {
            if logit.is_finite() && logit > bound {
                bound = show(logit, id as u32);
            }
        }
    }
}

/// Puts minus infinity where a bit is not set, of words of 32 logits each, the lowest bit first, and behind the words. Words that are all
/// ones are passed over.
pub(super) fn forbid(logits: &mut [f32], words: &[u32]) {
    let masked = logits.len().min(words.len() * BITS.len());
    let (masked, beyond) = logits.split_at_mut(masked);
    for (run, &word) in masked.chunks_mut(BITS.len()).zip(words) {
        match word {
            u32::MAX => {}
            0 => run.fill(f32::NEG_INFINITY),
            _ => {
                for (logit, bit) in run.iter_mut().zip(BITS) {
                    *logit = if word & bit == 0 { f32::NEG_INFINITY } else { *logit };
                }
            }
        }
    }
    beyond.fill(f32::NEG_INFINITY);
}

/// The bits of a word.
const BITS: [u32; 32] = {
    let mut bits = [1; 32];
    let mut at = 1;
    while at < bits.len() {
        bits[at] = bits[at - 1] << 1;
        at += 1;
    }
    bits
};

/// Minus infinity for what is not finite.
#[inline(always)]
fn finite(logit: f32) -> f32 {
    if logit.abs() < f32::INFINITY { logit } else { f32::NEG_INFINITY }
}

/// `exp(x)` for x ≤ 0 within 2e-7 of itself; 0 below −87 and for NaN.
///
/// 2^(x·log₂ e) as a whole power of two, put together from its bits, times a polynomial in what is left, |r| ≤ ½ (the Taylor series of
/// 2^r to degree 7).
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Added and taken off again, it rounds to a whole number.
    const ROUNDER: f32 = 12_582_912.0;
    const TAYLOR: [f32; 7] =
        [1.525_273_4e-5, 1.540_353e-4, 1.333_355_8e-3, 9.618_129e-3, 5.550_411e-2, 2.402_265e-1, 6.931_472e-1];
    let clamped = x.clamp(-87.0, 0.0);
    let exponent = clamped * std::f32::consts::LOG2_E;
    let shifted = exponent + ROUNDER;
    let rest = exponent - (shifted - ROUNDER);
    let polynomial = TAYLOR.iter().fold(0.0, |sum, coefficient| sum * rest + coefficient) * rest + 1.0;
    let power = f32::from_bits(shifted.to_bits().wrapping_sub(ROUNDER.to_bits()).wrapping_add(127) << 23);
    if x >= -87.0 { polynomial * power } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_near_the_real_one() {
        for step in 0..87_000 {
            let x = -step as f32 * 0.001;
            let (found, expected) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((found / expected - 1.0).abs() < 1e-5 * (1.0 - f64::from(x) / 30.0), "{x}: {found} {expected}");
        }
        assert_eq!((exp(0.0), exp(f32::NEG_INFINITY), exp(f32::NAN)), (1.0, 0.0, 0.0));
        for x in [-0.1_f32, -0.3, -0.5, -0.69, -1.0] {
            assert!((f64::from(exp(x)) / f64::from(x).exp() - 1.0).abs() < 3e-7, "{x}");
        }
    }

    #[test]
    fn a_mask_leaves_what_it_allows_and_nothing_else() {
        for size in [1, 31, 32, 33, 100, 128] {
            for words in [&[][..], &[u32::MAX, 0, 0xa000_0005, u32::MAX], &[0, u32::MAX, 1]] {
                let mut logits: Vec<f32> = (0..size).map(|id| id as f32).collect();
                forbid(&mut logits, words);
                for (id, logit) in logits.into_iter().enumerate() {
                    let allows = words.get(id / 32).is_some_and(|word| word >> (id % 32) & 1 == 1);
                    assert_eq!(logit, if allows { id as f32 } else { f32::NEG_INFINITY }, "{size} {words:?}");
                }
            }
        }
    }

    #[test]
    fn passes_equal_their_slow_twins() {
        let mut state = 3_u32;
        let mut logits: Vec<f32> = (0..1003)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / 1_000_000.0
            })
            .collect();
        for broken in [None, Some(f32::NAN), Some(f32::INFINITY), Some(f32::NEG_INFINITY)] {
            broken.into_iter().for_each(|value| logits[500] = value);
            let finite = || logits.iter().zip(0..).filter(|(logit, _)| logit.is_finite());
            let expected =
                finite().fold((f32::NEG_INFINITY, 0), |best, (&x, i)| if x > best.0 { (x, i) } else { best });
            assert_eq!(greatest(&logits), expected.1);
            let sum: f64 = finite().map(|(&logit, _)| (f64::from(logit) - f64::from(expected.0)).exp()).sum();
            let found = log_sum_exp(&logits, expected.0);
            assert!((f64::from(found) - f64::from(expected.0) - sum.ln()).abs() < 1e-5);
        }
        assert_eq!(greatest(&[f32::NAN, f32::INFINITY]), 0);
        assert_eq!(greatest(&[1.0, 5.0, 5.0]), 1, "the first of equals");
    }
}
