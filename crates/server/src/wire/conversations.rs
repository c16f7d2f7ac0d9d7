//! Requests about conversations. It must not know how conversations are kept.

use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::wire::fields::{At, Fields};
use crate::wire::responses::{InputItem, read_metadata};

/// Items that may be added at once, as in OpenAI's API.
const ITEMS_MAX: usize = 20;

/// A request that creates a conversation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CreateConversation {
    /// The client's own notes.
    pub(crate) metadata: Map<String, Value>,
    /// The first items.
    pub(crate) items: Vec<InputItem>,
}

impl CreateConversation {
    /// Reads a request's body.
    ///
    /// # Errors
    /// The first field that is unknown or wrong, with its path.
    pub(crate) fn read(body: &Value) -> Result<Self, ApiError> {
        let fields = Fields::of_body(body)?;
        let metadata = fields.optional("metadata", read_metadata)?.unwrap_or_default();
        let items = fields.optional("items", read_list)?.unwrap_or_default();
        fields.finish()?;
        Ok(Self { metadata, items })
    }
}

/// New notes.
///
/// # Errors
/// The first field that is unknown, missing or wrong, with its path.
pub(crate) fn read_update(body: &Value) -> Result<Map<String, Value>, ApiError> {
    let fields = Fields::of_body(body)?;
    let metadata = read_metadata(fields.need("metadata")?)?;
    fields.finish()?;
    Ok(metadata)
}

/// Items to be added.
///
/// # Errors
/// The first field that is unknown, missing or wrong, with its path.
pub(crate) fn read_items(body: &Value) -> Result<Vec<InputItem>, ApiError> {
    let fields = Fields::of_body(body)?;
    let items = read_list(fields.need("items")?)?;
    fields.finish()?;
    Ok(items)
}

fn read_list(at: At<'_>) -> Result<Vec<InputItem>, ApiError> {
    let path = at.path.clone();
    let items = at.array()?;
    if items.len() > ITEMS_MAX {
        let message =
            format!("{path} has {} entries: expected at most {ITEMS_MAX}; add them in several requests", items.len());
        return Err(ApiError::invalid(path, message));
    }
    items.map(InputItem::read).collect()
}
