//! What ends reasoning that leads nowhere, in a vocabulary's own tokens. It must not know how a generation is watched.

use engine::{GuardKind, GuardReport, Guards, LoopLimits, ReasoningShape};
use harmony::Vocabulary;

use crate::arguments::{Effort, RunArguments};
use crate::error::Error;

/// Guards for answers in harmony: at most so many tokens of reasoning as were asked for, or as the effort is good for.
pub(crate) fn guards(vocabulary: &Vocabulary, arguments: &RunArguments) -> Result<Guards, Error> {
    let &RunArguments { effort, reasoning_budget, no_loop_guard, .. } = arguments;
    guards_of(vocabulary, effort, reasoning_budget, !no_loop_guard)
}

fn guards_of(
    vocabulary: &Vocabulary,
    effort: Effort,
    budget: Option<usize>,
    watch_loops: bool,
) -> Result<Guards, Error> {
    let ids = vocabulary.harmony_ids()?;
    let named = |before: u32, name: &str, after: u32| {
        let name = vocabulary.encode(name);
        std::iter::once(before).chain(name).chain([after]).collect::<Vec<u32>>()
    };
    let close =
        [vec![ids.end], named(ids.start, "assistant", ids.channel), named_end(vocabulary, ids.message)].concat();
    let reasoning = ReasoningShape {
        open: named(ids.channel, "analysis", ids.message),
        ends: vec![ids.end, ids.return_, ids.call, ids.start],
        close,
    };
    let budget_tokens = Some(budget.unwrap_or(budget_of(effort)));
    Ok(Guards { reasoning, budget_tokens, loops: watch_loops.then(LoopLimits::default) })
}

/// What a guard did, in words.
pub(crate) fn words(report: &GuardReport) -> String {
    let why = match report.kind {
        GuardKind::Loop => "it repeated itself",
        GuardKind::Budget => "its budget was used up",
    };
    format!("reasoning ended after {} tokens: {why}", report.reasoning_tokens)
}

/// For programs.
pub(crate) fn code(kind: GuardKind) -> &'static str {
    match kind {
        GuardKind::Loop => "loop",
        GuardKind::Budget => "budget",
    }
}

fn named_end(vocabulary: &Vocabulary, message: u32) -> Vec<u32> {
    vocabulary.encode("final").into_iter().chain([message]).collect()
}

/// Tokens of reasoning that nobody is served by at an effort: far more than questions need that are answered at all.
const fn budget_of(effort: Effort) -> usize {
    match effort {
        Effort::Low => 4096,
        Effort::Medium => 16_384,
        Effort::High => 65_536,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shipped::Named;

    #[test]
    fn what_is_forced_is_the_end_of_a_thought_and_the_beginning_of_an_answer() {
        for vocabulary in [Vocabulary::o200k_harmony(), Named::Shipped.open().unwrap().1] {
            let Guards { reasoning, budget_tokens, loops } = guards_of(&vocabulary, Effort::Low, None, true).unwrap();
            let text = |spelled: &str| vocabulary.encode_with_specials(spelled);
            assert_eq!(reasoning.open, text("<|channel|>analysis<|message|>"));
            assert_eq!(reasoning.close, text("<|end|><|start|>assistant<|channel|>final<|message|>"));
            assert!(reasoning.ends.contains(&text("<|return|>")[0]));
            assert_eq!((budget_tokens, loops.is_some()), (Some(4096), true));
            let asked = guards_of(&vocabulary, Effort::High, Some(7), false).unwrap();
            assert_eq!((asked.budget_tokens, asked.loops), (Some(7), None));
        }
    }
}
