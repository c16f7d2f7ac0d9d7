//! The tests of the crate through its public edge, over a scripted model.

#![expect(clippy::unwrap_used, reason = "a test that fails by unwrap says where")]

mod cancelling;
mod choices;
mod constrained;
mod draining;
mod limits;
mod logprobs;
mod polling;
mod prefixes;
mod prompt;
mod settings;
mod together;
mod turns;
mod watched;
