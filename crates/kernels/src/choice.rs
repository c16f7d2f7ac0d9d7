//! How one of many logits is chosen: the greatest, or one drawn by its probability. It must not know where logits come from.
//!
//! Drawing is the greatest of `logit / temperature + g`, with noise g of the standard Gumbel distribution for each token (the
//! Gumbel-max trick): the same distribution as the softmax's, but a token that cannot be the greatest need not be known exactly.
//! The noise is a function of one number per draw and of the token's id.

/// Which logit is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// Logits are divided by it; 0 chooses the greatest.
    pub temperature: f32,
    /// What all draws of a sequence are made of; not looked at where nothing is drawn.
    pub seed: u64,
    /// The number of the draw.
    pub draw: u64,
}

/// What a choice has found so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Best {
    /// What logits are taken relative to: the greatest that is known, so that scores stay small.
    pub(crate) top: f32,
    /// The greatest score.
    pub(crate) score: f64,
    /// The same, rounded.
    bound: f32,
    /// Whose it is; the first of equals.
    pub(crate) id: Option<u32>,
}

/// Logits that are looked at together.
const RUN: usize = 16;

impl Choice {
    /// The greatest.
    pub const GREATEST: Self = Self { temperature: 0.0, seed: 0, draw: 0 };

    /// The choice so many draws later.
    #[must_use]
    pub const fn later(self, draws: usize) -> Self {
        Self { draw: self.draw.wrapping_add(draws as u64), ..self }
    }

    /// The token that is chosen of `logits` `[vocabulary]`, the first of equals; `None` where no logit is finite. What is not finite is never
    /// chosen.
    #[must_use]
    pub fn pick(self, logits: &[f32]) -> Option<u32> {
        let greatest = |run: &[f32]| run.iter().fold(f32::NEG_INFINITY, |top, &logit| top.max(finite(logit)));
        let top = logits.chunks(RUN).map(greatest).fold(f32::NEG_INFINITY, f32::max);
        let mut best = Best::above(top);
        if self.temperature != 0.0 {
            // Most likely it is among the greatest: the better the bound, the fewer of the others are looked at closely.
            let id = logits.iter().position(|&logit| logit == top)?;
            self.offer(&mut best, top, id as u32);
        }
        for (index, run) in logits.chunks(RUN).enumerate() {
            let first = (index * RUN) as u32;
            // Without a branch, so that it becomes vectors.
            let may = run.iter().zip(first..).fold(false, |may, (&logit, id)| may | self.may_reach(&best, logit, id));
            if may {
                run.iter().zip(first..).for_each(|(&logit, id)| self.offer(&mut best, logit, id));
            }
        }
        best.id
    }

    /// Notes a token whose logit is known.
    pub(crate) fn offer(self, best: &mut Best, logit: f32, id: u32) {
        if !logit.is_finite() {
            return;
        }
        let score = self.score(best.top, logit, id);
        let is_better = match best.id {
            None => score > f64::NEG_INFINITY || self.temperature == 0.0,
            Some(other) => score > best.score || score == best.score && id < other,
        };
        if is_better {
            (best.score, best.bound, best.id) = (score, score as f32, Some(id));
        }
    }

    fn score(self, top: f32, logit: f32, id: u32) -> f64 {
        if self.temperature == 0.0 {
            return f64::from(logit);
        }
        (f64::from(logit) - f64::from(top)) / f64::from(self.temperature) + self.gumbel(id)
    }

    /// Whether a token whose logit is at most this could be chosen instead of the best: always if it could, rarely if it could
    /// not. For NaN, too: nothing is known of it.
    #[inline(always)]
    pub(crate) fn may_reach(self, best: &Best, logit: f32, id: u32) -> bool {
        /// Of the exponent, for what rounding takes from it.
        const SLACK: f32 = 1e-3;
        if self.temperature == 0.0 {
            return logit >= best.bound || logit.is_nan();
        }
        let above = logit - best.top;
        // g ≥ t where −ln(1 − w) ≤ exp(−t), so not where w > exp(−t).
        let exponent = (above / self.temperature - best.bound) * std::f32::consts::LOG2_E + SLACK;
        let least = (self.high(id) >> 8) as f32 * (1.0 / (1_u32 << 24) as f32);
        least <= power_above(exponent)
    }

