//! What a response that nobody waits for has told so far. It must not know how it is computed.

use serde_json::Value;

use crate::app::App;
use crate::error::ApiError;
use crate::stored::KIND;

/// Events of one reading.
pub(crate) const PAGE: u32 = 500;

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
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_the_same_up_to_seals_and_padding() {
        let event = |seal: &str, text: &str| json!({ "item": { "encrypted_content": seal, "text": text } }).to_string();
        assert!(same(&event("a", "x"), &event("b", "x")));
        assert!(!same(&event("a", "x"), &event("a", "y")));
        assert!(!same("a", "b"));
    }
}
