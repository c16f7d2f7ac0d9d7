//! The tests of the crate through its public edge, over a scripted model.

#![expect(clippy::unwrap_used, reason = "a test that fails by unwrap says where")]

mod cancelling;
mod limits;
mod prompt;
mod settings;
mod turns;
mod watched;
