//! Every setting of the sampler, against the distribution that it must leave.

use super::scan::log_sum_exp;
use super::*;

const LOGITS: [f32; 5] = [1.0, 3.0, 2.0, -1.0, 2.5];

/// How often each token is drawn with the given settings, each draw from a fresh sequence with its own seed.
fn frequencies(sampling: &Sampling, draws: u64) -> Vec<f64> {
    let mut counts = vec![0.0; LOGITS.len()];
    for seed in 0..draws {
        let mut sampler = Sampler::new(Sampling { seed, ..sampling.clone() }, &[]);
        counts[sampler.sample(&mut LOGITS.clone(), None).id as usize] += 1.0 / draws as f64;
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
        // Relative to token 1: token 2 has 37 %, token 0 14 %.
        (Sampling { min_p: 0.3, ..default.clone() }, 1.0, vec![1, 2, 4]),
        (Sampling { min_p: 1.0, ..default.clone() }, 1.0, vec![1]),
        (Sampling { top_p: f32::from_bits(1), ..default.clone() }, 1.0, vec![1]),
        (Sampling { top_k: 4, min_p: 0.3, top_p: 0.7, ..default.clone() }, 1.0, vec![1, 4]),
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
    let sampled = sampler.sample(&mut [0.0, 2.0, 2.0, 1.0], None);
    assert_eq!(sampled.id, 1);
    let expected = 2.0 - (1.0 + 2.0 * 2f32.exp() + 1f32.exp()).ln();
    assert!((sampled.logprob - expected).abs() < 1e-6);
}

#[test]
fn penalties_and_bias_move_the_choice_but_not_the_logprob() {
    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    let mut sampler = Sampler::new(Sampling { presence_penalty: 0.6, ..greedy.clone() }, &[1]);
    let choices: Vec<u32> = (0..3).map(|_| sampler.sample(&mut LOGITS.clone(), None).id).collect();
    assert_eq!(choices, [1, 4, 1], "presence counts the output, once");
    let mut sampler = Sampler::new(Sampling { frequency_penalty: 0.3, ..greedy.clone() }, &[]);
    let choices: Vec<u32> = (0..4).map(|_| sampler.sample(&mut LOGITS.clone(), None).id).collect();
    assert_eq!(choices, [1, 1, 4, 1], "frequency counts occurrences");
    let mut sampler = Sampler::new(Sampling { repetition_penalty: 2.0, ..greedy.clone() }, &[1, 3]);
    assert_eq!(sampler.sample(&mut LOGITS.clone(), None).id, 4, "repetition counts the prompt");
    let mut sampler = Sampler::new(Sampling { logit_bias: vec![(3, 10.0), (1, -100.0)], ..greedy }, &[]);
    let sampled = sampler.sample(&mut LOGITS.clone(), None);
    assert_eq!(sampled.id, 3);
    assert!((sampled.logprob - (-1.0 - log_sum_exp(&LOGITS, LOGITS[greatest(&LOGITS) as usize]))).abs() < 1e-6);
}

#[test]
fn a_seed_repeats_and_another_differs() {
    let sequence = |seed| {
        let mut sampler = Sampler::new(Sampling { seed, ..Sampling::default() }, &[]);
        (0..32).map(|_| sampler.sample(&mut LOGITS.clone(), None).id).collect::<Vec<_>>()
    };
    assert_eq!(sequence(7), sequence(7));
    assert_ne!(sequence(7), sequence(8));
}

#[test]
fn the_draws_of_one_seed_follow_the_distribution() {
    let draws = 20_000;
    let mut sampler = Sampler::new(Sampling { seed: 5, ..Sampling::default() }, &[]);
    let ids: Vec<u32> = (0..draws).map(|_| sampler.sample(&mut LOGITS.clone(), None).id).collect();
    let first: std::collections::HashSet<u32> = ids[..32].iter().copied().collect();
    assert!(first.len() >= 3, "32 draws give {first:?}");
    for (id, expected) in (0..).zip(softmax(1.0, &[0, 1, 2, 3, 4])) {
        let found = ids.iter().filter(|&&drawn| drawn == id).count() as f64 / f64::from(draws);
        // Five standard deviations at most.
        assert!((found - expected).abs() < 0.018, "token {id}: {found} instead of {expected}");
    }
}

#[test]
fn repetition_makes_negative_logits_less_likely() {
    let sampling = Sampling { temperature: 0.0, repetition_penalty: 2.0, ..Sampling::default() };
    let mut logits = [-1.0, -1.5, -9.0];
    assert_eq!(Sampler::new(sampling, &[0, 2]).sample(&mut logits, None).id, 1);
    assert_eq!(logits, [-2.0, -1.5, -18.0]);
}

#[test]
fn repetition_counts_generated_tokens_once_each() {
    let sampling = Sampling { temperature: 0.0, repetition_penalty: 2.0, ..Sampling::default() };
    let mut sampler = Sampler::new(sampling, &[]);
    let choices: Vec<u32> = (0..5).map(|_| sampler.sample(&mut LOGITS.clone(), None).id).collect();
    // 3 → 1.5, then 2.5 → 1.25, then 2 → 1; 1.5 stays the greatest.
    assert_eq!(choices, [1, 4, 2, 1, 1]);
}

/// Settings that take every path from logits to a token.
fn paths(base: &Sampling) -> [Sampling; 5] {
    [
        Sampling { temperature: 0.0, ..base.clone() },
        base.clone(),
        Sampling { temperature: f32::from_bits(1), ..base.clone() },
        Sampling { top_k: 3, ..base.clone() },
        Sampling { top_p: 0.99, min_p: 0.01, ..base.clone() },
    ]
}

#[test]
fn no_setting_makes_a_logit_infinite() {
    let base = Sampling { frequency_penalty: 2.0, logit_bias: vec![(1, 100.0)], ..Sampling::default() };
    for repetition_penalty in [0.01, 100.0] {
        for sampling in paths(&Sampling { repetition_penalty, ..base.clone() }) {
            let mut sampler = Sampler::new(sampling.clone(), &[0, 1, 2]);
            for _ in 0..8 {
                let mut logits = [f32::MIN, 1e30, f32::MAX, -1e38];
                let sampled = sampler.sample(&mut logits, None);
                assert!(logits.iter().all(|logit| logit.is_finite()), "{sampling:?}: {logits:?}");
                assert_eq!(sampled.id, 2, "{sampling:?}");
                assert_eq!(sampled.logprob, 0.0);
            }
        }
    }
}

#[test]
fn logits_at_the_bottom_are_still_drawn_from() {
    let mut sampler = Sampler::new(Sampling { repetition_penalty: 100.0, ..Sampling::default() }, &[0, 1, 2]);
    let drawn: std::collections::HashSet<u32> = (0..32).map(|_| sampler.sample(&mut [f32::MIN; 3], None).id).collect();
    assert_eq!(drawn.len(), 3);
}

#[test]
fn what_is_not_finite_is_never_chosen() {
    let mixed = [f32::NAN, f32::INFINITY, 1.0, f32::NEG_INFINITY, 1.5];
    for sampling in paths(&Sampling { repetition_penalty: 1.5, ..Sampling::default() }) {
        let mut sampler = Sampler::new(sampling.clone(), &[0, 1, 2, 3, 4]);
        for _ in 0..100 {
            let sampled = sampler.sample(&mut mixed.clone(), None);
            assert!([2, 4].contains(&sampled.id), "{sampling:?}: {sampled:?}");
            assert!(sampled.logprob.is_finite());
        }
        // Nothing to choose from: any token, but no panic.
        assert!(sampler.sample(&mut [f32::NAN; 5], None).id < 5);
    }
}

#[test]
fn top_p_beyond_the_first_sorted_part() {
    let mut logits = vec![0.0; 5000];
    let mut sampler = Sampler::new(Sampling { top_p: 0.5, seed: 3, ..Sampling::default() }, &[]);
    for _ in 0..200 {
        // Equal weights: the lower half of the ids is kept.
        assert!(sampler.sample(&mut logits, None).id < 2500);
        logits.fill(0.0);
    }
}

#[test]
fn alternatives_are_those_of_a_full_sort() {
    let mut state = 1_u32;
    // Many equal ones, so that ties are common.
    let mut logits: Vec<f32> = (0..1003)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as f32 / 8.0 - 3.0
        })
        .collect();
    for broken in [None, Some(f32::NAN), Some(f32::INFINITY), Some(f32::NEG_INFINITY)] {
        broken.into_iter().for_each(|value| logits[500] = value);
        let mut order: Vec<u32> = (0..1003).filter(|&id| logits[id as usize].is_finite()).collect();
        order.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]).then(a.cmp(&b)));
        let distribution = Distribution::of(&logits);
        for count in [0, 1, 2, 20] {
            let found = distribution.top(&logits, count);
            let expected: Vec<(u32, f32)> =
                order[..count].iter().map(|&id| (id, distribution.logprob(logits[id as usize]))).collect();
            assert_eq!(found, expected);
        }
    }
    let few = Distribution::of(&LOGITS).top(&LOGITS, 20);
    assert_eq!(few.iter().map(|&(id, _)| id).collect::<Vec<_>>(), [1, 4, 2, 0, 3], "no more than there are");
    assert!((few.iter().map(|&(_, logprob)| logprob.exp()).sum::<f32>() - 1.0).abs() < 1e-5);
    let nothing = [f32::NAN; 5];
    assert!(Distribution::of(&nothing).top(&nothing, 3).is_empty());
}

