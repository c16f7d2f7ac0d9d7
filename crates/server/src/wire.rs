//! Requests as they come: JSON in, checked and typed data out, or an error that names the path. It must not know what is done with them.

pub(crate) mod client_event;
pub(crate) mod conversations;
pub(crate) mod fields;
pub(crate) mod query;
pub(crate) mod responses;
pub(crate) mod schema;
