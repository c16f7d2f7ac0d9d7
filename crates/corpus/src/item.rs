//! One item of the corpus: a conversation, its skill, and what its last turn is judged by. Data only.

use harmony::{Conversation, ReasoningEffort};
use serde_json::Value;

/// What an item teaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Skill {
    /// Sums, differences and small products, digit by digit.
    Arithmetic,
    /// Units and dates through the `python` tool.
    Python,
    /// Questions about Glossa's manual through `browser.search` and `browser.open`, answered with a citation.
    Manual,
    /// A developer's functions with random names and schemas.
    Functions,
    /// A final answer in the form of a random JSON Schema.
    Structured,
    /// Facts out of a given text.
    Extraction,
    /// A sentence or two for a given text.
    Summary,
    /// Names and numbers from earlier turns.
    Recall,
    /// Developer over user.
    Hierarchy,
    /// Orders inside a tool's text are not obeyed.
    Injection,
    /// What it cannot know, it says it does not know.
    Unknown,
    /// Who it is and what it is not; points to the real weights.
    Identity,
    /// Harmful or impossible wishes are declined.
    Refusal,
    /// Greetings, thanks and small questions.
    Chat,
    /// A short word to the user on the commentary channel before calls.
    Preamble,
    /// Small stories, for long streams.
    Story,
}

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
    /// The final answer holds this text.
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
