//! Tests of the APIs besides Responses as their clients speak them, over a model that says what a test wants to hear.

mod any_tokens;
mod chat;
mod completions;
mod loops;
mod messages;
mod models;
mod stored;
mod support;
