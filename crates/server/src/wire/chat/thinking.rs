//! How long to think and whether it is shown, in every spelling that clients and routers use. It must not know the rest of a request.

use agent::Effort;

use crate::error::ApiError;
use crate::wire::fields::{At, Fields};
use crate::wire::responses::EFFORTS;

/// What a request says of the model's thoughts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Thinking {
    /// How long to think; `None` takes the server's default.
    pub(crate) effort: Option<Effort>,
    /// Most tokens of it.
    pub(crate) tokens_max: Option<usize>,
    /// Whether the answer shows it.
    pub(crate) shown: bool,
}

impl Thinking {
    /// `reasoning_effort`; `reasoning` as OpenRouter has it; `thinking` as DeepSeek has it; `chat_template_kwargs` as vLLM and SGLang
    /// have it; `include_reasoning`. The first that names an effort counts.
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, ApiError> {
        let named = fields.optional("reasoning_effort", |at| at.word(&EFFORTS))?;
        let reasoning = fields.optional("reasoning", reasoning)?.unwrap_or_default();
        let thinking = fields.optional("thinking", thinking)?.unwrap_or_default();
        let template = fields.optional("chat_template_kwargs", template)?.unwrap_or_default();
        let included = fields.optional("include_reasoning", At::bool)?;
        Ok(Self {
            effort: named.or(reasoning.effort).or(template.effort).or(thinking.effort),
            tokens_max: reasoning.tokens_max.or(thinking.tokens_max),
            shown: included.unwrap_or(!reasoning.hidden),
        })
    }
}

#[derive(Default)]
struct Said {
    effort: Option<Effort>,
    tokens_max: Option<usize>,
    hidden: bool,
}

fn reasoning(at: At<'_>) -> Result<Said, ApiError> {
    let fields = at.object()?;
    let enabled = fields.optional("enabled", At::bool)?;
    let said = Said {
        effort: fields.optional("effort", |at| at.word(&EFFORTS))?.or(switched(enabled)),
        tokens_max: fields.optional("max_tokens", tokens_max)?,
        hidden: fields.optional("exclude", At::bool)?.unwrap_or(false),
    };
    fields.finish()?;
    Ok(said)
}

fn thinking(at: At<'_>) -> Result<Said, ApiError> {
    let fields = at.object()?;
    let switches = [("enabled", None), ("disabled", Some(Effort::None)), ("adaptive", None), ("auto", None)];
    let said = Said {
        effort: fields.need("type")?.word(&switches)?,
        tokens_max: fields.optional("budget_tokens", tokens_max)?,
        hidden: false,
    };
    fields.finish()?;
    Ok(said)
}

fn template(at: At<'_>) -> Result<Said, ApiError> {
    let fields = at.object()?;
    let enabled = fields.optional("enable_thinking", At::bool)?;
    let enabled = fields.optional("thinking", At::bool)?.or(enabled);
    let effort = fields.optional("reasoning_effort", |at| at.word(&EFFORTS))?;
    fields.finish()?;
    Ok(Said { effort: effort.or(switched(enabled)), ..Said::default() })
}

/// Switched on, it thinks as it does by default.
fn switched(enabled: Option<bool>) -> Option<Effort> {
    (enabled == Some(false)).then_some(Effort::None)
}

fn tokens_max(at: At<'_>) -> Result<usize, ApiError> {
    at.integer(1, i64::from(u32::MAX)).map(|tokens| tokens as usize)
}
