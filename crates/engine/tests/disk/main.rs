//! The disk tier through its public edge: what it gives back, what it keeps, what it survives.

#![expect(clippy::unwrap_used, reason = "a test that fails by unwrap says where")]

mod damage;
mod failing;
mod keys;
mod killed;
mod queue;
mod room;
mod shared;
mod shelf;
