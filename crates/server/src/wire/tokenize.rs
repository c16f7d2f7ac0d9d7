//! Requests to turn text into tokens and back. It must not know a vocabulary.

use serde_json::Value;

use crate::error::ApiError;
use crate::wire::chat::ChatRequest;
use crate::wire::decoding::ids;
use crate::wire::fields::{At, Fields};

/// `POST /tokenize`.
#[derive(Clone, Debug)]
pub(crate) struct TokenizeRequest {
    /// The model's name; nothing where it does not matter.
    pub(crate) model: Option<String>,
    /// What is to become tokens.
    pub(crate) source: Source,
    /// Whether the text may spell control tokens.
    pub(crate) parse_special: bool,
    /// Whether the tokens' texts are told.
    pub(crate) with_texts: bool,
}

/// What is to become tokens.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A text as it is.
    Text(String),
    /// A conversation as the model sees it.
    Chat(Box<ChatRequest>),
}

/// `POST /detokenize`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DetokenizeRequest {
    /// The model's name; nothing where it does not matter.
    pub(crate) model: Option<String>,
    /// The tokens.
    pub(crate) ids: Vec<u32>,
}

impl TokenizeRequest {
    /// Reads a body. A conversation may come with everything that a chat completion takes; `names` are the model's.
    pub(crate) fn read(body: &Value, names: &[String]) -> Result<Self, ApiError> {
        let fields = Fields::of_body(body)?;
        let model = fields.optional("model", At::string)?;
        let with_texts = fields.optional("return_token_strs", At::bool)?.unwrap_or(false);
        let parse_special = fields.optional("parse_special", At::bool)?.unwrap_or(false);
        // No text of this vocabulary begins with a token of its own, and every conversation ends where the model goes on.
        fields.optional("add_special_tokens", At::bool)?;
        fields.optional("add_generation_prompt", only(true, "a conversation ends where the model goes on"))?;
        fields.optional("continue_final_message", only(false, "answers cannot be begun for the model"))?;
        if fields.get("messages").is_some() {
            let mut chat = body.clone();
            if let Value::Object(chat) = &mut chat {
                for own in OWN {
                    chat.remove(*own);
                }
                let name = model.clone().or_else(|| names.first().cloned()).unwrap_or_default();
                chat.insert("model".to_owned(), Value::String(name));
            }
            let source = Source::Chat(Box::new(ChatRequest::read(&chat)?));
            return Ok(Self { model, source, parse_special, with_texts });
        }
        // llama.cpp calls it content.
        let content = fields.get("content");
        let text = match (fields.get("prompt"), content) {
            (None, Some(at)) => at,
            (_, _) => fields.need("prompt")?,
        };
        let source = Source::Text(text.string()?);
        fields.finish()?;
        Ok(Self { model, source, parse_special, with_texts })
    }
}

/// Fields of a conversation to be tokenized that a chat completion does not have.
const OWN: &[&str] =
    &["return_token_strs", "parse_special", "add_special_tokens", "add_generation_prompt", "continue_final_message"];

/// The only value that can be honoured.
fn only(wanted: bool, why: &str) -> impl Fn(At<'_>) -> Result<(), ApiError> {
    move |at| if *at.value == wanted { Ok(()) } else { Err(at.expected(&format!("{wanted}: {why}"))) }
}

impl DetokenizeRequest {
    /// Reads a body.
    pub(crate) fn read(body: &Value) -> Result<Self, ApiError> {
        let fields = Fields::of_body(body)?;
        let request = Self { model: fields.optional("model", At::string)?, ids: fields.need("tokens").and_then(ids)? };
        fields.optional("skip_special_tokens", At::bool)?;
        fields.finish()?;
        Ok(request)
    }
}
