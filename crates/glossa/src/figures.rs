//! The figures at the end of a run, for people and for programs.

use std::time::Duration;

use engine::{Finish, FinishReason};

use crate::guards;

/// One line of figures.
pub(crate) fn figures(finish: &Finish, loading: Duration) -> String {
    let mut line = format!("loaded in {:.2} s · prompt {} tokens", loading.as_secs_f64(), finish.prompt_tokens);
    if let Some(first_token) = finish.first_token {
        let seconds = first_token.as_secs_f64();
        line.push_str(&format!(
            ", {:.1} tokens/s · first token after {seconds:.2} s",
            rate(finish.prompt_tokens, first_token)
        ));
    }
    line.push_str(&format!(" · {} tokens", finish.generated_tokens));
    // The first token comes out of reading the prompt; the others each took a step.
    if let (Some(decode), Some(steps @ 1..)) = (finish.decode, finish.generated_tokens.checked_sub(1)) {
        line.push_str(&format!(", {:.2} tokens/s", rate(steps, decode)));
    }
    if let Some(report) = &finish.guard {
        line.push_str(&format!(" · {}", guards::words(report)));
    }
    line + " · " + reason(finish.reason)
}

fn rate(tokens: usize, time: Duration) -> f64 {
    tokens as f64 / time.as_secs_f64().max(f64::EPSILON)
}

/// Why it ended, for programs.
pub(crate) fn reason_code(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop(_) => "stop",
        FinishReason::Length => "length",
        FinishReason::Context => "context",
        FinishReason::Memory => "memory",
        FinishReason::Deadline => "deadline",
        FinishReason::Cancelled => "cancelled",
    }
}

/// Why it ended, in words.
fn reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop(_) => "stop",
        FinishReason::Length => "length: --max-tokens reached",
        FinishReason::Context => "context full",
        FinishReason::Memory => "memory for keys and values full",
        FinishReason::Deadline => "deadline passed",
        FinishReason::Cancelled => "interrupted",
    }
}
