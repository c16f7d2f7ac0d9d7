//! The one turn loop: a conversation is rendered, generated, parsed, tools are called, and again, until the model has answered.
//! Every API is a projection of its events. It must not know HTTP, JSON wire formats or storage.
//!
//! [`Agent::begin`] takes a [`TurnRequest`] and gives a [`Turn`], the stream of a turn's [`TurnEvent`]s; dropping it cancels.

mod agent;
mod builtin;
mod constraint;
mod control;
mod envelope;
mod error;
mod event;
mod guards;
mod item;
mod policy;
mod prompt;
mod raw;
mod reader;
mod recipient;
mod replay;
mod request;
mod speaker;
mod stops;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod turn;

pub use agent::{Agent, Settings};
pub use builtin::{BuiltIn, Declaration, ToolContext, ToolFuture, ToolInput, ToolOutput};
pub use constraint::Forms;
pub use control::Canceller;
pub use error::{Error, FormPlace};
pub use event::{Ending, Opening, Outcome, TokenLogprob, TurnEvent, Usage};
pub use guards::guards;
pub use item::{Call, CallKind, Item, Part, Phase, Said, ToolName};
pub use raw::{Raw, RawEvent, RawOutcome, RawRequest};
pub use request::{
    CustomFormat, Effort, Format, ReasoningContext, TextGrammar, Tool, ToolChoice, ToolKind, Truncation, TurnRequest,
};
pub use turn::Turn;
