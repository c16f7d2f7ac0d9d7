//! Logits to a token: bias → penalties → temperature → top-k → min-p → top-p → choice. It must not know text or requests.

use std::collections::HashMap;

use crate::sampling::Sampling;

/// Candidates that are sorted before the whole vocabulary is: top-p nearly always ends among them.
const SORTED_FIRST: usize = 1024;

/// Chooses the tokens of one sequence.
pub struct Sampler {
    sampling: Sampling,
    /// Tokens of prompt and output, for the repetition penalty.
    seen: HashMap<u32, u32>,
    /// Tokens generated so far, with their number.
    generated: HashMap<u32, u32>,
    drawn: u64,
    candidates: Vec<(f32, u32)>,
}

/// A chosen token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampled {
    /// The token.
    pub id: u32,
    /// Its natural log probability under the model's own logits, before any setting.
    pub logprob: f32,
}

impl Sampler {
    /// A sampler for a sequence that begins with `prompt`; the settings were checked.
    #[must_use]
    pub fn new(sampling: Sampling, prompt: &[u32]) -> Self {
        let mut seen = HashMap::new();
        if sampling.repetition_penalty != 1.0 {
            for &id in prompt {
                *seen.entry(id).or_default() += 1;
            }
        }
        Self { sampling, seen, generated: HashMap::new(), drawn: 0, candidates: Vec::new() }
    }

    /// Chooses the next token; `logits` `[vocabulary]` are changed.
    ///
    /// # Panics
    /// When `logits` is empty.
    pub fn sample(&mut self, logits: &mut [f32]) -> Sampled {
        let normalizer = log_sum_exp(logits);
        // Settings change logits in place, so the model's own value of each token they touch is kept aside.
        let own: HashMap<u32, f32> = self.touched().map(|id| (id, logits[id as usize])).collect();
        self.bias_and_penalize(logits);
        let id = if self.sampling.temperature == 0.0 || self.sampling.top_k == 1 {
            greatest(logits)
        } else {
            self.draw(logits)
        };
        let raw = own.get(&id).copied().unwrap_or(logits[id as usize]);
        *self.generated.entry(id).or_default() += 1;
        if self.sampling.repetition_penalty != 1.0 {
            *self.seen.entry(id).or_default() += 1;
        }
        Sampled { id, logprob: raw - normalizer }
    }

    fn touched(&self) -> impl Iterator<Item = u32> {
        let biased = self.sampling.logit_bias.iter().map(|&(id, _)| id);
        biased.chain(self.seen.keys().copied()).chain(self.generated.keys().copied())
    }

    fn bias_and_penalize(&self, logits: &mut [f32]) {
        let settings = &self.sampling;
        for &(id, bias) in &settings.logit_bias {
            logits[id as usize] += bias;
        }
        for &id in self.seen.keys() {
            let logit = &mut logits[id as usize];
            *logit =
                if *logit > 0.0 { *logit / settings.repetition_penalty } else { *logit * settings.repetition_penalty };
        }
        for (&id, &count) in &self.generated {
            logits[id as usize] -= settings.presence_penalty + settings.frequency_penalty * count as f32;
        }
    }

    fn draw(&mut self, logits: &[f32]) -> u32 {
        let temperature = self.sampling.temperature;
        let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weight = |logit: f32| ((logit - top) / temperature).exp();
        let draw = uniform(self.sampling.seed, self.drawn);
        self.drawn += 1;
        let (top_k, min_p, top_p) = (self.sampling.top_k, self.sampling.min_p, self.sampling.top_p);
        if (top_k == 0 || top_k >= logits.len()) && top_p >= 1.0 && min_p <= 0.0 {
            return choose(logits.iter().zip(0..).map(|(&logit, id)| (weight(logit), id)), draw);
        }
        let candidates = &mut self.candidates;
        candidates.clear();
        candidates.extend(logits.iter().zip(0..).map(|(&logit, id)| (weight(logit), id)));
        if top_k > 0 {
            sort_first(candidates, top_k);
            candidates.truncate(top_k);
        }
        // The most likely token weighs 1.
        candidates.retain(|&(weight, _)| weight >= min_p);
        if top_p < 1.0 {
            let kept = nucleus(candidates, top_p);
            candidates.truncate(kept);
        }
        choose(candidates.iter().copied(), draw)
    }
}

