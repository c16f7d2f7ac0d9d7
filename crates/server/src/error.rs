//! What a client gets instead of an answer: OpenAI's envelope, or Anthropic's. It must not know what went on.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::json_body::JsonBody;

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

    /// What is needed at this path is not there.
    pub(crate) fn missing(path: &str) -> Self {
        let code = Some("missing_required_parameter");
        Self { code, ..Self::invalid(path, format!("{path} is missing; it is required")) }
    }

    /// Nobody has asked for what stands at this path.
    pub(crate) fn unknown_parameter(path: impl Into<String>, message: String) -> Self {
        Self { code: Some("unknown_parameter"), ..Self::invalid(path, message) }
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

    /// A model that is not here.
    pub(crate) fn no_model(name: &str, known: &[String]) -> Self {
        let message = format!("there is no model {name:?} here; there is {}", known.join(", "));
        let refused = Self::new(StatusCode::NOT_FOUND, "invalid_request_error", Some("model_not_found"), message);
        Self { param: Some("model".to_owned()), ..refused }
    }

    /// Our fault: the message is for the log, the client learns only that it happened.
    pub(crate) fn internal(reason: &dyn std::fmt::Display) -> Self {
        tracing::error!(%reason, "request failed");
        let message = "the server failed; its log says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", Some("internal_error"), message)
    }

    /// A turn failed that had begun.
    pub(crate) fn failed(failure: Option<&engine::Error>) -> Self {
        match failure {
            Some(failure) => Self::from(failure),
            None => Self::internal(&"a turn failed and does not say why"),
        }
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

    /// The same about a request whose conversation has another name than the Responses API's.
    pub(crate) fn about(self, conversation: &str) -> Self {
        let param = self.param.map(|param| if param == "input" { conversation.to_owned() } else { param });
        Self { param, ..self }
    }

    /// Anthropic's envelope.
    pub(crate) fn anthropic_body(&self) -> Value {
        let kind = match self.status.as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            503 => "overloaded_error",
            504 => "timeout_error",
            400..=499 => "invalid_request_error",
            _ => "api_error",
        };
        json!({ "type": "error", "error": { "type": kind, "message": self.message } })
    }

    /// OpenAI's envelope.
    pub(crate) fn body(&self) -> Value {
        let Self { status: _, kind, code, param, message, retry_after: _ } = self;
        json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
    }
}

impl ApiError {
    /// The response that tells this in an envelope. What stands before the routes finds the error in its extensions.
    pub(crate) fn told(self, envelope: Value) -> Response {
        let mut response = (self.status, JsonBody(envelope)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let envelope = self.body();
        self.told(envelope)
    }
}

impl From<store::Error> for ApiError {
    fn from(error: store::Error) -> Self {
        use store::Error;
        let refused = |status, code| Self::new(status, "invalid_request_error", Some(code), error.to_string());
        match &error {
            Error::Full { .. } => {
                let full =
                    "the server's store is full; delete what is not needed any more, or ask its operator for room";
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
            | Error::Encoding { .. }
            | Error::Unsure { .. }
            | Error::Database { .. } => Self::internal(&error),
        }
    }
}

impl From<agent::Error> for ApiError {
    fn from(error: agent::Error) -> Self {
        let message = error.to_string();
        let invalid = |code, param: &str| Self {
            param: Some(param.to_owned()),
            ..Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", Some(code), message.clone())
        };
        match error {
            agent::Error::Engine(error) => Self::from(&error),
            agent::Error::Harmony(_) => invalid("invalid_prompt", "input"),
            agent::Error::UnknownCall { .. } => invalid("unknown_call_id", "input"),
            agent::Error::UnknownTool { .. } => invalid("unknown_tool", "tool_choice"),
            agent::Error::NoTools => invalid("invalid_value", "tool_choice"),
            agent::Error::ToolTwice { .. } | agent::Error::ToolName { .. } => invalid("invalid_value", "tools"),
            agent::Error::Form { .. } => invalid("invalid_json_schema", "format"),
            agent::Error::ContextExceeded { .. } => invalid("context_length_exceeded", "input"),
        }
    }
}

impl From<&engine::Error> for ApiError {
    fn from(error: &engine::Error) -> Self {
        use engine::Error as Engine;
        let message = error.to_string();
        match error {
            Engine::PromptTooLong { .. } | Engine::PromptExceedsMemory { .. } => {
                Self { param: Some("input".to_owned()), ..Self::bad_request("context_length_exceeded", message) }
            }
            Engine::PromptEmpty => Self::bad_request("invalid_value", message),
            Engine::TooManyBiases { .. } | Engine::BiasOutsideVocabulary { .. } => Self::invalid("logit_bias", message),
            Engine::SettingOutOfRange { name, .. } => Self::invalid(*name, message),
            Engine::Constraint { .. } => Self::bad_request("invalid_prompt", message),
            Engine::QueueFull { .. } | Engine::Draining => Self::overloaded(message),
            Engine::Model(_)
            | Engine::StepFailed
            | Engine::GuardTokens { .. }
            | Engine::GuardTokenOutsideVocabulary { .. }
            | Engine::LimitOutOfRange { .. }
            | Engine::Thread { .. }
            | Engine::DiskFolder { .. }
            | Engine::Stopped => Self::internal(&message),
        }
    }
}
