//! Token sequences in, tokens out: sampling, the thread that steps the model, records of prefixes on disk. It must not know text, tools or HTTP.

pub mod disk;
mod error;
mod generate;
mod sampler;
mod sampling;

pub use disk::DiskLimits;
pub use error::Error;
pub use generate::{Canceller, Engine, Event, Finish, FinishReason, Generation, Job, Limits};
pub use sampler::{Sampled, Sampler};
pub use sampling::Sampling;
