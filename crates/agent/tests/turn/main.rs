//! Turns over scripted models, through the crate's public edge.

mod answers;
mod stream;