    /// Noise of the standard Gumbel distribution: `−ln(−ln(1 − w))`, w uniform in 0 .. 1.
    fn gumbel(self, id: u32) -> f64 {
        let bits = u64::from(self.high(id)) << 32 | u64::from(self.low(id));
        let uniform = ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        -(-(-uniform).ln_1p()).ln()
    }

    /// The upper bits of w: two rounds of a mixer of 32 bits, which vectors of old processors can multiply.
    #[inline(always)]
    fn high(self, id: u32) -> u32 {
        let noise = draw_bits(self.seed, self.draw);
        let once = mixed(id.wrapping_mul(0x9E37_79B9).wrapping_add(noise as u32));
        mixed(once.wrapping_add((noise >> 32) as u32))
    }

    /// The lower ones, needed only of the few that come near.
    fn low(self, id: u32) -> u32 {
        let noise = draw_bits(self.seed, self.draw);
        mixed(self.high(id) ^ mixed(id.wrapping_add((noise >> 16) as u32)).rotate_left(7))
    }
}

impl Best {
    /// Nothing yet, beside logits of which this is about the greatest.
    pub(crate) const fn above(top: f32) -> Self {
        Self { top, score: f64::NEG_INFINITY, bound: f32::NEG_INFINITY, id: None }
    }
}

/// 64 bits that depend on seed and number only (splitmix64's finaliser).
#[inline(always)]
#[must_use]
pub const fn draw_bits(seed: u64, draw: u64) -> u64 {
    let step = draw.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = seed.wrapping_mul(0xD134_2543_DE82_EF95).wrapping_add(step);
    let z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}

/// A mixer of 32 bits, each of whose output bits depends on each of its input bits.
#[inline(always)]
const fn mixed(x: u32) -> u32 {
    let x = (x ^ x >> 16).wrapping_mul(0x7FEB_352D);
    let x = (x ^ x >> 15).wrapping_mul(0x846C_A68B);
    x ^ x >> 16
}

/// At least `2^x`, at most an eighth more, for x up to 64; at least the smallest normal number; infinity for NaN. The exponent's bits with what is left of x as mantissa:
/// 1 + f ≥ 2^f in 0 ..= 1.
#[inline(always)]
fn power_above(x: f32) -> f32 {
    let clamped = x.clamp(-126.0, 64.0);
    let bits = ((clamped + 127.0) * (1_u32 << 23) as f32) as i32;
    let power = f32::from_bits(bits as u32);
    if x.is_nan() { f32::INFINITY } else { power }
}

