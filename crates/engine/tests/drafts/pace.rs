//! The promises of the pace: never much slower than without drafts, quickly fast where drafts are good.

use engine::{DraftOutcome, DraftPace, DraftSituation, StepCosts};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, proptest};

use crate::simulation::{disturbed_run, measured, run};

/// A number in 0 .. 1.
fn uniform(state: &mut u64) -> f64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 11) as f64 / (1u64 << 53) as f64
}

/// How many of fifteen draft tokens are accepted, each with a probability, up to the first that is not.
fn chance(state: &mut u64, acceptance: f64) -> usize {
    (0..15).take_while(|_| uniform(state) < acceptance).count()
}

/// The best speed that a fixed number of draft tokens could reach.
fn best_fixed(acceptance: f64, truth: impl Fn(usize) -> f64) -> f64 {
    let speed = |k: usize| (0..=k).map(|i| acceptance.powi(i as i32)).sum::<f64>() * truth(1) / truth(1 + k);
    (0..=15).map(speed).fold(0.0, f64::max)
}

#[test]
fn drafts_that_are_always_accepted_soon_have_full_length() {
    for matched in [3, 4, 6, 8] {
        let run = run(2000, measured, |_| (matched, 15, 15));
        let steps = run.tried.iter().position(|&tried| tried == 15).unwrap();

        println!("match of {matched}: full length after {steps} steps, {:.2} times the plain speed", run.speedup());
        assert!(steps <= 6, "match of {matched}: {steps} steps, {:?}", &run.tried[..20]);
    }
}

#[test]
fn no_text_is_slower_than_the_bound() {
    for matched in [0, 3, 5, 7, 8] {
        let run = run(5000, measured, |_| (matched, 15, 0));
        let lost = run.seconds - run.plain_seconds;
        println!("match of {matched}, nothing accepted: {:.4} of the plain speed", run.speedup());
        assert!(lost <= 0.015 * run.tokens as f64 + 1.5);
        assert!(run.speedup() >= 0.97);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever is matched and accepted, in whatever order, and from whatever step on one looks.
    #[test]
    fn losses_are_bounded_by_the_credit(
        steps in vec((0usize..12, 0usize..16, 0usize..16), 1..600),
        others in 0usize..9,
    ) {
        let (costs, mut pace) = (StepCosts::new(), DraftPace::new());
        let plain = costs.seconds(others + 1) / (others + 1) as f64;
        let (mut lost, mut least) = (0.0f64, 0.0f64);
        for (matched_tokens, most, good) in steps {
            let situation = DraftSituation { matched_tokens, most, other_rows: others };
            let proposed = pace.best_draft_tokens(&costs, situation);
            let accepted = good.min(proposed);
            pace.observe_drafts(&costs, DraftOutcome { matched_tokens, other_rows: others, proposed, accepted });
            let extra = (costs.seconds(others + 1 + proposed) - costs.seconds(others + 1)) / plain;
            lost += extra - accepted as f64 - 0.015 * (accepted + 1) as f64;
            assert!(lost <= 1.5 + 1e-9, "{lost} tokens lost since the beginning");
            assert!(lost - least <= 12.0 + 1e-9, "{} tokens lost since the best moment", lost - least);
            least = least.min(lost);
        }
    }
}

#[test]
fn speed_is_near_the_best_for_every_acceptance() {
    for matched in [4, 8] {
        for tenths in 0..=10 {
            let acceptance = f64::from(tenths) / 10.0;
            let mut state = 5;
            let run = run(4000, measured, |_| (matched, 15, chance(&mut state, acceptance)));
            let best = best_fixed(acceptance, measured);
            println!("match of {matched}, acceptance {acceptance}: {:.3}, best fixed {best:.3}", run.speedup());
            assert!(run.speedup() >= 0.97);
            assert!(run.speedup() >= 0.85 * best, "{} of {best}", run.speedup());
        }
    }
}

#[test]
fn a_change_of_fortune_is_noticed() {
    for matched in [4, 6, 8] {
        let run = run(6000, measured, |token| (matched, 15, if token / 500 % 2 == 0 { 0 } else { 15 }));
        // Half of the tokens at full length would give 1 / (0.5 + 0.5 · 4.6 / 16).
        println!("match of {matched}, good and bad in turn: {:.3}", run.speedup());
        assert!(run.speedup() >= 1.3, "{}", run.speedup());
    }
}

#[test]
fn other_machines_are_learned() {
    let dear = run(2000, |rows| 0.3 * rows as f64, |_| (8, 15, 10));
    println!("rows at full price: {:.4}", dear.speedup());
    assert!(dear.speedup() >= 0.97);
    let mut state = 3;
    let dear = run(2000, |rows| 0.3 * rows as f64, |_| (8, 15, chance(&mut state, 0.5)));
    assert!(dear.speedup() >= 0.97, "{}", dear.speedup());
    let free = run(2000, |rows| 0.01 + 0.0001 * rows as f64, |_| (8, 15, 15));
    println!("rows nearly free: {:.2}", free.speedup());
    assert!(free.speedup() >= 10.0);
    let free = run(2000, |rows| 0.01 + 0.0001 * rows as f64, |_| (5, 15, 1));
    assert!(free.speedup() >= 1.5, "{}", free.speedup());
}

#[test]
fn noise_in_the_times_breaks_no_promise() {
    for seed in 0..60 {
        // A third more or less from step to step, and one step in forty is interrupted for up to ten times its length.
        let mut noises = seed;
        let mut noise = || {
            let interrupted = if uniform(&mut noises) < 0.025 { 10.0 * uniform(&mut noises) } else { 0.0 };
            0.67 + 0.66 * uniform(&mut noises) + interrupted
        };
        let mut state = seed + 100;
        for (acceptance, least) in [(0.0, 0.97), (0.3, 0.97), (0.5, 0.97), (0.9, 1.2), (1.0, 2.8)] {
            let run = disturbed_run(3000, measured, &mut noise, |_| (8, 15, chance(&mut state, acceptance)));
            assert!(run.speedup() >= least, "acceptance {acceptance}, seed {seed}: {}", run.speedup());
        }
    }
}

#[test]
fn nothing_is_tried_without_a_draft_or_credit() {
    let (costs, mut pace) = (StepCosts::new(), DraftPace::new());
    let situation = DraftSituation { matched_tokens: 8, most: 0, other_rows: 0 };
    assert_eq!(pace.best_draft_tokens(&costs, situation), 0);
    let proposed = pace.best_draft_tokens(&costs, DraftSituation { most: 15, ..situation });
    assert_eq!(proposed, 4, "what the first credit affords");
    pace.observe_drafts(&costs, DraftOutcome { matched_tokens: 8, other_rows: 0, proposed, accepted: 0 });
    assert_eq!(pace.best_draft_tokens(&costs, DraftSituation { most: 15, ..situation }), 0);
}
