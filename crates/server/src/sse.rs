//! Server-sent events as bytes. It must not know which events there are.

use std::fmt::Display;

use axum::body::Bytes;
use serde_json::Value;

/// An event under its type, as the Responses and Messages APIs send them.
pub(crate) fn event(event: &Value) -> Bytes {
    named(event["type"].as_str().unwrap_or_default(), event)
}

/// An event under this name. Its data, JSON on one line, is written where it is sent from.
pub(crate) fn named(name: &str, data: impl Display) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// An event without a name, as Chat Completions sends them.
pub(crate) fn unnamed(data: impl Display) -> Bytes {
    Bytes::from(format!("data: {data}\n\n"))
}

/// A comment: it says that the server is there, and clients pass over it.
pub(crate) fn comment(text: &str) -> Bytes {
    Bytes::from(format!(": {text}\n\n"))
}
