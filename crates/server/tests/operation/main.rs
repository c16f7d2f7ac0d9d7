//! Files and batches through the public edge. It must not know how they are kept.

mod batches;
mod files;
mod support;
