//! What ends reasoning that leads nowhere, in a vocabulary's own tokens. It must not know how a generation is watched.

use engine::{Guards, LoopLimits, ReasoningShape};
use harmony::Vocabulary;

use crate::envelope::Envelope;
use crate::request::Effort;

/// Guards for answers in harmony: at most so many tokens of reasoning as were asked for, or as the effort is good for, and no
/// loops where those are watched. What is forced is the end of the thought and the header of the answer.
///
/// # Errors
/// If the vocabulary lacks a control token of harmony.
pub fn guards(
    vocabulary: &Vocabulary,
    effort: Effort,
    reasoning_tokens_max: Option<usize>,
    watch_loops: bool,
) -> Result<Guards, harmony::Error> {
    let envelope = Envelope::new(vocabulary)?;
    let close = [vec![envelope.ids.end], envelope.opening.clone(), envelope.answer()].concat();
    let budget_tokens = Some(reasoning_tokens_max.unwrap_or(budget_of(effort)));
    let loops = watch_loops.then(LoopLimits::default);
    Ok(Guards { reasoning: shape(&envelope, close), budget_tokens, loops })
}

/// How reasoning begins and ends, and what is forced to close it.
pub(crate) fn shape(envelope: &Envelope, close: Vec<u32>) -> ReasoningShape {
    let ids = &envelope.ids;
    // From the role on: between it and the channel may stand whom a call is for, and a call is no thought.
    let open = [envelope.opening.clone(), envelope.thought()].concat();
    ReasoningShape { open, ends: vec![ids.end, ids.return_, ids.call, ids.start], close }
}

/// Tokens of reasoning that nobody is served by at an effort: far more than questions need that are answered at all.
pub(crate) const fn budget_of(effort: Effort) -> usize {
    match effort {
        Effort::None => 0,
        Effort::Low => 4096,
        Effort::Medium => 16_384,
        Effort::High => 65_536,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forced_is_the_end_of_a_thought_and_the_beginning_of_an_answer() {
        for vocabulary in [Vocabulary::o200k_harmony(), crate::testing::vocabulary()] {
            let Guards { reasoning, budget_tokens, loops } = guards(&vocabulary, Effort::Low, None, true).unwrap();
            let text = |spelled: &str| vocabulary.encode_with_specials(spelled);
            assert_eq!(reasoning.open, text("<|start|>assistant<|channel|>analysis<|message|>"));
            assert_eq!(reasoning.close, text("<|end|><|start|>assistant<|channel|>final<|message|>"));
            assert!(reasoning.ends.contains(&text("<|return|>")[0]));
            assert_eq!((budget_tokens, loops.is_some()), (Some(4096), true));
            let asked = guards(&vocabulary, Effort::High, Some(7), false).unwrap();
            assert_eq!((asked.budget_tokens, asked.loops), (Some(7), None));
        }
    }
}
