//! Token sequences in, tokens out: sampling and the thread that steps the model. It must not know text, tools or HTTP.

mod error;
mod generate;
mod sampler;
mod sampling;

pub use error::Error;
pub use generate::{Canceller, Engine, Event, Finish, FinishReason, Generation, Job, Limits};
pub use sampler::{Sampled, Sampler};
pub use sampling::Sampling;
