//! Loops against a slow twin that is the definition, over sequences that are nearly loops, and what loops of models look like.

use engine::{LoopLimits, NearLimits};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};

use crate::{TEXT, first_loop};

/// The definition, period after period and start after start.
fn twin(limits: LoopLimits, thought: &[u32]) -> Option<(usize, usize)> {
    let loops = |count: usize, period: usize| {
        let ids = &thought[..count];
        let equal = limits.tokens_min.max(limits.repeats_min * period);
        let is_equal = count >= equal && (count - equal + period..count).all(|at| ids[at] == ids[at - period]);
        is_equal || limits.near.is_some_and(|near| is_near(near, ids, period))
    };
    let ends = (1..=thought.len()).flat_map(|count| (1..=limits.period_tokens_max).map(move |period| (count, period)));
    ends.into_iter().find(|&(count, period)| loops(count, period))
}

/// Whether some stretch at the end is long enough and, read from its start, never has too large a share of differing tokens.
fn is_near(limits: NearLimits, ids: &[u32], period: usize) -> bool {
    let needed = limits.tokens_min.max(limits.repeats_min * period) - period;
    let share = (limits.differing_share_max * 10_000.0).round() as usize;
    let is_stretch = |start: usize| {
        let mut differing = 0;
        (start..ids.len()).all(|at| {
            differing += usize::from(ids[at] != ids[at - period]);
            differing * 10_000 <= share * (at + 1 - start)
        })
    };
    ids.len() >= needed + period && (period..=ids.len() - needed).any(is_stretch)
}

fn fibonacci(most: usize) -> Vec<u32> {
    let (mut older, mut word) = (vec![TEXT + 1], vec![TEXT]);
    while word.len() < most {
        (older, word) = (word.clone(), [word, older].concat());
    }
    word.truncate(most);
    word
}

/// Tokens of few kinds, so that everything nearly repeats.
fn tokens(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u32>> {
    vec(TEXT..TEXT + 3, count)
}

fn piece() -> impl Strategy<Value = Vec<u32>> {
    let repeated = (tokens(1..12), 1usize..12).prop_map(|(period, copies)| period.repeat(copies));
    let nested = (tokens(1..4), 1usize..5, tokens(0..4), 1usize..6)
        .prop_map(|(inner, copies, rest, outer)| [inner.repeat(copies), rest].concat().repeat(outer));
    let noisy = (tokens(1..12), 1usize..12, vec((any::<proptest::sample::Index>(), TEXT..TEXT + 3), 0..4)).prop_map(
        |(period, copies, changes)| {
            let mut ids = period.repeat(copies);
            for (place, id) in changes {
                let at = place.index(ids.len());
                ids[at] = id;
            }
            ids
        },
    );
    prop_oneof![tokens(0..20), repeated, nested, noisy, Just(fibonacci(34)), (1usize..40).prop_map(|n| vec![TEXT; n])]
}

fn limits() -> impl Strategy<Value = LoopLimits> {
    let near = (prop_oneof![Just(0.1f32), Just(0.25), Just(0.5), 0.01f32..0.5], 2usize..7, 1usize..30).prop_map(
        |(differing_share_max, repeats_min, tokens_min)| NearLimits { differing_share_max, repeats_min, tokens_min },
    );
    (1usize..14, 2usize..6, 1usize..30, proptest::option::of(near)).prop_map(
        |(period_tokens_max, repeats_min, tokens_min, near)| LoopLimits {
            period_tokens_max,
            repeats_min,
            tokens_min,
            near,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn loops_are_found_where_the_definition_finds_them(limits in limits(), pieces in vec(piece(), 1..5)) {
        let mut thought = pieces.concat();
        thought.truncate(160);
        assert_eq!(first_loop(limits, &thought), twin(limits, &thought), "{thought:?}");
    }
}

#[test]
fn every_period_is_found_as_soon_as_it_is_a_loop() {
    let limits = LoopLimits::default();
    let before: Vec<u32> = (5000..5700).collect();
    for period in (1..=70).chain([95, 96, 97, 128, 255, 256, 257, 511, 512]) {
        let copy: Vec<u32> = (TEXT..).take(period).collect();
        let thought = [before.clone(), copy.repeat(260_usize.div_ceil(period).max(5))].concat();
        assert_eq!(first_loop(limits, &thought), Some((700 + 256.max(4 * period), period)));
    }
    let copy: Vec<u32> = (TEXT..).take(513).collect();
    assert_eq!(first_loop(limits, &copy.repeat(12)), None, "a period beyond the limit");
}

#[test]
fn three_copies_are_no_loop() {
    for period in 32..=512 {
        let copy: Vec<u32> = (TEXT..).take(period).collect();
        assert_eq!(first_loop(LoopLimits::default(), &copy.repeat(3)), None);
    }
}

#[test]
fn fibonacci_words_hold_no_fourth_power() {
    // Their highest power is 2 + the golden ratio, so there are cubes everywhere and no loop.
    let limits = LoopLimits { tokens_min: 1, near: None, ..LoopLimits::default() };
    assert_eq!(first_loop(limits, &fibonacci(30_000)), None);
    let cubes = LoopLimits { repeats_min: 3, ..limits };
    assert!(first_loop(cubes, &fibonacci(30_000)).is_some());
}

#[test]
fn counters_that_change_are_found_after_sixteen_copies() {
    // "1. Wait, let me check this again. 2. Wait, …": one or two tokens of each copy differ.
    for (period, counters) in [(12, 1), (20, 1), (20, 2), (48, 2), (60, 4), (200, 12), (512, 40)] {
        let copy = |number: u32| {
            let mut copy: Vec<u32> = (TEXT..).take(period).collect();
            for counter in 0..counters {
                copy[counter * (period / counters)] = 10_000 + number;
            }
            copy
        };
        let thought: Vec<u32> = (0..60).flat_map(copy).collect();
        let (at, found) = first_loop(LoopLimits::default(), &thought).unwrap();
        assert_eq!(found, period);
        let soonest = 384.max(16 * period);
        assert!((soonest..=soonest + period).contains(&at), "period {period}: found after {at}");
        let equal_only = LoopLimits { near: None, ..LoopLimits::default() };
        assert_eq!(first_loop(equal_only, &thought), None);
    }
}
