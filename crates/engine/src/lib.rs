//! Token sequences in, tokens out: many at once, from one thread that steps the model. It must not know text, tools or HTTP.
//!
//! [`Engine::submit`] takes a [`Job`] and gives a [`Generation`], the stream of its events; dropping it cancels, and a slow reader
//! never stalls the model. Each step computes some tokens of every running job in one pass of the model (`scheduler`), prefixes
//! that were read before are found again (`cache`), and memory for keys and values is bounded. Where a [`Constraint`] says
//! what may come, its masks are computed beside the model (`masks`).

mod cache;
mod constrained;
mod constraint;
pub mod disk;
mod draft;
mod engine;
mod error;
mod events;
mod generation;
mod guard;
mod job;
mod masks;
mod pace;
mod prompt_logprobs;
mod sampler;
mod sampling;
mod scheduler;
mod sequence;
mod speculation;
mod stats;
mod steps;

pub use constraint::{Constraint, ConstraintError, Mask};
pub use disk::DiskLimits;
pub use draft::{
    DraftLimits, DraftOutcome, DraftPace, DraftSituation, DraftSource, HiddenStates, NgramDrafts, StepCosts,
};
pub use engine::Engine;
pub use error::Error;
pub use generation::{Canceller, Event, Finish, FinishReason, Generation};
pub use guard::{Guard, GuardKind, GuardReport, Guards, LoopLimits, NearLimits, ReasoningShape};
pub use job::{DiskCache, Drafts, Job, Limits, Priority, SharedChunk};
pub use sampler::{PromptLogprob, Sampled, Sampler};
pub use sampling::Sampling;
pub use stats::{CacheStats, Ends, Stats};
