//! What a turn is refused for, before anything is generated. It must not know how an error is shown.

use crate::item::ToolName;

/// Whose form an answer or an input is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormPlace {
    /// [`crate::TurnRequest::format`].
    Answer,
    /// The tool at this place of [`crate::TurnRequest::tools`].
    Tool(usize),
}

/// Everything that this crate refuses.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] engine::Error),

    /// The conversation cannot be rendered.
    #[error(transparent)]
    Harmony(#[from] harmony::Error),

    /// An output that answers no call.
    #[error("no call {call_id:?} comes before its output; send the call, or leave the output out")]
    UnknownCall {
        /// The call.
        call_id: String,
    },

    /// A choice of a tool that was not given.
    #[error("tool {name} was chosen but not given; add it to the tools")]
    UnknownTool {
        /// The tool.
        name: ToolName,
    },

    /// Two tools with one name.
    #[error("tool {name} is given twice; rename one")]
    ToolTwice {
        /// The tool.
        name: ToolName,
    },

    /// A name that cannot stand in the header of a message.
    #[error("tool name {name:?} cannot be used: {reason}; rename the tool")]
    ToolName {
        /// The whole name.
        name: String,
        /// Why not.
        reason: &'static str,
    },

    /// A call must be made, and there is nobody to call.
    #[error("a tool must be called but none is given; give one, or let the choice be auto")]
    NoTools,

    /// A form of the answer or of a tool's input that cannot be enforced.
    #[error("{reason}")]
    Form {
        /// Whose form it is.
        place: FormPlace,
        /// Where in the schema, as `properties.tags.uniqueItems`; empty for the whole.
        path: String,
        /// What cannot be enforced there, why, and what to do.
        reason: String,
    },

    /// The conversation alone is longer than the context.
    #[error(
        "the conversation has {tokens} tokens: expected fewer than the context of {context_tokens}; shorten it or allow truncation"
    )]
    ContextExceeded {
        /// Tokens of the conversation.
        tokens: usize,
        /// Tokens of the context.
        context_tokens: usize,
    },
}
