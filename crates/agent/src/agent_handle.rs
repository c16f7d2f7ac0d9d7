//! The handle.

/// The model's side.
#[derive(Clone)]
pub struct Agent;
