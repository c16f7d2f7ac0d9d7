//! What a grammar can be written in. It must not know how it is compiled.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::limits::Limits;

/// A grammar as somebody wrote it.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Any JSON object.
    JsonObject,
    /// JSON that fits a JSON Schema: 2020-12, with the spellings of the drafts before it.
    JsonSchema {
        /// The schema.
        schema: Value,
    },
    /// Text that a regular expression matches as a whole, in the syntax of Rust's `regex` without groups that look around.
    Regex(String),
    /// Text that a Lark grammar derives; special tokens cannot be named.
    Lark(String),
    /// One of these texts.
    Choice(Vec<String>),
    /// A Lark grammar of this program, for headers of messages: it names special tokens like `<|channel|>`. Never from a client.
    Header(String),
}

/// What happens to what cannot be enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It is refused.
    Strict,
    /// It is left out of the grammar; everything else stays enforced.
    Relaxed,
}

impl Source {
    /// What an error calls it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::JsonObject => "JSON object",
            Self::JsonSchema { .. } => "schema",
            Self::Regex(_) => "regular expression",
            Self::Lark(_) => "Lark grammar",
            Self::Choice(_) => "list of choices",
            Self::Header(_) => "header",
        }
    }

    /// The hash of the source, its size having been checked.
    pub(crate) fn key(&self, mode: Mode, limits: &Limits) -> Result<[u8; 32], Error> {
        let mut hash = Sha256::new();
        hash.update([mode as u8]);
        hash.update(self.name());
        let mut bytes = 0;
        let mut add = |part: &[u8]| {
            bytes += part.len();
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        };
        match self {
            Self::JsonObject => {}
            Self::JsonSchema { schema } => {
                // Writing a value out recurses, so its depth comes first.
                if depth_reaches(schema, limits.depth) {
                    return Err(Error::limit("the depth of the schema", format!("{} levels", limits.depth)));
                }
                add(schema.to_string().as_bytes());
            }
            Self::Regex(text) | Self::Lark(text) | Self::Header(text) => add(text.as_bytes()),
            Self::Choice(choices) => choices.iter().for_each(|choice| add(choice.as_bytes())),
        }
        if bytes > limits.source_bytes {
            return Err(Error::limit("the size of the schema or grammar", format!("{} bytes", limits.source_bytes)));
        }
        Ok(hash.finalize().into())
    }
}

/// Whether objects and arrays lie deeper inside each other than that; without recursion.
fn depth_reaches(value: &Value, depth_max: usize) -> bool {
    let mut open = vec![(value, 0)];
    while let Some((value, depth)) = open.pop() {
        if depth > depth_max {
            return true;
        }
        match value {
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(entries) => open.extend(entries.values().map(|entry| (entry, depth + 1))),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    false
}
