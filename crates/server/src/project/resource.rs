//! An item that a client sent, as it is shown again: with everything that clients may leave out. It must not know where items lie.

use serde_json::{Value, json};

/// The item, complete.
pub(crate) fn resource(mut value: Value) -> Value {
    let kind = value["type"].as_str().unwrap_or_default().to_owned();
    match kind.as_str() {
        "message" => {
            let is_said = value["role"] == "assistant";
            value["content"] = content(value["content"].take(), is_said);
            complete(&mut value);
        }
        "reasoning" => default(&mut value, "summary", json!([])),
        "compaction" | "item_reference" => {}
        "shell_call" => {
            complete(&mut value);
            default(&mut value, "environment", Value::Null);
            default(&mut value["action"], "timeout_ms", Value::Null);
            default(&mut value["action"], "max_output_length", Value::Null);
        }
        "shell_call_output" => {
            complete(&mut value);
            default(&mut value, "max_output_length", Value::Null);
        }
        _ => complete(&mut value),
    }
    value
}

fn content(content: Value, is_said: bool) -> Value {
    let parts = match content {
        Value::Array(parts) => parts,
        Value::String(text) => {
            vec![json!({ "type": if is_said { "output_text" } else { "input_text" }, "text": text })]
        }
        other => return other,
    };
    parts.into_iter().map(part).collect()
}

fn part(mut part: Value) -> Value {
    if part["type"] == "output_text" {
        default(&mut part, "annotations", json!([]));
        default(&mut part, "logprobs", json!([]));
    }
    part
}

fn complete(value: &mut Value) {
    default(value, "status", json!("completed"));
}

fn default(value: &mut Value, name: &str, default: Value) {
    if let Some(object) = value.as_object_mut().filter(|object| object.get(name).is_none_or(Value::is_null)) {
        object.insert(name.to_owned(), default);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_is_put_in() {
        let user = json!({ "id": "msg_1", "type": "message", "role": "user", "content": "hi" });
        let parts = json!([{ "type": "input_text", "text": "hi" }]);
        let shown =
            json!({ "id": "msg_1", "type": "message", "role": "user", "content": parts, "status": "completed" });
        assert_eq!(resource(user), shown);
        assert_eq!(resource(shown.clone()), shown);
        let said =
            resource(json!({ "type": "message", "role": "assistant", "content": "yes", "status": "incomplete" }));
        assert_eq!(
            said["content"],
            json!([{ "type": "output_text", "text": "yes", "annotations": [], "logprobs": [] }])
        );
        assert_eq!(said["status"], "incomplete");
        assert_eq!(resource(json!({ "type": "reasoning" })), json!({ "type": "reasoning", "summary": [] }));
        let shell = resource(json!({ "type": "shell_call", "action": { "commands": ["ls"] } }));
        let action = json!({ "commands": ["ls"], "timeout_ms": null, "max_output_length": null });
        let whole = json!({ "type": "shell_call", "action": action, "status": "completed", "environment": null });
        assert_eq!(shell, whole);
        let printed = resource(json!({ "type": "shell_call_output", "output": [] }));
        assert_eq!(printed.get("max_output_length"), Some(&Value::Null));
    }
}
