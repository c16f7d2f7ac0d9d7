//! HTTP: OpenAI's Responses, Conversations, Chat Completions and Completions, Anthropic's Messages, and what operators need. All of
//! them are projections of one typed event stream, [`agent::Turn`]. It must not know kernels, nor how a turn is computed.

mod app;
mod caller;
mod error;
mod history;
mod ids;
mod json_body;
mod routes;
mod seal;
mod sse;
mod thoughts;
mod wire;

pub use app::{App, Parts};
pub use routes::router;
