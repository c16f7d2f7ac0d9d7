//! What clients see of a turn: the agent's events as the events and objects of each API. It must not know HTTP.

pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod generate;
pub(crate) mod include;
pub(crate) mod list;
pub(crate) mod logprob;
pub(crate) mod messages;
pub(crate) mod raw;
pub(crate) mod resource;
pub(crate) mod responses;
