//! One item of the corpus: a conversation, its skill, and what its last turn is judged by. Data only.

use harmony::{Conversation, ReasoningEffort};
use serde_json::Value;

pub(crate) use crate::skill::Skill;

/// A conversation with its ideal last turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// What it teaches.
    pub skill: Skill,
    /// How long the last turn thinks; the same as in the system message.
    pub effort: ReasoningEffort,
    /// From the system message to the last turn's final answer (or to a call of a developer's function, which is the client's
    /// to run and ends a turn). The last turn is everything after the last user message: the assistant's messages and the
    /// tools' results, thoughts included. Earlier turns have no thoughts.
    pub conversation: Conversation,
    /// What a model's own last turn must pass, all of them.
    pub checks: Vec<Check>,
}

/// One condition on a model's own last turn.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// The calls of the turn are exactly those of the item, in order: same recipient, and the same content (as JSON values
    /// if both parse, else as text without surrounding blanks).
    SameCalls,
    /// Directly before the first call stands a message to the user on the commentary channel that holds some text.
    Announces,
    /// The final answer holds this text; a number not as part of a longer one.
    Says(String),
    /// The final answer does not hold this text, letter case aside.
    NeverSays(String),
    /// The final answer is this text.
    Is(String),
    /// The final answer is JSON and equals this value.
    Json(Value),
    /// The final answer has at least one citation, and every citation names a display and lines that a tool showed; the
    /// lines hold this text.
    Cites(String),
    /// The final answer has at least so many words, all of them words of the corpus, and no sentence twice.
    Prose {
        /// Words at least.
        words_min: usize,
    },
}
