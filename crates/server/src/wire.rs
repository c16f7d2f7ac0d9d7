//! Requests as they come: JSON in, checked and typed data out, or an error that names the path. It must not know what is done with them.

pub(crate) mod batches;
pub(crate) mod chat;
pub(crate) mod client_event;
pub(crate) mod completions;
pub(crate) mod conversations;
pub(crate) mod decoding;
pub(crate) mod fields;
pub(crate) mod form;
pub(crate) mod generate;
pub(crate) mod messages;
pub(crate) mod query;
pub(crate) mod reserve;
pub(crate) mod responses;
pub(crate) mod schema;
pub(crate) mod tokenize;
pub(crate) mod tools;
