//! Drafts without a model, at the public edge: n-grams against a slow twin, costs, pace, and all of them over real texts.

#![expect(clippy::unwrap_used, reason = "a test that fails by unwrap says where")]

mod costs;
mod ngrams;
mod pace;
mod simulation;
mod texts;
