//! Making responses through the public edge: whole and as streams, with what clients send back of earlier ones.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod asking;
#[path = "../../src/published_schema.rs"]
mod published_schema;
mod random;
mod refusing;
mod remembering;
#[path = "../state/support.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod support;
