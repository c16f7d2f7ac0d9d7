//! Turns to answers: events of a turn in, JSON events and objects out. Pure state machines; they must not know HTTP.

pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod generate;
pub(crate) mod messages;
