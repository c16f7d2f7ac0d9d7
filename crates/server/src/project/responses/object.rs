//! The response object. It must not know how it came to be as it is.

use agent::Usage;
use serde_json::{Map, Value, json};

use super::{Projection, Status};

impl Projection {
    /// The response object as it is now, with the items that are finished.
    pub(crate) fn response(&self) -> Value {
        let mut object = Map::new();
        let (status, error) = match &self.status {
            Status::Queued => ("queued", Value::Null),
            Status::InProgress => ("in_progress", Value::Null),
            Status::Completed => ("completed", Value::Null),
            Status::Incomplete => ("incomplete", Value::Null),
            Status::Cancelled => ("cancelled", Value::Null),
            Status::Failed { code, message } => ("failed", json!({ "code": code, "message": message })),
        };
        let incomplete = self.status == Status::Incomplete;
        // The only reason that the API knows for being out of room, whichever room it is.
        let details = if incomplete { json!({ "reason": "max_output_tokens" }) } else { Value::Null };
        let output = self.output.iter().map(|item| item.value.clone()).collect();
        let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
        put("id", json!(self.head.id));
        put("object", json!("response"));
        put("created_at", json!(self.head.created_at));
        put("status", json!(status));
        put("completed_at", json!(self.completed_at));
        put("error", error);
        put("incomplete_details", details);
        put("output", Value::Array(output));
        put("usage", self.usage.map_or(Value::Null, usage_value));
        if self.dropped_items > 0 {
            // Not in OpenAI's API; what was cut off must be seen.
            put("truncated_items", json!(self.dropped_items));
        }
        object.extend(self.head.echoed.clone());
        Value::Object(object)
    }
}

/// Tokens as the API tells them.
pub(crate) fn usage_value(usage: Usage) -> Value {
    let Usage { input_tokens, cached_tokens, output_tokens, reasoning_tokens } = usage;
    // What was not found is kept for the next time.
    let written = input_tokens.saturating_sub(cached_tokens);
    json!({
        "input_tokens": input_tokens,
        "input_tokens_details": { "cached_tokens": cached_tokens, "cache_write_tokens": written },
        "output_tokens": output_tokens,
        "output_tokens_details": { "reasoning_tokens": reasoning_tokens },
        "total_tokens": input_tokens + output_tokens,
    })
}
