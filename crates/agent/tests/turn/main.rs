//! Turns over scripted models, through the crate's public edge.

#![expect(clippy::unwrap_used, reason = "a test that fails by unwrap says where")]

mod answers;
mod anything;
mod forgery;
mod forms;
mod held;
mod limits;
mod prompts;
mod raw;
mod steering;
mod stream;
mod tools;
