//! Text to tokens and back: the vocabulary, the rendering of a conversation, and the parser of what the model writes.
//!
//! This room must not know the model, sampling, HTTP or any wire format. Its three promises:
//!
//! - text that people or tools supply can never become a control token ([`Vocabulary::encode`]);
//! - a rendered conversation equals the official library's, token for token ([`Renderer`]);
//! - whatever tokens a model emits, the parser gives a well-formed turn ([`Parser`]).

mod builtin_tools;
mod chat;
mod chat_content;
mod conversation;
mod error;
mod parse;
mod render;
mod text_stream;
mod vocabulary;

pub use chat::{Author, Content, Message, Role};
pub use chat_content::{
    ChannelConfig, DeveloperContent, ReasoningEffort, ResponseFormat, SystemContent, ToolDescription, ToolNamespace,
};
pub use conversation::Conversation;
pub use error::Error;
pub use parse::{
    Collector, Event, HEADER_FIELD_BYTES_MAX, HEADER_TOKENS_MAX, Header, ParsedMessage, Parser, Strictness, Terminator,
    parse_all,
};
pub use render::{AnalysisPolicy, RenderOptions, Renderer, SchemaRendering};
pub use text_stream::TextStream;
pub use vocabulary::{GgufTokenizer, HarmonyIds, VOCABULARY_TOKENS_MAX, Vocabulary};
