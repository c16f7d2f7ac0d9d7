//! The tests of the crate through its public edge.

#![expect(clippy::unwrap_used, reason = "a test that fails by unwrap says where")]

mod arithmetic;
mod chat;
mod copying;
mod document;
mod drawn;
mod form;
mod functions;
mod judge;
mod preamble;
mod python;
mod recall;
mod stream;
mod structured;
mod vocabulary;
