//! Server-sent events as bytes. It must not know which events there are.

use axum::body::Bytes;

/// An event with its name, as the Responses and Messages APIs send them.
pub(crate) fn named(name: &str, data: &str) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// An event without a name, as Chat Completions sends them.
pub(crate) fn unnamed(data: &str) -> Bytes {
    Bytes::from(format!("data: {data}\n\n"))
}

/// A comment: it says that the server is there, and clients pass over it.
pub(crate) fn comment(text: &str) -> Bytes {
    Bytes::from(format!(": {text}\n\n"))
}
