//! What is refused, with the words that a person reads.

use engine::{Guards, LoopLimits, NearLimits};

use crate::guards;

fn refusal(change: impl FnOnce(&mut Guards)) -> String {
    let mut changed = guards(Some(5), Some(LoopLimits::default()));
    changed.check(10).unwrap();
    change(&mut changed);
    changed.check(10).unwrap_err().to_string()
}

fn loops_refusal(limits: LoopLimits) -> String {
    refusal(|guards| guards.loops = Some(limits))
}

#[test]
fn refusals_name_the_setting_and_its_range() {
    let limits = LoopLimits::default();
    let near = NearLimits::default();
    let with_near = |near| loops_refusal(LoopLimits { near: Some(near), ..limits });
    let found = [
        refusal(|guards| guards.reasoning.open.clear()),
        refusal(|guards| guards.reasoning.ends.clear()),
        refusal(|guards| guards.reasoning.close = vec![1; 65]),
        refusal(|guards| guards.reasoning.close.push(10)),
        loops_refusal(LoopLimits { period_tokens_max: 0, ..limits }),
        loops_refusal(LoopLimits { repeats_min: 1, ..limits }),
        loops_refusal(LoopLimits { tokens_min: 0, ..limits }),
        with_near(NearLimits { differing_share_max: 0.6, ..near }),
        with_near(NearLimits { differing_share_max: f32::NAN, ..near }),
        with_near(NearLimits { repeats_min: 65, ..near }),
        with_near(NearLimits { tokens_min: 65_537, ..near }),
    ];
    let expected = [
        "the guards' list open has 0 tokens: expected from 1 to 64",
        "the guards' list ends has 0 tokens: expected from 1 to 64",
        "the guards' list close has 65 tokens: expected from 1 to 64",
        "the guards' list close names token 10: expected an id below 10",
        "period_tokens_max is 0: expected a number from 1 to 4096",
        "repeats_min is 1: expected a number from 2 to 64",
        "tokens_min is 0: expected a number from 1 to 65536",
        "near.differing_share_max is 0.6: expected a number from 0.0001 to 0.5",
        "near.differing_share_max is NaN: expected a number from 0.0001 to 0.5",
        "near.repeats_min is 65: expected a number from 2 to 64",
        "near.tokens_min is 65537: expected a number from 1 to 65536",
    ];
    assert_eq!(found, expected);
}
