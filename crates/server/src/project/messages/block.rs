//! One block of an Anthropic message. It must not know messages.

use serde_json::{Map, Value, json};

/// A block that has begun.
pub(super) struct Block {
    pub(super) kind: Kind,
    pub(super) text: String,
}

/// What a block is.
#[derive(PartialEq)]
pub(super) enum Kind {
    Thinking,
    Text,
    ToolUse { id: String, name: String },
}

impl Block {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, text: String::new() }
    }

    /// The block, empty.
    pub(super) fn opening(&self) -> Value {
        match &self.kind {
            Kind::Thinking => json!({ "type": "thinking", "thinking": "", "signature": "" }),
            Kind::Text => json!({ "type": "text", "text": "" }),
            Kind::ToolUse { id, name } => json!({ "type": "tool_use", "id": id, "name": name, "input": {} }),
        }
    }

    /// More of it. A call's input comes in one piece, when it is known to be an object: clients read it with strict parsers, and
    /// cannot take back what they have read.
    pub(super) fn delta(&self, text: &str) -> Option<Value> {
        match &self.kind {
            Kind::Thinking => Some(json!({ "type": "thinking_delta", "thinking": text })),
            Kind::Text => Some(json!({ "type": "text_delta", "text": text })),
            Kind::ToolUse { .. } => None,
        }
    }
}

/// A call's input as an object, whatever the model wrote.
pub(crate) fn object_of(input: &str) -> Value {
    match serde_json::from_str(input) {
        Ok(Value::Object(object)) => Value::Object(object),
        _ if input.trim().is_empty() => Value::Object(Map::new()),
        _ => json!({ "raw_input": input }),
    }
}
