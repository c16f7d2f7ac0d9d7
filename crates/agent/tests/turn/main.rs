//! Turns over scripted models, through the crate's public edge.

mod answers;
mod anything;
mod limits;
mod prompts;
mod raw;
mod steering;
mod stream;
mod tools;
