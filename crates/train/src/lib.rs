//! Training of gpt-oss models: forward and backward passes, the optimiser, and the files that keep a run safe.
//!
//! It must not know HTTP, scheduling, or where samples come from: it is given token ids with weights.

mod batch;
pub mod curve;
pub mod digest;
pub mod durable;
mod error;
pub mod estimate;
mod experts;
pub mod export;
mod initial;
mod layer;
mod loss;
pub mod metrics;
mod parameters;
pub mod quantise;
pub mod recipe;
mod rotary;
mod routing;
mod sample;
pub mod state;
mod trainer;

pub use error::Error;
pub use parameters::{Layout, TensorKind, TensorSpec};
pub use sample::Sample;
pub use state::State;
pub use trainer::{Options, Report, Trainer};