/// Every kind of setting, alone and together.
fn all_settings() -> Vec<Sampling> {
    let default = Sampling::default();
    let mut all = vec![
        default.clone(),
        Sampling { temperature: 0.0, ..default.clone() },
        Sampling { top_k: 1, ..default.clone() },
        Sampling { top_k: 2, ..default.clone() },
        Sampling { top_p: 0.3, ..default.clone() },
        Sampling { min_p: 1.0, ..default.clone() },
    ];
    let logit_bias = vec![(1, 100.0), (4, -100.0), (70, 100.0)];
    let (presence_penalty, frequency_penalty, repetition_penalty) = (-2.0, 2.0, 1.9);
    let penalties = Sampling { presence_penalty, frequency_penalty, repetition_penalty, ..default };
    for index in 0..all.len() {
        all.push(Sampling { logit_bias: logit_bias.clone(), ..all[index].clone() });
        let Sampling { temperature, top_k, top_p, min_p, .. } = all[index];
        all.push(Sampling { temperature, top_k, top_p, min_p, ..penalties.clone() });
    }
    all
}

#[test]
fn what_a_mask_forbids_is_never_chosen() {
    let words = [[1, 0, 0], [1 << 31, 0, 1 << 8], [u32::MAX, 0, 0xf0], [u32::MAX; 3], [0, 2, 0], [0x12, u32::MAX, 0]];
    for (seed, sampling) in (0..).zip(all_settings()) {
        let mut sampler = Sampler::new(Sampling { seed, ..sampling.clone() }, &[1, 70]);
        for (round, words) in (0..40).flat_map(|round| words.iter().map(move |words| (round, words))) {
            let mask = Mask::from_words(75, words);
            let mut logits: Vec<f32> = (0..75).map(|id| ((id * 31 + round * 7) % 41) as f32 * 0.4).collect();
            match round % 4 {
                0 => logits.iter_mut().step_by(2).for_each(|logit| *logit = f32::NAN),
                1 => mask.ids().for_each(|id| logits[id as usize] = f32::INFINITY),
                _ => {}
            }
            let own = logits.clone();
            let sampled = sampler.sample(&mut logits, Some(&mask));
            assert!(mask.allows(sampled.id), "{sampling:?} {words:?}: {sampled:?}");
            let is_finite = |id: u32| own[id as usize].is_finite();
            let some_finite = mask.ids().any(is_finite);
            assert!(is_finite(sampled.id) || !some_finite, "{sampling:?} {words:?}");
            if some_finite {
                let expected = Distribution::of(&own).logprob(own[sampled.id as usize]);
                assert_eq!(sampled.logprob, expected, "the model's own");
            } else {
                assert_eq!(Some(sampled.id), mask.ids().next(), "the first allowed");
            }
        }
    }
}