/// The first greatest logit.
fn greatest(logits: &[f32]) -> u32 {
    let best = logits.iter().zip(0u32..).fold(
        (f32::NEG_INFINITY, 0),
        |best, (&logit, id)| {
            if logit > best.0 { (logit, id) } else { best }
        },
    );
    best.1
}

fn log_sum_exp(logits: &[f32]) -> f32 {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&logit| f64::from((logit - top).exp())).sum();
    top + sum.ln() as f32
}

/// Heavier first; the lower id wins a tie.
fn order(a: &(f32, u32), b: &(f32, u32)) -> std::cmp::Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}

/// Sorts the `count` heaviest candidates to the front.
fn sort_first(candidates: &mut [(f32, u32)], count: usize) {
    if count < candidates.len() {
        candidates.select_nth_unstable_by(count, order);
    }
    let count = count.min(candidates.len());
    candidates[..count].sort_unstable_by(order);
}

/// Sorts as far as needed and returns how many of the heaviest candidates reach the share `top_p` of the whole weight.
fn nucleus(candidates: &mut [(f32, u32)], top_p: f32) -> usize {
    let total: f64 = candidates.iter().map(|&(weight, _)| f64::from(weight)).sum();
    for sorted in [SORTED_FIRST.min(candidates.len()), candidates.len()] {
        sort_first(candidates, sorted);
        let mut reached = 0.0;
        for (index, &(weight, _)) in candidates[..sorted].iter().enumerate() {
            reached += f64::from(weight);
            if reached >= f64::from(top_p) * total {
                return index + 1;
            }
        }
    }
    candidates.len()
}

/// The candidate at the share `draw` (0 ≤ draw < 1) of the whole weight.
fn choose(candidates: impl Iterator<Item = (f32, u32)> + Clone, draw: f64) -> u32 {
    let total: f64 = candidates.clone().map(|(weight, _)| f64::from(weight)).sum();
    let mut rest = draw * total;
    let mut chosen = 0;
    for (weight, id) in candidates {
        if weight > 0.0 {
            chosen = id;
            rest -= f64::from(weight);
            if rest < 0.0 {
                break;
            }
        }
    }
    chosen
}

