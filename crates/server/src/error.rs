//! What a client gets instead of an answer: OpenAI's envelope, or Anthropic's. It must not know what went on.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A refused or failed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    /// The status.
    pub(crate) status: StatusCode,
    /// OpenAI's `type`.
    pub(crate) kind: &'static str,
    /// For programs.
    pub(crate) code: Option<&'static str>,
    /// The JSON path of the field at fault, as `input[0].content`.
    pub(crate) param: Option<String>,
    /// For people: what, where, and what to do.
    pub(crate) message: String,
    /// Seconds after which it may be tried again.
    pub(crate) retry_after: Option<u64>,
}

impl ApiError {
    /// The request is at fault, at this path.
    pub(crate) fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..Self::bad_request("invalid_value", message) }
    }

    /// The request is at fault as a whole.
    pub(crate) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", Some(code), message)
    }

    /// A part of the API that this server does not offer, or not yet.
    pub(crate) fn unsupported(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: Some("unsupported_value"), ..Self::invalid(param, message) }
    }

    /// Nothing has this name, or somebody else owns it.
    pub(crate) fn not_found(what: &str, id: &str) -> Self {
        let message = format!("no {what} with id {id:?}; it was never here, has expired, or belongs to another key");
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", Some("not_found"), message)
    }

    /// Our fault: the message is for the log, the client learns only that it happened.
    pub(crate) fn internal(reason: &dyn std::fmt::Display) -> Self {
        tracing::error!(%reason, "request failed");
        let message = "the server failed; its log says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", Some("internal_error"), message)
    }

    /// Not now.
    pub(crate) fn overloaded(message: impl Into<String>) -> Self {
        let refused = Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", Some("overloaded"), message);
        Self { retry_after: Some(5), ..refused }
    }

    /// Any.
    pub(crate) fn new(
        status: StatusCode,
        kind: &'static str,
        code: Option<&'static str>,
        message: impl Into<String>,
    ) -> Self {
        Self { status, kind, code, param: None, message: message.into(), retry_after: None }
    }

    /// OpenAI's envelope.
    pub(crate) fn body(&self) -> Value {
        let Self { status: _, kind, code, param, message, retry_after: _ } = self;
        json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = self.body().to_string();
        let mut response = (self.status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<store::Error> for ApiError {
    fn from(error: store::Error) -> Self {
        use store::Error;
        let refused = |status, code| Self::new(status, "invalid_request_error", Some(code), error.to_string());
        match &error {
            Error::Full { .. } => {
                let full = "the server's store is full; delete what is not needed any more, or ask its operator for room";
                Self { code: Some("store_full"), ..Self::overloaded(full) }
            }
            Error::Invalid { .. } => refused(StatusCode::BAD_REQUEST, "invalid_value"),
            Error::UnknownAfter { .. } => Self::invalid("after", error.to_string()),
            Error::TooMuch { .. } => refused(StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Error::Exists { .. } => refused(StatusCode::CONFLICT, "already_exists"),
            Error::Missing { kind, id } => Self::not_found(kind, id),
            Error::Address { .. }
            | Error::Open { .. }
            | Error::NotADatabase { .. }
            | Error::Foreign { .. }
            | Error::ReadOnly { .. }
            | Error::NewerSchema { .. }
            | Error::Gap { .. }
            | Error::EventDiffers { .. }
            | Error::LeaseLost { .. }
            | Error::UploadGone { .. }
            | Error::Database { .. } => Self::internal(&error),
        }
    }
}
