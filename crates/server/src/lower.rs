//! Requests to turns: what was read from the wire, and what is known of before, as [`agent::TurnRequest`]. It must not know HTTP.

pub(crate) mod chat;
pub(crate) mod messages;
pub(crate) mod remembered;
