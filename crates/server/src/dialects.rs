//! Tests of the APIs besides Responses as their clients speak them, over a model that says what a test wants to hear; and of all APIs
//! over one that says anything, held to what was asked for.

mod any_tokens;
mod chat;
mod completions;
mod held;
mod hostile;
mod loops;
mod messages;
mod models;
mod stored;
mod support;
mod unenforceable;
