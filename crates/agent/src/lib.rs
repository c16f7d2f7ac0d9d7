//! The one turn loop: a conversation is rendered, generated, parsed, tools are called, and again, until the model has answered.
//! Every API is a projection of its events. It must not know HTTP, JSON wire formats or storage.
//!
//! [`Agent::begin`] takes a [`TurnRequest`] and gives a [`Turn`], the stream of a turn's [`TurnEvent`]s; dropping it cancels.

mod agent_handle;
mod error;
mod event;
mod item;
mod request;

pub use agent_handle::Agent;
pub use error::Error;
pub use event::{Ending, Opening, Outcome, TokenLogprob, TurnEvent, Usage};
pub use item::{Call, CallKind, Item, Part, Phase, Said, ToolName};
pub use request::{
    CustomFormat, Effort, Format, ReasoningContext, Tool, ToolChoice, ToolKind, Truncation, TurnRequest,
};
