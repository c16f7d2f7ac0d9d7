//! Conversations and their items. It must not know how responses are made.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use serde_json::{Map, Value, json};
use store::Page;

use crate::app::App;
use crate::caller::Caller;
use crate::conversation::{self, Conversation};
use crate::error::ApiError;
use crate::history::HistoryItem;
use crate::json_body::JsonBody;
use crate::lower::items;
use crate::project::include::Include;
use crate::project::list;
use crate::stored::found;
use crate::wire::conversations::{CreateConversation, read_items, read_update};
use crate::wire::query::{PageQuery, Query};
use crate::wire::responses::{InputItem, Meaning};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/conversations", post(create))
        .route("/conversations/{id}", get(retrieve).post(update).delete(delete))
        .route("/conversations/{id}/items", get(list_items).post(add_items))
        .route("/conversations/{id}/items/{item}", get(item).delete(delete_item))
}

async fn create(State(app): State<App>, caller: Caller, JsonBody(body): JsonBody) -> Result<JsonBody, ApiError> {
    let CreateConversation { metadata, items } = CreateConversation::read(&body)?;
    let items = kept_items(&app, &caller, &[], &items).await?;
    let id = app.ids().next("conv");
    let conversation = Conversation::new(metadata);
    conversation.put(&app, &caller.owner, &id, items).await?;
    Ok(JsonBody(conversation.object(&id)))
}

async fn retrieve(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<JsonBody, ApiError> {
    let (conversation, _) = Conversation::need(&app, &caller.owner, &id).await?;
    Ok(JsonBody(conversation.object(&id)))
}

async fn update(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<JsonBody, ApiError> {
    let metadata: Map<String, Value> = read_update(&body)?;
    let change = |conversation: &mut Conversation| {
        conversation.metadata.clone_from(&metadata);
        Ok(())
    };
    let conversation = Conversation::change(&app, &caller.owner, &id, change).await?;
    Ok(JsonBody(conversation.object(&id)))
}

async fn delete(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<JsonBody, ApiError> {
    let (owner, store) = (&caller.owner, app.store());
    Conversation::need(&app, owner, &id).await?;
    store.delete(conversation::KIND, owner, &id).await?;
    Ok(JsonBody(json!({ "id": id, "object": "conversation.deleted", "deleted": true })))
}

async fn list_items(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<JsonBody, ApiError> {
    let include = Include::read(&query)?;
    let PageQuery { after, limit, order } = query.page()?;
    query.finish()?;
    Conversation::need(&app, &caller.owner, &id).await?;
    let page = Page { after, limit, order };
    let listed = app.store().items(conversation::KIND, &caller.owner, &id, page).await?;
    let mut data = Vec::new();
    for item in &listed.items {
        data.push(include.shown(&app, &caller, conversation::read(item)?));
    }
    Ok(JsonBody(list::object(data, listed.has_more)))
}

async fn add_items(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
    JsonBody(body): JsonBody,
) -> Result<JsonBody, ApiError> {
    let include = Include::read(&query)?;
    query.finish()?;
    let items = read_items(&body)?;
    Conversation::need(&app, &caller.owner, &id).await?;
    // Only outputs, and what may turn out to be one, ask for what is there already.
    let may_answer = |item: &InputItem| matches!(item.meaning, Meaning::Output { .. } | Meaning::Reference(_));
    let earlier =
        if items.iter().any(may_answer) { conversation::items(&app, &caller.owner, &id).await? } else { Vec::new() };
    let items = kept_items(&app, &caller, &earlier, &items).await?;
    let kept = items.iter().map(conversation::kept).collect();
    app.store().append_items(conversation::KIND, &caller.owner, &id, kept).await?;
    let shown = |item: HistoryItem| include.shown(&app, &caller, item);
    Ok(JsonBody(list::object(items.into_iter().map(shown).collect(), false)))
}

async fn item(
    State(app): State<App>,
    caller: Caller,
    Path((id, item)): Path<(String, String)>,
    query: Query,
) -> Result<JsonBody, ApiError> {
    let include = Include::read(&query)?;
    query.finish()?;
    Conversation::need(&app, &caller.owner, &id).await?;
    let kept = found(app.store().item(conversation::KIND, &caller.owner, &id, &item).await)?;
    let kept = kept.ok_or_else(|| ApiError::not_found("item of this conversation", &item))?;
    Ok(JsonBody(include.shown(&app, &caller, conversation::read(&kept)?)))
}

async fn delete_item(
    State(app): State<App>,
    caller: Caller,
    Path((id, item)): Path<(String, String)>,
) -> Result<JsonBody, ApiError> {
    let (conversation, _) = Conversation::need(&app, &caller.owner, &id).await?;
    let deleted = app.store().delete_item(conversation::KIND, &caller.owner, &id, &item).await;
    if found(deleted.map(Some))? != Some(true) {
        return Err(ApiError::not_found("item of this conversation", &item));
    }
    Ok(JsonBody(conversation.object(&id)))
}

/// New items behind these, as they are kept: with ids, and what they only name put in.
async fn kept_items(
    app: &App,
    caller: &Caller,
    earlier: &[HistoryItem],
    items: &[InputItem],
) -> Result<Vec<HistoryItem>, ApiError> {
    let mut kept = Vec::new();
    for item in items {
        kept.push(items::kept(app, caller, item).await?);
    }
    items::check_new_outputs(earlier, items, &kept)?;
    Ok(kept)
}
