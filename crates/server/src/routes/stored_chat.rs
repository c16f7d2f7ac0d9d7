//! Chat completions that are kept: list, retrieve, change their metadata, delete, list their messages. It must not know how they are
//! made.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Order, Page, Record, Replaced};

use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::json_body::JsonBody;
use crate::project::list;
use crate::stored::{self, found, unix_seconds, unreadable};
use crate::wire::chat;
use crate::wire::fields::Fields;
use crate::wire::query::{PageQuery, Query};

/// The kind of record that a kept completion is.
const KIND: &str = "chat_completion";
/// Completions that are looked at for one page of a filtered list.
const LOOKED_AT_MAX: usize = 10_000;
/// Times that a change is tried again because another came between.
const CHANGES_MAX: usize = 16;

/// A completion and the conversation that it answers.
#[derive(Serialize, Deserialize)]
struct Kept {
    completion: Value,
    messages: Vec<Value>,
}

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/chat/completions/{id}", get(retrieve).post(update).delete(delete))
        .route("/chat/completions/{id}/messages", get(messages))
}

/// Keeps a completion.
pub(crate) async fn keep(app: &App, caller: &Caller, completion: Value, messages: &[Value]) -> Result<(), ApiError> {
    let created = unix_seconds();
    let id = completion["id"].as_str().unwrap_or_default().to_owned();
    let record = Record {
        kind: KIND.to_owned(),
        owner: caller.owner.clone(),
        id,
        body: Kept { completion, messages: messages.to_vec() }.body(),
        created,
        expires: stored::expiry(app, created),
        version: 1,
    };
    Ok(app.store().put(record).await?)
}

impl Kept {
    fn body(&self) -> String {
        serde_json::to_string(self).expect("JSON values can be written")
    }

    fn of(record: &Record) -> Result<Self, ApiError> {
        serde_json::from_str(&record.body).map_err(|error| unreadable(KIND, &record.id, &error))
    }

    /// Whether it has what a list is asked for.
    fn fits(&self, model: Option<&str>, metadata: &[(String, String)]) -> bool {
        let pair = |(name, value): &(String, String)| self.completion["metadata"][name] == value.as_str();
        model.is_none_or(|model| self.completion["model"] == model) && metadata.iter().all(pair)
    }
}

async fn need(app: &App, caller: &Caller, id: &str) -> Result<(Kept, i64), ApiError> {
    let record = found(app.store().get(KIND, &caller.owner, id).await)?;
    let record = record.ok_or_else(|| ApiError::not_found("chat completion", id))?;
    Ok((Kept::of(&record)?, record.version))
}

async fn retrieve(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<JsonBody, ApiError> {
    need(&app, &caller, &id).await.map(|(kept, _)| JsonBody(kept.completion))
}

async fn update(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<JsonBody, ApiError> {
    let fields = Fields::of_body(&body)?;
    let metadata = fields.need("metadata").and_then(chat::metadata)?;
    fields.finish()?;
    for _ in 0..CHANGES_MAX {
        let (mut kept, version) = need(&app, &caller, &id).await?;
        kept.completion["metadata"] = metadata.clone();
        match app.store().replace(KIND, &caller.owner, &id, kept.body(), Some(version)).await? {
            Replaced::Done { .. } => return Ok(JsonBody(kept.completion)),
            Replaced::Missing => return Err(ApiError::not_found("chat completion", &id)),
            Replaced::Conflict { .. } => {}
        }
    }
    Err(ApiError::overloaded("the chat completion is being changed by others all the time; try again"))
}

async fn delete(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<JsonBody, ApiError> {
    need(&app, &caller, &id).await?;
    app.store().delete(KIND, &caller.owner, &id).await?;
    Ok(JsonBody(json!({ "object": "chat.completion.deleted", "id": id, "deleted": true })))
}

async fn messages(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<JsonBody, ApiError> {
    let page = oldest_first(&query)?;
    query.finish()?;
    let (kept, _) = need(&app, &caller, &id).await?;
    let named = |(index, message): (usize, Value)| {
        let mut message = message;
        let parts = message["content"].is_array().then(|| message["content"].take());
        message["id"] = json!(format!("{id}-{index}"));
        message["content_parts"] = parts.unwrap_or_default();
        message
    };
    let all = kept.messages.into_iter().enumerate().map(named).collect();
    let (messages, has_more) = list::page(all, &page, |message: &Value| message["id"].as_str().unwrap_or_default())?;
    Ok(JsonBody(list::object(messages, has_more)))
}

pub(crate) async fn list(State(app): State<App>, caller: Caller, query: Query) -> Result<JsonBody, ApiError> {
    let page = oldest_first(&query)?;
    let model = query.text("model").map(str::to_owned);
    let metadata = query.pairs("metadata");
    query.finish()?;
    let limit = page.limit as usize;
    let mut after = page.after;
    let mut found = Vec::new();
    let mut looked_at = 0;
    loop {
        let wanted = Page { after: after.clone(), limit: 100, order: page.order };
        let listed = app.store().list(KIND, &caller.owner, wanted).await?;
        looked_at += listed.records.len();
        after = listed.records.last().map(|record| record.id.clone());
        for record in &listed.records {
            let kept = Kept::of(record)?;
            if kept.fits(model.as_deref(), &metadata) {
                found.push(kept.completion);
            }
        }
        if found.len() > limit || !listed.has_more || looked_at >= LOOKED_AT_MAX {
            let has_more = found.len() > limit || listed.has_more;
            found.truncate(limit);
            return Ok(JsonBody(list::object(found, has_more)));
        }
    }
}

/// These lists begin with the oldest unless told otherwise.
fn oldest_first(query: &Query) -> Result<PageQuery, ApiError> {
    let page = query.page()?;
    Ok(if query.text("order").is_none() { PageQuery { order: Order::Asc, ..page } } else { page })
}
