//! Lists as clients get them, page by page. It must not know what is listed.

use serde_json::{Value, json};
use store::Order;

use crate::error::ApiError;
use crate::wire::query::PageQuery;

/// A page: objects with ids. An empty page has empty ids, since the published schema knows no null there.
pub(crate) fn object(data: Vec<Value>, has_more: bool) -> Value {
    let id = |entry: Option<&Value>| entry.and_then(|entry| entry["id"].as_str()).unwrap_or_default().to_owned();
    let (first, last) = (id(data.first()), id(data.last()));
    json!({ "object": "list", "data": data, "first_id": first, "last_id": last, "has_more": has_more })
}

/// A page of a whole list that is given oldest first, and whether more follows.
///
/// # Errors
/// When the page is to begin behind something that is not in the list.
pub(crate) fn page<T>(
    mut entries: Vec<T>,
    page: &PageQuery,
    id: impl Fn(&T) -> &str,
) -> Result<(Vec<T>, bool), ApiError> {
    if page.order == Order::Desc {
        entries.reverse();
    }
    if let Some(after) = &page.after {
        let place = entries.iter().position(|entry| id(entry) == after);
        entries.drain(..=place.ok_or_else(|| unknown_after(after))?);
    }
    let limit = page.limit as usize;
    let has_more = entries.len() > limit;
    entries.truncate(limit);
    Ok((entries, has_more))
}

fn unknown_after(after: &str) -> ApiError {
    ApiError::invalid(
        "after",
        format!("after is {after:?}, which is not in the list; give the id of one of its entries"),
    )
}
