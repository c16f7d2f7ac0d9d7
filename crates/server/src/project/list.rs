//! Lists as clients get them, page by page. It must not know what is listed.

use serde_json::{Value, json};

use crate::error::ApiError;

/// A page: objects with ids. An empty page has empty ids, since the published schema knows no null there.
pub(crate) fn object(data: Vec<Value>, has_more: bool) -> Value {
    let id = |entry: Option<&Value>| entry.and_then(|entry| entry["id"].as_str()).unwrap_or_default().to_owned();
    let (first, last) = (id(data.first()), id(data.last()));
    json!({ "object": "list", "data": data, "first_id": first, "last_id": last, "has_more": has_more })
}

/// A page was to begin behind something that is not in the list.
pub(crate) fn unknown_after(after: &str) -> ApiError {
    ApiError::invalid(
        "after",
        format!("after is {after:?}, which is not in the list; give the id of one of its entries"),
    )
}