#[test]
fn draws_under_a_mask_follow_what_it_leaves() {
    let mask = Mask::from_words(LOGITS.len(), &[0b1_0101]);
    let mut counts = [0.0; LOGITS.len()];
    for seed in 0..20_000 {
        let mut sampler = Sampler::new(Sampling { seed, ..Sampling::default() }, &[]);
        counts[sampler.sample(&mut LOGITS.clone(), Some(&mask)).id as usize] += 1.0 / 20_000.0;
    }
    for (found, expected) in counts.iter().zip(softmax(1.0, &[0, 2, 4])) {
        assert!((found - expected).abs() < 0.018, "{found} instead of {expected}");
    }
}

#[test]
fn a_mask_that_leaves_no_choice_takes_no_draw_and_one_that_allows_all_changes_nothing() {
    let sampling = Sampling { seed: 9, frequency_penalty: 0.2, ..Sampling::default() };
    let [mut masked, mut forced, mut plain] = [0; 3].map(|_| Sampler::new(sampling.clone(), &[]));
    let (only, all) = (Mask::from_words(LOGITS.len(), &[8]), Mask::from_words(LOGITS.len(), &[u32::MAX]));
    for _ in 0..30 {
        let sampled = masked.sample(&mut LOGITS.clone(), Some(&only));
        assert_eq!((sampled, plain.force(3, None).id), (forced.force(3, Some(&LOGITS)), 3));
        let sampled = masked.sample(&mut LOGITS.clone(), Some(&all));
        assert_eq!(sampled, forced.sample(&mut LOGITS.clone(), None));
        assert_eq!(sampled, plain.sample(&mut LOGITS.clone(), None));
    }
}
