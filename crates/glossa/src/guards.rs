//! Which guards a run has, and what a guard did. It must not know how a generation is watched.

use engine::{GuardKind, GuardReport, Guards};
use harmony::Vocabulary;

use crate::arguments::{Effort, RunArguments};
use crate::error::Error;

/// Guards for answers in harmony: at most so many tokens of reasoning as were asked for, or as the effort is good for.
pub(crate) fn guards(vocabulary: &Vocabulary, arguments: &RunArguments) -> Result<Guards, Error> {
    let &RunArguments { effort, reasoning_budget, no_loop_guard, .. } = arguments;
    let effort = match effort {
        Effort::Low => agent::Effort::Low,
        Effort::Medium => agent::Effort::Medium,
        Effort::High => agent::Effort::High,
    };
    Ok(agent::guards(vocabulary, effort, reasoning_budget, !no_loop_guard)?)
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
