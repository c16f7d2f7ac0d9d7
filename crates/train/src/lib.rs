//! Training of gpt-oss models: forward and backward passes, the optimiser, and the files that keep a run safe.
//!
//! It must not know HTTP, scheduling, or where samples come from: it is given token ids with weights.

pub mod digest;
pub mod durable;
mod error;
pub mod export;
mod parameters;
pub mod quantise;
mod sample;
pub mod state;

pub use error::Error;
pub use parameters::{Layout, TensorKind, TensorSpec};
pub use sample::Sample;
pub use state::State;
