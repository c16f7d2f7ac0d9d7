//! The tests of the crate through its public edge; goldens come from the official library, never from our own output.

#![expect(clippy::unwrap_used, reason = "a test that fails by unwrap says where")]

mod fuzz;
mod golden;
mod header_safety;
mod naive_twin;
mod properties;
mod random_merges;
mod recovery;
mod render_rules;
mod schemas;
mod text_stream;
mod tokenizer_files;
mod vocabulary;
