//! What a response begins from: an earlier response or a conversation, and new items. It must not know how they are kept.

use serde_json::{Value, json};

use super::item::{self, Meaning};
use crate::error::ApiError;
use crate::history::Source;
use crate::wire::fields::{At, Fields};

/// Items of one request.
const ITEMS_MAX: usize = 100_000;

/// A new item.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InputItem {
    /// Where it stands in the request.
    pub(crate) path: String,
    /// The item as it came; a text is a message of the user's.
    pub(crate) value: Value,
    /// What it means.
    pub(crate) meaning: Meaning,
}

pub(super) fn read_source(fields: &Fields<'_>) -> Result<Source, ApiError> {
    let previous = fields.optional("previous_response_id", At::string)?;
    let conversation = fields.optional("conversation", |at| match at.value {
        Value::Object(_) => at.object()?.need("id")?.string(),
        _ => at.string(),
    })?;
    match (previous, conversation) {
        (None, None) => Ok(Source::Nothing),
        (Some(id), None) => Ok(Source::Response(id)),
        (None, Some(id)) => Ok(Source::Conversation(id)),
        (Some(_), Some(_)) => {
            let message = "previous_response_id and conversation are both given; a response continues one of them";
            Err(ApiError::invalid("previous_response_id", message))
        }
    }
}

pub(super) fn read_input(at: At<'_>) -> Result<Vec<InputItem>, ApiError> {
    if let Some(text) = at.value.as_str() {
        let value = json!({ "type": "message", "role": "user", "content": [{ "type": "input_text", "text": text }] });
        let meaning = Meaning::Message { role: item::Role::User, text: text.to_owned() };
        return Ok(vec![InputItem { path: at.path, value, meaning }]);
    }
    if !at.value.is_array() {
        return Err(at.expected("a text or an array of items"));
    }
    let path = at.path.clone();
    let elements = at.array()?;
    if elements.len() > ITEMS_MAX {
        let message = format!("{path} has {} items: expected at most {ITEMS_MAX}; shorten it", elements.len());
        return Err(ApiError::invalid(path, message));
    }
    elements.map(InputItem::read).collect()
}

impl InputItem {
    /// Reads one item.
    ///
    /// # Errors
    /// What it has that cannot be had, with its path.
    pub(crate) fn read(at: At<'_>) -> Result<Self, ApiError> {
        let At { value, path } = at.clone();
        let meaning = Meaning::read(at)?;
        Ok(Self { path, value: value.clone(), meaning })
    }
}
