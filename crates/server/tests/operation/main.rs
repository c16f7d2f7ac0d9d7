//! Files and batches through the public edge. It must not know how they are kept.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod batches;
mod files;
mod support;
