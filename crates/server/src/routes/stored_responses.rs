//! Responses that are kept: retrieve, stream again, cancel, delete, list the input. It must not know how they are made.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::app::App;
use crate::background;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::follow;
use crate::history::HistoryItem;
use crate::json_body::JsonBody;
use crate::project::include::Include;
use crate::project::list;
use crate::stored::{Stored, Versioned};
use crate::wire::query::Query;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/responses/{id}", get(retrieve).delete(delete))
        .route("/responses/{id}/cancel", post(cancel))
        .route("/responses/{id}/input_items", get(input_items))
}

async fn retrieve(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Response, ApiError> {
    let include = Include::read(&query)?;
    let stream = query.flag("stream")?;
    let after = query.integer("starting_after", 0, i64::MAX)?;
    let obfuscate = query.flag("include_obfuscation")?;
    let obfuscate = query.text("include_obfuscation").map(|_| obfuscate);
    query.finish()?;
    let Versioned { stored, .. } = Stored::need(&app, &caller.owner, &id).await?;
    if stream {
        if !stored.is_background() {
            let message =
                format!("response {id:?} has no stream: only those made with background: true can be streamed again");
            return Err(ApiError::invalid("stream", message));
        }
        return Ok(follow::stream(&app, &caller.owner, &id, after.unwrap_or(-1), obfuscate));
    }
    if after.is_some() {
        return Err(ApiError::invalid("starting_after", "starting_after is for streams; add stream=true"));
    }
    let mut response = stored.response.clone();
    if !stored.output_tokens.is_empty() {
        let output = stored.output().into_iter().map(|item| include.shown(&app, &caller, item)).collect();
        response["output"] = Value::Array(output);
    }
    Ok(JsonBody(response).into_response())
}

async fn delete(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<JsonBody, ApiError> {
    background::delete(&app, &caller, &id).await?;
    Ok(JsonBody(json!({ "id": id, "object": "response", "deleted": true })))
}

async fn cancel(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<JsonBody, ApiError> {
    background::cancel(&app, &caller, &id).await.map(JsonBody)
}

async fn input_items(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<JsonBody, ApiError> {
    let include = Include::read(&query)?;
    let page = query.page()?;
    query.finish()?;
    let Versioned { stored, .. } = Stored::need(&app, &caller.owner, &id).await?;
    let (items, has_more) = list::page(stored.input, &page, HistoryItem::id)?;
    let items = items.into_iter().map(|item| include.shown(&app, &caller, item)).collect();
    Ok(JsonBody(list::object(items, has_more)))
}
