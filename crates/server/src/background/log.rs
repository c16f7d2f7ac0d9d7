//! What a response that nobody waits for has told so far, and how it ends when it cannot go on. It must not know how it is computed.

use serde_json::{Map, Value, json};

use crate::app::App;
use crate::error::ApiError;
use crate::stored::{KIND, Stored, unix_seconds};

/// Events of one reading.
pub(crate) const PAGE: u32 = 500;

/// How a response ends that does not finish.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// Its owner has asked for it.
    Cancelled,
    /// For this reason.
    Failed(ApiError),
}

/// Whether nothing follows an event of this type.
pub(crate) fn is_last(kind: &str) -> bool {
    matches!(kind, "response.completed" | "response.incomplete" | "response.failed" | "error")
}

/// The type of an event.
pub(crate) fn kind(event: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Typed {
        r#type: String,
    }
    serde_json::from_str(event).map(|Typed { r#type }| r#type).unwrap_or_default()
}

/// All events of a response, in order.
///
/// # Errors
/// Where the store fails, or the response is gone.
pub(crate) async fn read(app: &App, owner: &str, id: &str) -> Result<Vec<String>, ApiError> {
    let mut events: Vec<String> = Vec::new();
    loop {
        let after = i64::try_from(events.len()).unwrap_or(i64::MAX) - 1;
        let page = app.store().events(KIND, owner, id, after, PAGE).await?;
        let is_over = page.len() < PAGE as usize;
        events.extend(page.into_iter().map(|(_, event)| event));
        if is_over {
            return Ok(events);
        }
    }
}

/// Ends a response where its log stands: what was said whole is its output, and the event that tells of the end follows the log.
pub(crate) fn conclude(stored: &mut Stored, events: &[String], end: End) {
    let told: Vec<Value> = events.iter().filter_map(|event| serde_json::from_str(event).ok()).collect();
    let done = told.iter().filter(|event| event["type"] == "response.output_item.done");
    let output: Vec<Value> = done.map(|event| event["item"].clone()).collect();
    let (kind, status, error) = match &end {
        // No event is meant for this; clients know this one as an end, and the status says which.
        End::Cancelled => ("response.incomplete", "cancelled", Value::Null),
        End::Failed(error) => {
            ("response.failed", "failed", json!({ "code": "server_error", "message": error.message }))
        }
    };
    let response = stored.response.as_object_mut();
    let empty = &mut Map::new();
    let response = response.unwrap_or(empty);
    let fields = [("status", json!(status)), ("error", error), ("output", Value::Array(output))];
    response.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    if matches!(end, End::Failed(_)) {
        response.insert("completed_at".to_owned(), Value::Null);
    } else if response.contains_key("completed_at") {
        response.insert("completed_at".to_owned(), json!(unix_seconds()));
    }
    stored.output_tokens = Vec::new();
    stored.pending = None;
    let last = told.last().filter(|event| is_last(event["type"].as_str().unwrap_or_default()));
    let ended = json!({ "type": kind, "sequence_number": events.len(), "response": stored.response });
    stored.last_event = Some(last.cloned().unwrap_or(ended));
}

/// Whether two events tell the same, except for what is random each time it is told.
pub(crate) fn same(first: &str, second: &str) -> bool {
    if first == second {
        return true;
    }
    let read = |event: &str| {
        serde_json::from_str(event).map(|mut event: Value| {
            strip(&mut event);
            event
        })
    };
    matches!((read(first), read(second)), (Ok(first), Ok(second)) if first == second)
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|name, _| name != "encrypted_content" && name != "obfuscation");
            object.values_mut().for_each(strip);
        }
        Value::Array(array) => array.iter_mut().for_each(strip),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Source;

    fn queued() -> Stored {
        let response = json!({ "id": "resp_1", "status": "queued", "output": [], "error": null, "completed_at": null });
        let pending = crate::stored::Pending { request: json!({}), seed: 1, date: None, tries: 1, history_items: 0 };
        Stored {
            response,
            source: Source::Nothing,
            input: Vec::new(),
            output_tokens: Vec::new(),
            pending: Some(pending),
            last_event: None,
        }
    }

    #[test]
    fn an_end_follows_the_log_and_keeps_what_was_said_whole() {
        let events: Vec<String> = [
            json!({ "type": "response.created", "sequence_number": 0 }),
            json!({ "type": "response.output_item.done", "sequence_number": 1, "item": { "id": "rs_1" } }),
            json!({ "type": "response.output_text.delta", "sequence_number": 2, "delta": "half" }),
        ]
        .iter()
        .map(Value::to_string)
        .collect();
        let mut stored = queued();
        conclude(&mut stored, &events, End::Failed(ApiError::bad_request("x", "too often")));
        let last = stored.last_event.clone().unwrap();
        assert_eq!((&last["type"], &last["sequence_number"]), (&json!("response.failed"), &json!(3)));
        assert_eq!(last["response"], stored.response);
        assert_eq!(stored.response["output"], json!([{ "id": "rs_1" }]));
        assert_eq!(stored.response["error"], json!({ "code": "server_error", "message": "too often" }));
        assert!(stored.has_ended() && stored.pending.is_none());
        let mut stored = queued();
        conclude(&mut stored, &events, End::Cancelled);
        assert_eq!((stored.status(), &stored.response["error"]), ("cancelled", &Value::Null));
        assert_eq!(stored.last_event.unwrap()["type"], "response.incomplete");
    }

    #[test]
    fn events_are_the_same_up_to_seals_and_padding() {
        let event = |seal: &str, text: &str| json!({ "item": { "encrypted_content": seal, "text": text } }).to_string();
        assert!(same(&event("a", "x"), &event("b", "x")));
        assert!(!same(&event("a", "x"), &event("a", "y")));
        assert!(!same("a", "b"));
    }
}