/// A number in 0 .. 1 that depends on seed and counter only (splitmix64's finaliser, 53 bits).
fn uniform(seed: u64, counter: u64) -> f64 {
    let mut z =
        seed.wrapping_mul(0xD134_2543_DE82_EF95).wrapping_add((counter + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 5] = [1.0, 3.0, 2.0, -1.0, 2.5];

    /// How often each token is drawn with the given settings, each draw from a fresh sequence with its own seed.
    fn frequencies(sampling: &Sampling, draws: u64) -> Vec<f64> {
        let mut counts = vec![0.0; LOGITS.len()];
        for seed in 0..draws {
            let mut sampler = Sampler::new(Sampling { seed, ..sampling.clone() }, &[]);
            counts[sampler.sample(&mut LOGITS.clone()).id as usize] += 1.0 / draws as f64;
        }
        counts
    }

    fn softmax(temperature: f32, kept: &[usize]) -> Vec<f64> {
        let weight = |i: usize| if kept.contains(&i) { f64::from(LOGITS[i] / temperature).exp() } else { 0.0 };
        let total: f64 = (0..LOGITS.len()).map(weight).sum();
        (0..LOGITS.len()).map(|i| weight(i) / total).collect()
    }

    #[test]
    fn draws_follow_the_distribution_that_the_settings_leave() {
        let default = Sampling::default();
        let cases = [
            (default.clone(), 1.0, vec![0, 1, 2, 3, 4]),
            (Sampling { temperature: 0.5, ..default.clone() }, 0.5, vec![0, 1, 2, 3, 4]),
            (Sampling { top_k: 2, ..default.clone() }, 1.0, vec![1, 4]),
            // Shares: token 1 48 %, token 4 29 %, token 2 18 %.
            (Sampling { top_p: 0.7, ..default.clone() }, 1.0, vec![1, 4]),
            (Sampling { top_p: 0.8, ..default.clone() }, 1.0, vec![1, 2, 4]),
            (Sampling { min_p: 0.5, ..default.clone() }, 1.0, vec![1, 4]),
            (Sampling { top_k: 3, top_p: 0.3, ..default }, 1.0, vec![1]),
        ];
        for (sampling, temperature, kept) in cases {
            let expected = softmax(temperature, &kept);
            for (found, expected) in frequencies(&sampling, 20_000).iter().zip(&expected) {
                // Five standard deviations of 20,000 draws at most.
                assert!((found - expected).abs() < 0.018, "{sampling:?}: {found} instead of {expected}");
                assert_eq!(*found == 0.0, *expected == 0.0, "{sampling:?}");
            }
        }
    }

    #[test]
    fn greedy_takes_the_first_greatest_and_reports_its_logprob() {
        let mut sampler = Sampler::new(Sampling { temperature: 0.0, ..Sampling::default() }, &[]);
        let sampled = sampler.sample(&mut [0.0, 2.0, 2.0, 1.0]);
        assert_eq!(sampled.id, 1);
        let expected = 2.0 - (1.0 + 2.0 * 2f32.exp() + 1f32.exp()).ln();
        assert!((sampled.logprob - expected).abs() < 1e-6);
    }

    #[test]
    fn penalties_and_bias_move_the_choice_but_not_the_logprob() {
        let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
        let mut sampler = Sampler::new(Sampling { presence_penalty: 0.6, ..greedy.clone() }, &[1]);
        let choices: Vec<u32> = (0..3).map(|_| sampler.sample(&mut LOGITS.clone()).id).collect();
        assert_eq!(choices, [1, 4, 1], "presence counts the output, once");
        let mut sampler = Sampler::new(Sampling { frequency_penalty: 0.3, ..greedy.clone() }, &[]);
        let choices: Vec<u32> = (0..4).map(|_| sampler.sample(&mut LOGITS.clone()).id).collect();
        assert_eq!(choices, [1, 1, 4, 1], "frequency counts occurrences");
        let mut sampler = Sampler::new(Sampling { repetition_penalty: 2.0, ..greedy.clone() }, &[1, 3]);
        assert_eq!(sampler.sample(&mut LOGITS.clone()).id, 4, "repetition counts the prompt");
        let mut sampler = Sampler::new(Sampling { logit_bias: vec![(3, 10.0), (1, -100.0)], ..greedy }, &[]);
        let sampled = sampler.sample(&mut LOGITS.clone());
        assert_eq!(sampled.id, 3);
        assert!((sampled.logprob - (-1.0 - log_sum_exp(&LOGITS))).abs() < 1e-6);
    }

    #[test]
    fn a_seed_repeats_and_another_differs() {
        let sequence = |seed| {
            let mut sampler = Sampler::new(Sampling { seed, ..Sampling::default() }, &[]);
            (0..32).map(|_| sampler.sample(&mut LOGITS.clone()).id).collect::<Vec<_>>()
        };
        assert_eq!(sequence(7), sequence(7));
        assert_ne!(sequence(7), sequence(8));
    }

    #[test]
    fn top_p_beyond_the_first_sorted_part() {
        let mut logits = vec![0.0; 5000];
        let mut sampler = Sampler::new(Sampling { top_p: 0.5, seed: 3, ..Sampling::default() }, &[]);
        for _ in 0..200 {
            // Equal weights: the lower half of the ids is kept.
            assert!(sampler.sample(&mut logits).id < 2500);
            logits.fill(0.0);
        }
    }
}
