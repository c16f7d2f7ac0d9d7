//! How to think. It must not know how the model is told.

use agent::{Effort, ReasoningContext};

use crate::error::ApiError;
use crate::wire::fields::At;

/// How to think.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reasoning {
    /// How long; `None` takes the server's default. Names that the model was not trained for are the nearest that it was.
    pub(crate) effort: Option<Effort>,
    /// Whether thoughts are also told shortly.
    pub(crate) summary: Option<Summary>,
    /// Which earlier thoughts the model sees.
    pub(crate) context: ReasoningContext,
}

/// How much of a thought its extract tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Summary {
    /// As the server likes.
    Auto,
    /// Little.
    Concise,
    /// More.
    Detailed,
}

/// Every spelling of an effort.
pub(crate) const EFFORTS: [(&str, Effort); 7] = [
    ("none", Effort::None),
    ("minimal", Effort::Low),
    ("low", Effort::Low),
    ("medium", Effort::Medium),
    ("high", Effort::High),
    ("xhigh", Effort::High),
    ("max", Effort::High),
];

impl Reasoning {
    pub(super) fn read(at: At<'_>) -> Result<Self, ApiError> {
        let fields = at.object()?;
        let summaries = [("auto", Summary::Auto), ("concise", Summary::Concise), ("detailed", Summary::Detailed)];
        let contexts = [
            ("auto", ReasoningContext::CurrentTurn),
            ("current_turn", ReasoningContext::CurrentTurn),
            ("all_turns", ReasoningContext::AllTurns),
        ];
        let effort = fields.optional("effort", |at| at.word(&EFFORTS))?;
        // Codex and others spell "no summary" like this.
        let wanted = |at: At<'_>| if at.value == "none" { Ok(None) } else { at.word(&summaries).map(Some) };
        let summary = fields.optional("summary", wanted)?.flatten();
        let deprecated = fields.optional("generate_summary", wanted)?.flatten();
        let context = fields.optional("context", |at| at.word(&contexts))?.unwrap_or_default();
        if let Some(pro) = fields.optional("mode", |at| at.word(&[("standard", false), ("pro", true)]))?
            && pro
        {
            let path = fields.path_of("mode");
            let message = format!("{path} is \"pro\": this model has only \"standard\"");
            return Err(ApiError::unsupported(path, message));
        }
        fields.finish()?;
        Ok(Self { effort, summary: summary.or(deprecated), context })
    }
}

impl Summary {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Concise => "concise",
            Self::Detailed => "detailed",
        }
    }
}
