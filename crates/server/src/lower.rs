//! From what was asked for on the wire, and what is kept, to what the agent is asked for. It must not know HTTP, nor events.

pub(crate) mod chat;
mod forms;
pub(crate) mod items;
pub(crate) mod messages;
pub(crate) mod raw;
pub(crate) mod remembered;
pub(crate) mod responses;
pub(crate) mod sealed;
mod tools;
