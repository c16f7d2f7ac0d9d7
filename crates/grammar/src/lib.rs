//! Grammars over tokens: which tokens may continue a text that must fit a JSON Schema, a regular expression or a grammar. It must not
//! know conversations, requests or HTTP.

mod compile;
mod error;
mod grammar;
mod lark;
mod limits;
mod recent;
mod rules;
mod schema;
mod source;
mod tokens;

pub use error::Error;
pub use grammar::{Grammar, Matcher};
pub use limits::Limits;
pub use source::{Mode, Source};
pub use tokens::Tokens;
