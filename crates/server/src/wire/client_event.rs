//! What a client sends over a WebSocket. It must not know what is done with it.

use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::json_body::check_depth;

/// Letters of a lane's name.
const STREAM_ID_LETTERS_MAX: usize = 256;

/// A request that creates a response.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ClientEvent {
    /// The lane, if it has a name.
    pub(crate) stream_id: Option<String>,
    /// What the body of an HTTP request would be.
    pub(crate) body: Value,
}

impl ClientEvent {
    /// Reads a message.
    ///
    /// # Errors
    /// What is wrong with it as an event; the request in it is read later.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, ApiError> {
        let mut event: Map<String, Value> = serde_json::from_slice(bytes).map_err(|error| {
            ApiError::bad_request("invalid_json", format!("the message is not a JSON object: {error}; mend it"))
        })?;
        event.values().try_for_each(check_depth)?;
        match event.shift_remove("type") {
            Some(Value::String(kind)) if kind == "response.create" => {}
            Some(kind) => {
                let kind: String = kind.to_string().chars().take(60).collect();
                let message = format!("type is {kind}: expected \"response.create\"");
                return Err(ApiError { code: Some("unknown_event"), ..ApiError::invalid("type", message) });
            }
            None => return Err(ApiError::invalid("type", "type is missing; it is \"response.create\"")),
        }
        let stream_id = event.shift_remove("stream_id").filter(|id| !id.is_null()).map(read_stream_id).transpose()?;
        if event.get("background").is_some_and(|background| *background != Value::Bool(false) && !background.is_null())
        {
            let message = "background is not to be had over a WebSocket; create the response by POST";
            return Err(ApiError::unsupported("background", message));
        }
        // Everything streams here; clients that share code say so again.
        event.shift_remove("stream");
        Ok(Self { stream_id, body: Value::Object(event) })
    }
}

fn read_stream_id(value: Value) -> Result<String, ApiError> {
    let is_good = |id: &str| {
        (1..=STREAM_ID_LETTERS_MAX).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
    };
    match value {
        Value::String(id) if is_good(&id) => Ok(id),
        _ => {
            let message =
                format!("stream_id must be 1 to {STREAM_ID_LETTERS_MAX} of the letters A-Z, a-z, 0-9, _, . and -");
            Err(ApiError::invalid("stream_id", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_a_body_with_an_envelope() {
        let event =
            json!({ "type": "response.create", "stream_id": "a.b-c_1", "stream": true, "model": "m", "input": "x" });
        let read = ClientEvent::read(event.to_string().as_bytes()).unwrap();
        let body = json!({ "model": "m", "input": "x" });
        assert_eq!(read, ClientEvent { stream_id: Some("a.b-c_1".to_owned()), body });
    }

    #[test]
    fn what_is_no_event_is_refused_by_name() {
        for (event, param) in [
            (json!({ "input": "x" }), "type"),
            (json!({ "type": "response.cancel" }), "type"),
            (json!({ "type": 3 }), "type"),
            (json!({ "type": "response.create", "stream_id": "" }), "stream_id"),
            (json!({ "type": "response.create", "stream_id": "a b" }), "stream_id"),
            (json!({ "type": "response.create", "stream_id": 7 }), "stream_id"),
            (json!({ "type": "response.create", "background": true }), "background"),
        ] {
            let refused = ClientEvent::read(event.to_string().as_bytes()).unwrap_err();
            assert_eq!(refused.param.as_deref(), Some(param), "{event}");
        }
        for text in ["", "[]", "{", "\u{0}"] {
            assert_eq!(ClientEvent::read(text.as_bytes()).unwrap_err().code, Some("invalid_json"));
        }
    }
}
