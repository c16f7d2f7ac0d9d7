//! A conversation as it lies in the store: its notes, its items, and which response it is lent to. It must not know HTTP.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use store::{Item, Order, PAGE_MAX, Page, Record, Replaced};
use tokio::task::JoinHandle;

use crate::app::App;
use crate::error::ApiError;
use crate::history::HistoryItem;
use crate::stored::{Stored, found, unix_seconds, unreadable};

/// The kind of record that a conversation is.
pub(crate) const KIND: &str = "conversation";
/// How long a conversation stays claimed by a process that says nothing more.
const CLAIM_SECONDS: i64 = 60;
/// How often a claim is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(20);

/// What a conversation has besides items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Conversation {
    /// Unix seconds.
    pub(crate) created_at: i64,
    /// The client's own notes.
    pub(crate) metadata: Map<String, Value>,
    /// The response that is being made in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    turn: Option<TurnClaim>,
}

/// Who has a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TurnClaim {
    /// The response.
    response: String,
    /// Unix seconds; `None` until the response has ended, which is then a stored one that nobody waits for.
    until: Option<i64>,
}

/// Responses of this process that have let go of their conversation, which the store does not know yet: whoever was answered may ask
/// at once for the next one.
#[derive(Debug, Default)]
pub(crate) struct GivenBack(Mutex<HashSet<String>>);

