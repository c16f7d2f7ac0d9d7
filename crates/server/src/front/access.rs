//! Who may come in, and what they are told who may not. It must not know what is behind the door.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::error::ApiError;
use crate::keys::{Allowance, Key, Keys, Refusal, Usage};
use std::sync::Arc;
use std::time::Duration;

/// Who may ask for a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Anybody, also while the server drains.
    Open,
    /// Whoever has a key.
    Key,
    /// Whoever has a key of an admin, also while the server drains.
    Admin,
}

/// Who may ask for this path, with or without `/v1`.
pub(super) fn of(path: &str) -> Access {
    match without_version(path) {
        "/health" | "/health/live" | "/health/ready" | "/openapi.json" => Access::Open,
        "/metrics" => Access::Admin,
        _ => Access::Key,
    }
}

/// Whether Anthropic's clients ask here, who want Anthropic's errors.
pub(super) fn is_anthropic(path: &str) -> bool {
    let path = without_version(path);
    path == "/messages" || path.starts_with("/messages/")
}

/// Refuses a body that says itself that it is too large, before any of it is read. Files have a limit of their own.
pub(super) fn check_size(request: &Request, most: usize) -> Result<(), ApiError> {
    let told = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if without_version(request.uri().path()) == "/files" || told.is_none_or(|bytes| bytes <= most as u64) {
        return Ok(());
    }
    let message = format!("the body has more than {most} bytes, the most that this server takes; send less");
    Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request_error", Some("body_too_large"), message))
}

/// All paths are there under `/v1` and without it.
fn without_version(path: &str) -> &str {
    path.strip_prefix("/v1").unwrap_or(path)
}

/// The key in `Authorization: Bearer` or `x-api-key`.
pub(super) fn key(keys: &Keys, headers: &HeaderMap) -> Result<(Key, Arc<Usage>), ApiError> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    let own = headers.get("x-api-key").and_then(|value| value.to_str().ok());
    let text = bearer.or(own).ok_or_else(|| {
        let message = "no API key: send one as `Authorization: Bearer KEY` or `x-api-key: KEY`";
        ApiError::new(StatusCode::UNAUTHORIZED, "authentication_error", Some("missing_api_key"), message)
    })?;
    keys.find(text).ok_or_else(unknown_key)
}

/// A key that there is not, or not any more.
pub(super) fn unknown_key() -> ApiError {
    let message = "this API key is not known here; ask the operator for one (`glossa key new`)";
    ApiError::new(StatusCode::UNAUTHORIZED, "authentication_error", Some("invalid_api_key"), message)
}

/// A user where an admin is needed.
pub(super) fn not_admin() -> ApiError {
    let message = "this needs the key of an admin; ask the operator for one (`glossa key new --admin`)";
    ApiError::new(StatusCode::FORBIDDEN, "permission_error", Some("admin_required"), message)
}

/// A key that has used up what it may.
pub(super) fn too_much(refusal: Refusal) -> ApiError {
    let Refusal { what, limit, after } = refusal;
    let seconds = after.as_secs_f64().ceil().max(1.0) as u64;
    let message = format!("this key may have {limit} {what} and has used them; try again in {seconds} s");
    let refused =
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", Some("rate_limit_exceeded"), message);
    ApiError { retry_after: Some(seconds), ..refused }
}

/// What is left, as OpenAI's headers tell it.
pub(super) fn show(allowance: &Allowance, headers: &mut HeaderMap) {
    const NAMES: [[&str; 3]; 2] = [
        ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
        ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
    ];
    for ([limit_name, left_name, reset_name], bucket) in NAMES.into_iter().zip([allowance.requests, allowance.tokens]) {
        let Some((limit, left, reset)) = bucket else { continue };
        headers.insert(HeaderName::from_static(limit_name), HeaderValue::from(limit));
        headers.insert(HeaderName::from_static(left_name), HeaderValue::from(left));
        if let Ok(reset) = HeaderValue::try_from(readable(reset)) {
            headers.insert(HeaderName::from_static(reset_name), reset);
        }
    }
}

/// As OpenAI writes times: `10s`, `120ms`.
fn readable(time: Duration) -> String {
    if time < Duration::from_secs(1) { format!("{}ms", time.as_millis()) } else { format!("{}s", time.as_secs()) }
}
