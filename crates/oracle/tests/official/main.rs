//! Our harmony and OpenAI's side by side, on random input.

#![expect(clippy::unwrap_used, reason = "a test that fails by unwrap says where")]

mod conversations;
mod library;
mod parse;
mod render;
mod tokenize;