/// Minus infinity for what is not finite.
#[inline(always)]
fn finite(logit: f32) -> f32 {
    if logit.abs() < f32::INFINITY { logit } else { f32::NEG_INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By looking at every score.
    fn slow_pick(choice: Choice, logits: &[f32]) -> Option<u32> {
        let top = logits.iter().copied().filter(|logit| logit.is_finite()).fold(f32::NEG_INFINITY, f32::max);
        let scores = logits.iter().zip(0..).filter(|(logit, _)| logit.is_finite());
        let scores = scores.map(|(&logit, id)| (choice.score(top, logit, id), id));
        scores
            .fold(None, |best: Option<(f64, u32)>, (score, id)| match best {
                Some((other, _)) if score <= other => best,
                _ => Some((score, id)),
            })?
            .1
            .into()
    }

    fn numbers(count: usize, mut state: u32) -> Vec<f32> {
        let mut next = || {
            state = mixed(state.wrapping_add(0x9E37_79B9));
            state as f32 / u32::MAX as f32
        };
        (0..count).map(|_| (0..4).map(|_| next()).sum::<f32>() * 8.0 - 16.0).collect()
    }

    #[test]
    fn passing_over_changes_no_choice() {
        for count in [1, 2, 15, 16, 17, 1000, 20_011] {
            let logits = numbers(count, count as u32);
            for (index, temperature) in
                [0.0, f32::from_bits(1), 0.1, 0.7, 1.0, 2.0, 50.0, f32::MAX].into_iter().enumerate()
            {
                for seed in 0..20 {
                    let choice = Choice { temperature, seed, draw: index as u64 };
                    assert_eq!(choice.pick(&logits), slow_pick(choice, &logits), "{count} {choice:?}");
                }
            }
        }
    }

    #[test]
    fn choices_follow_the_softmax() {
        let logits = [0.5, -1.0, 2.0, f32::NAN, 1.0, f32::NEG_INFINITY, -3.0];
        for temperature in [0.5, 1.0, 2.0] {
            let weights =
                logits.map(|logit| if logit.is_finite() { f64::from(logit / temperature).exp() } else { 0.0 });
            let total: f64 = weights.iter().sum();
            let draws = 200_000_u32;
            let mut counts = [0_u32; 7];
            for draw in 0..draws {
                let (seed, draw) = (u64::from(draw % 7), u64::from(draw));
                counts[Choice { temperature, seed, draw }.pick(&logits).unwrap() as usize] += 1;
            }
            for (count, weight) in counts.into_iter().zip(weights) {
                let expected = weight / total;
                let spread = (expected * (1.0 - expected) / f64::from(draws)).sqrt();
                let found = f64::from(count) / f64::from(draws);
                assert!((found - expected).abs() <= 5.0 * spread, "{temperature}: {found} instead of {expected}");
            }
        }
    }

    #[test]
    fn noise_of_many_tokens_is_even_and_of_neighbours_unrelated() {
        let (tokens, choice) = (1 << 18, Choice { temperature: 1.0, seed: 3, draw: 5 });
        let uniform = |id: u32| f64::from(choice.high(id)) / f64::from(u32::MAX);
        let mean = (0..tokens).map(uniform).sum::<f64>() / f64::from(tokens);
        assert!((mean - 0.5).abs() < 5.0 * (1.0 / 12.0_f64 / f64::from(tokens)).sqrt(), "{mean}");
        let products =
            (0..tokens).map(|id| (uniform(id) - 0.5) * (uniform(id + 1) - 0.5)).sum::<f64>() / f64::from(tokens);
        assert!(products.abs() < 5.0 / 12.0 / f64::from(tokens).sqrt(), "{products}");
        // Euler's constant and π/√6: mean and standard deviation of the distribution.
        let mean = (0..tokens).map(|id| choice.gumbel(id)).sum::<f64>() / f64::from(tokens);
        assert!((mean - 0.577_215_66).abs() < 5.0 * 1.2825 / f64::from(tokens).sqrt(), "{mean}");
    }

    #[test]
    fn powers_are_not_below() {
        for step in -130_000..70_000 {
            let x = step as f32 * 0.001;
            let (found, expected) = (f64::from(power_above(x)), f64::from(x.min(64.0)).exp2());
            assert!(found >= expected * (1.0 - 1e-5), "{x}: {found} below {expected}");
            assert!(x < -126.0 || found <= expected * 1.07, "{x}: {found} for {expected}");
        }
        assert!(power_above(f32::NAN) == f32::INFINITY && power_above(f32::NEG_INFINITY) > 0.0);
    }

    #[test]
    fn nothing_finite_is_no_choice() {
        for temperature in [0.0, 1.0] {
            let choice = Choice { temperature, ..Choice::GREATEST };
            assert_eq!(choice.pick(&[]), None);
            assert_eq!(choice.pick(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY]), None);
            assert_eq!(choice.pick(&[f32::NAN, f32::MIN, f32::NAN]), Some(1));
        }
    }
}
