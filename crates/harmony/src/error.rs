//! What can go wrong between text and tokens, each in one line with the way out; knows nothing of exit codes or HTTP.

use crate::Role;

/// Every failure of this crate. The parser has none: it accepts any token sequence.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are not a `tokenizer.json`.
    #[error("tokenizer.json can not be read: {reason}; download the file again")]
    TokenizerSyntax {
        /// What the JSON reader said, with line and column.
        reason: String,
    },
    /// The tokenizer asks for something this crate does not do.
    #[error(
        "tokenizer field {field} is not supported: expected {expected}, found {found}; use a byte-level BPE tokenizer"
    )]
    TokenizerUnsupported {
        /// The path of the field.
        field: String,
        /// What would be accepted.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// The tokenizer contradicts itself.
    #[error("tokenizer field {field} is broken: expected {expected}, found {found}; download the tokenizer again")]
    TokenizerInconsistent {
        /// The path of the field.
        field: String,
        /// What would be right.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// The vocabulary has no token of that name, so harmony can not be spoken with it.
    #[error("the vocabulary has no special token {name}; harmony needs a gpt-oss tokenizer with that added token")]
    SpecialMissing {
        /// The missing spelling, such as `<|start|>`.
        name: &'static str,
    },
    /// A header field could be read as something else, such as another role.
    #[error("message {index}: {field} {value:?} can not be rendered: {reason}; rename it")]
    HeaderField {
        /// The position of the message in the conversation.
        index: usize,
        /// Which field: name, recipient, channel or content type.
        field: &'static str,
        /// Its value.
        value: String,
        /// Why it is refused.
        reason: &'static str,
    },
    /// A tool's message is named by its tool, and this one has no name.
    #[error("message {index}: a tool message needs the tool's name; set name to the recipient of the call")]
    ToolNameMissing {
        /// The position of the message in the conversation.
        index: usize,
    },
    /// System content stands only in system messages, developer content only in developer messages.
    #[error("message {index}: {content} content in a message of role {found}; move it to a {expected} message")]
    ContentRole {
        /// The position of the message in the conversation.
        index: usize,
        /// The kind of content.
        content: &'static str,
        /// The role it belongs to.
        expected: Role,
        /// The role it was found with.
        found: Role,
    },
    /// A word from outside that names nothing.
    #[error("unknown {what} {found:?}; use one of {known}")]
    UnknownName {
        /// What was being named.
        what: &'static str,
        /// The word.
        found: String,
        /// The words that exist.
        known: &'static str,
    },
}