impl GivenBack {
    fn responses(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A conversation that is one response's alone. Dropping it gives the conversation back.
#[derive(Debug)]
pub(crate) struct Claim {
    app: App,
    owner: String,
    conversation: String,
    response: String,
    renewing: Option<JoinHandle<()>>,
    is_lent: bool,
}

impl Conversation {
    /// A new one.
    pub(crate) fn new(metadata: Map<String, Value>) -> Self {
        Self { created_at: unix_seconds(), metadata, turn: None }
    }

    /// The object that clients get.
    pub(crate) fn object(&self, id: &str) -> Value {
        let Self { created_at, metadata, turn: _ } = self;
        json!({ "id": id, "object": "conversation", "created_at": created_at, "metadata": metadata })
    }

    /// Keeps a new conversation with its first items. It never expires.
    ///
    /// # Errors
    /// Where the store fails or is full.
    pub(crate) async fn put(&self, app: &App, owner: &str, id: &str, items: Vec<HistoryItem>) -> Result<(), ApiError> {
        let record = Record {
            kind: KIND.to_owned(),
            owner: owner.to_owned(),
            id: id.to_owned(),
            body: self.body(),
            created: self.created_at,
            expires: None,
            version: 1,
        };
        let items = items.iter().map(kept).collect();
        let attached = store::Attached { items, ..store::Attached::default() };
        Ok(app.store().put_with(record, attached).await?)
    }

    /// An owner's conversation and its version.
    ///
    /// # Errors
    /// 404 if there is none; 500 where the store fails.
    pub(crate) async fn need(app: &App, owner: &str, id: &str) -> Result<(Self, i64), ApiError> {
        let record = found(app.store().get(KIND, owner, id).await)?;
        let record = record.ok_or_else(|| ApiError::not_found("conversation", id))?;
        let conversation = serde_json::from_str(&record.body).map_err(|error| unreadable(KIND, id, &error))?;
        Ok((conversation, record.version))
    }

    /// Changes a conversation, again if somebody else changes it meanwhile.
    ///
    /// # Errors
    /// What `change` refuses; 404 if there is none; where the store fails.
    pub(crate) async fn change(
        app: &App,
        owner: &str,
        id: &str,
        change: impl Fn(&mut Self) -> Result<(), ApiError>,
    ) -> Result<Self, ApiError> {
        loop {
            let (mut conversation, version) = Self::need(app, owner, id).await?;
            change(&mut conversation)?;
            match app.store().replace(KIND, owner, id, conversation.body(), Some(version)).await? {
                Replaced::Done { .. } => return Ok(conversation),
                Replaced::Missing => return Err(ApiError::not_found("conversation", id)),
                Replaced::Conflict { .. } => {}
            }
        }
    }

    fn body(&self) -> String {
        serde_json::to_string(self).expect("a conversation is made of strings and numbers")
    }
}

impl Claim {
    /// Takes a conversation for a response that somebody waits for, and keeps it.
    ///
    /// # Errors
    /// 404, or 409 while another response has it.
    pub(crate) async fn take(app: &App, owner: &str, conversation: &str, response: &str) -> Result<Self, ApiError> {
        mark(app, owner, conversation, response, Some(CLAIM_SECONDS)).await?;
        let (app, owner) = (app.clone(), owner.to_owned());
        let (conversation, response) = (conversation.to_owned(), response.to_owned());
        let mut claim = Self { app, owner, conversation, response, renewing: None, is_lent: false };
        let Self { app, owner, conversation, response, .. } = &claim;
        let (app, owner) = (app.clone(), owner.clone());
        let (conversation, response) = (conversation.clone(), response.clone());
        claim.renewing = Some(tokio::spawn(async move {
            loop {
                tokio::time::sleep(RENEW_EVERY).await;
                if mark(&app, &owner, &conversation, &response, Some(CLAIM_SECONDS)).await.is_err() {
                    break;
                }
            }
        }));
        Ok(claim)
    }

    /// Leaves the conversation to the response, a stored one that nobody waits for, until that has ended.
    ///
    /// # Errors
    /// Where the store fails.
    pub(crate) async fn into_lent(mut self) -> Result<(), ApiError> {
        if let Some(renewing) = self.renewing.take() {
            renewing.abort();
        }
        mark(&self.app, &self.owner, &self.conversation, &self.response, None).await?;
        self.is_lent = true;
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(renewing) = self.renewing.take() {
            renewing.abort();
        }
        let Self { app, owner, conversation, response, renewing: _, is_lent } = self;
        if *is_lent {
            return;
        }
        let (app, owner) = (app.clone(), std::mem::take(owner));
        let (conversation, response) = (std::mem::take(conversation), std::mem::take(response));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            app.given_back().responses().insert(response.clone());
            runtime.spawn(async move {
                release(&app, &owner, &conversation, &response).await;
                app.given_back().responses().remove(&response);
            });
        }
    }
}

/// Gives a conversation back, if this response has it.
pub(crate) async fn release(app: &App, owner: &str, conversation: &str, response: &str) {
    let given = Conversation::change(app, owner, conversation, |conversation| {
        if conversation.turn.as_ref().is_some_and(|turn| turn.response == response) {
            conversation.turn = None;
        }
        Ok(())
    });
    if let Err(error) = given.await {
        tracing::warn!(
            conversation,
            reason = error.message,
            "a conversation could not be given back; its claim runs out"
        );
    }
}

async fn mark(
    app: &App,
    owner: &str,
    conversation: &str,
    response: &str,
    seconds: Option<i64>,
) -> Result<(), ApiError> {
    // Whether a response that nobody waits for has ended is asked before: the change itself must not wait.
    let (before, _) = Conversation::need(app, owner, conversation).await?;
    let ended = match &before.turn {
        Some(TurnClaim { response, until: None }) => {
            Stored::get(app, owner, response).await?.is_none_or(|found| found.stored.has_ended())
        }
        Some(_) | None => false,
    };
    let marked = Conversation::change(app, owner, conversation, |conversation| {
        let now = unix_seconds();
        let free = match &conversation.turn {
            None => true,
            Some(turn) if turn.response == response => true,
            Some(turn) if app.given_back().responses().contains(&turn.response) => true,
            Some(TurnClaim { until: Some(until), .. }) => *until <= now,
            Some(turn @ TurnClaim { until: None, .. }) => ended && before.turn.as_ref() == Some(turn),
        };
        if !free {
            return Err(locked());
        }
        conversation.turn =
            Some(TurnClaim { response: response.to_owned(), until: seconds.map(|seconds| now + seconds) });
        Ok(())
    });
    marked.await.map(|_| ())
}

fn locked() -> ApiError {
    let message = "another response is being made in this conversation; try again when it has ended";
    let locked =
        ApiError::new(axum::http::StatusCode::CONFLICT, "invalid_request_error", Some("conversation_locked"), message);
    ApiError { param: Some("conversation".to_owned()), retry_after: Some(1), ..locked }
}

/// All items of a conversation, oldest first.
///
/// # Errors
/// 404 if there is none; 500 where the store fails.
pub(crate) async fn items(app: &App, owner: &str, id: &str) -> Result<Vec<HistoryItem>, ApiError> {
    let mut items = Vec::new();
    let mut after = None;
    loop {
        let page = Page { after, limit: PAGE_MAX, order: Order::Asc };
        let listed = found(app.store().items(KIND, owner, id, page).await.map(Some))?;
        let listed = listed.ok_or_else(|| ApiError::not_found("conversation", id))?;
        after = listed.items.last().map(|item| item.id.clone());
        for item in listed.items {
            items.push(read(&item)?);
        }
        if !listed.has_more {
            return Ok(items);
        }
    }
}

/// The items before one of them; nothing if the conversation or the item is gone.
///
/// # Errors
/// Where the store fails.
pub(crate) async fn before(
    app: &App,
    owner: &str,
    id: &str,
    first: Option<String>,
) -> Result<Vec<HistoryItem>, ApiError> {
    let mut items = match items(app, owner, id).await {
        Err(error) if error.status == axum::http::StatusCode::NOT_FOUND => return Ok(Vec::new()),
        items => items?,
    };
    let place = items.iter().position(|item| Some(item.id()) == first.as_deref());
    items.truncate(place.unwrap_or(0));
    Ok(items)
}

/// Adds what a response has said and was told. What is there already stays as it is; another item of the same id gets a new one.
///
/// # Errors
/// Where the store fails or is full.
pub(crate) async fn append(app: &App, owner: &str, id: &str, items: Vec<HistoryItem>) -> Result<(), ApiError> {
    let mut new: Vec<Item> = Vec::new();
    for mut item in items {
        let there = app.store().item(KIND, owner, id, item.id()).await?;
        let twice = new.iter().any(|other| other.id == item.id());
        if there.as_ref().is_some_and(|there| *there == kept(&item)) {
            continue;
        }
        if there.is_some() || twice {
            let prefix = item.id().split('_').next().unwrap_or("item").to_owned();
            item.value["id"] = Value::String(app.ids().next(&prefix));
        }
        new.push(kept(&item));
    }
    match app.store().append_items(KIND, owner, id, new).await {
        // Deleted while the response was made: there is nothing to add to.
        Err(store::Error::Missing { .. }) => Ok(()),
        added => Ok(added?),
    }
}

/// An item as it is kept.
pub(crate) fn kept(item: &HistoryItem) -> Item {
    let body = serde_json::to_string(item).expect("an item is made of strings and numbers");
    Item { id: item.id().to_owned(), body }
}

/// An item that was kept.
///
/// # Errors
/// 500 if it cannot be read.
pub(crate) fn read(item: &Item) -> Result<HistoryItem, ApiError> {
    serde_json::from_str(&item.body).map_err(|error| unreadable("item", &item.id, &error))
}

#[cfg(test)]
mod tests;
