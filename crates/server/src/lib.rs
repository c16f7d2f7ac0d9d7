//! HTTP: OpenAI's Responses, Conversations, Chat Completions and Completions, Anthropic's Messages, and what operators need. All of
//! them are projections of one typed event stream, [`agent::Turn`]. It must not know kernels, nor how a turn is computed.

mod app;
mod background;
mod batches;
mod caller;
mod compaction;
mod conversation;
#[cfg(test)]
mod dialects;
mod error;
mod files;
mod follow;
mod foreground;
mod form_body;
mod front;
mod hexadecimal;
mod history;
mod ids;
mod jobs;
mod json_body;
mod keys;
mod lane;
mod life;
mod listener;
mod live_body;
mod lower;
mod metrics;
mod openapi;
mod project;
#[cfg(test)]
mod published_schema;
mod random;
mod routes;
mod seal;
mod settings;
mod sse;
mod stored;
mod thoughts;
mod together;
mod traces;
mod turns;
mod wire;

pub use app::{App, Parts};
pub use background::Workers;
pub use keys::{KeyLimits, Keys};
pub use life::{Life, Phase};
pub use listener::{Bound, Listen, ServeError};
pub use routes::router;
pub use settings::{Date, HostedTools, Settings};
