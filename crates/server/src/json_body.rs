//! A body as JSON, coming and going. It must not know any request.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::error::ApiError;

/// Values inside each other. What is kept stands a few levels deeper in a record, and parsers go down to 128: deeper ones could be written
/// and never be read again.
const DEPTH_MAX: usize = 100;

/// A request's body, parsed (an empty body is an empty object), or an answer's.
pub(crate) struct JsonBody(pub(crate) Value);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = Bytes::from_request(request, state).await.map_err(|refused| {
            let status = refused.status();
            let message = format!("the body could not be read: {}; send less, or all of it", refused.body_text());
            ApiError::new(status, "invalid_request_error", Some("body_unreadable"), message)
        })?;
        parse(&bytes).map(Self)
    }
}

impl IntoResponse for JsonBody {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "application/json")], self.0.to_string()).into_response()
    }
}

fn parse(bytes: &[u8]) -> Result<Value, ApiError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    let value = serde_json::from_slice(bytes)
        .map_err(|error| ApiError::bad_request("invalid_json", format!("the body is not JSON: {error}; mend it")))?;
    check_depth(&value)?;
    Ok(value)
}

/// Refuses what is nested too deeply to be kept.
///
/// # Errors
/// 400 `invalid_json`.
pub(crate) fn check_depth(value: &Value) -> Result<(), ApiError> {
    if fits(value, DEPTH_MAX) {
        return Ok(());
    }
    let message = format!("more than {DEPTH_MAX} arrays and objects stand inside each other; nest less deeply");
    Err(ApiError::bad_request("invalid_json", message))
}

fn fits(value: &Value, left: usize) -> bool {
    match value {
        Value::Array(inner) => left > 0 && inner.iter().all(|value| fits(value, left - 1)),
        Value::Object(inner) => left > 0 && inner.values().all(|value| fits(value, left - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nested_too_deeply_is_refused() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(DEPTH_MAX).as_bytes()).is_ok());
        for depth in [DEPTH_MAX + 1, 127, 128, 100_000] {
            assert_eq!(parse(nested(depth).as_bytes()).unwrap_err().code, Some("invalid_json"), "{depth}");
        }
    }
}
