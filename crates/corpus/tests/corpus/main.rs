//! The tests of the crate through its public edge.

#![expect(clippy::unwrap_used, reason = "a test that fails by unwrap says where")]

mod document;
mod form;
mod judge;
mod stream;
mod vocabulary;
