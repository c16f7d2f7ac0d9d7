//! What a turn is asked for: trusted data, checked by whoever read it from outside. It must not know wire formats.

use std::sync::Arc;
use std::time::Instant;

use engine::{Drafts, Priority, Sampling};
use serde_json::Value;

use crate::builtin::BuiltIn;
use crate::item::{Item, ToolName};

/// Everything that decides a turn.
#[derive(Clone, Debug)]
pub struct TurnRequest {
    /// What other systems call the system prompt.
    pub instructions: Option<String>,
    /// The conversation so far, oldest first.
    pub history: Vec<Item>,
    /// Tools of the caller; a call of one ends the turn.
    pub tools: Vec<Tool>,
    /// Tools that are run here, inside the turn.
    pub built_in: Vec<Arc<dyn BuiltIn>>,
    /// Which tools may or must be called.
    pub tool_choice: ToolChoice,
    /// Whether the model may call again before the caller has answered. The model was trained for one call at a time.
    pub parallel_tool_calls: bool,
    /// The form of the answer.
    pub format: Format,
    /// How long to think.
    pub effort: Effort,
    /// Which earlier thoughts the model sees.
    pub reasoning_context: ReasoningContext,
    /// Most tokens of reasoning; `None` takes what the effort is good for.
    pub reasoning_tokens_max: Option<usize>,
    /// The date that the model is told, as `2025-06-28`.
    pub date: Option<String>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Most tokens to generate, reasoning included.
    pub output_tokens_max: Option<usize>,
    /// Of those, how many are kept for the answer: reasoning is closed when no more are left.
    pub answer_tokens_kept: usize,
    /// Most calls of built-in tools.
    pub tool_calls_max: Option<usize>,
    /// Texts that end the answer where they come in a final message; they are not part of it.
    pub stop: Vec<String>,
    /// Log probabilities of each token of messages, with so many alternatives.
    pub top_logprobs: Option<usize>,
    /// What happens when the conversation is longer than the context.
    pub truncation: Truncation,
    /// Who goes first.
    pub priority: Priority,
    /// When the turn ends, finished or not.
    pub deadline: Option<Instant>,
    /// Whose prefixes these are; see [`engine::Job::tenant`].
    pub tenant: Vec<u8>,
    /// Whether the prefix cache may be read and written.
    pub cached: bool,
    /// Whether tokens are guessed.
    pub drafts: Drafts,
}

/// A tool of the caller.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// How it is called.
    pub name: ToolName,
    /// What it does.
    pub description: String,
    /// What it takes.
    pub kind: ToolKind,
}

/// What a tool takes.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolKind {
    /// A JSON object.
    Function {
        /// Its JSON Schema; without one it takes nothing.
        parameters: Option<Value>,
        /// Whether a schema that cannot be enforced in full is refused; otherwise arguments hold to what of it can be.
        strict: bool,
    },
    /// A text.
    Custom(CustomFormat),
}

/// The form of a custom tool's input.
#[derive(Clone, Debug, PartialEq)]
pub enum CustomFormat {
    /// Any text.
    Text,
    /// A grammar, which the model is told.
    Grammar(TextGrammar),
}

/// Which tools may or must be called.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ToolChoice {
    /// As the model likes.
    #[default]
    Auto,
    /// No call, only an answer.
    None,
    /// A call of any tool.
    Required,
    /// A call of this one.
    Named(ToolName),
    /// Only these, as the model likes or one of them at least.
    Allowed {
        /// The tools.
        tools: Vec<ToolName>,
        /// Whether one must be called.
        required: bool,
    },
}

/// The form of the answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Format {
    /// Any text.
    #[default]
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// Its name, the heading in the prompt.
        name: String,
        /// What it is for.
        description: Option<String>,
        /// The JSON Schema.
        schema: Value,
        /// Whether the caller counts on it. Either way the answer fits, or the request is refused.
        strict: bool,
    },
    /// Text that a grammar allows.
    Grammar(TextGrammar),
    /// One of these texts.
    Choice(Vec<String>),
}

/// A grammar of text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TextGrammar {
    /// A context-free grammar in the Lark format, as `llguidance` reads it; it begins at `start`.
    Lark(String),
    /// A regular expression that the whole text fits.
    Regex(String),
}

/// How long to think.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// Not at all: the model is told `low`, and its thought is closed before it begins.
    None,
    /// Shortly.
    Low,
    /// As trained by default.
    #[default]
    Medium,
    /// Long.
    High,
}

/// Which earlier thoughts the model sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReasoningContext {
    /// As trained: those since the last answer.
    #[default]
    CurrentTurn,
    /// All.
    AllTurns,
}

/// What happens when the conversation is longer than the context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Truncation {
    /// The request is refused.
    #[default]
    Disabled,
    /// The oldest items are left out, calls and their outputs together.
    Auto,
}

impl TurnRequest {
    /// A request with recommended sampling and no limits, to be changed where wanted.
    #[must_use]
    pub fn new(history: Vec<Item>) -> Self {
        Self {
            instructions: None,
            history,
            tools: Vec::new(),
            built_in: Vec::new(),
            tool_choice: ToolChoice::default(),
            parallel_tool_calls: false,
            format: Format::default(),
            effort: Effort::default(),
            reasoning_context: ReasoningContext::default(),
            reasoning_tokens_max: None,
            date: None,
            sampling: Sampling::default(),
            output_tokens_max: None,
            answer_tokens_kept: 0,
            tool_calls_max: None,
            stop: Vec::new(),
            top_logprobs: None,
            truncation: Truncation::default(),
            priority: Priority::default(),
            deadline: None,
            tenant: Vec::new(),
            cached: true,
            drafts: Drafts::default(),
        }
    }
}
