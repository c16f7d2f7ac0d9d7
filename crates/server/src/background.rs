//! Responses that nobody waits for: queued in the store, computed by whichever replica is free, told by their log. It must not know
//! HTTP.
//!
//! A response is computed in attempts. Each begins the turn anew, with the same seed, the same date and the same names, so that it
//! says the same again: what the log has already is only compared, and the log goes on behind it. So a client that resumes its
//! stream after a crash sees one stream. Where an attempt says something else (another machine, another model, a tool that answers
//! differently), the response fails and says so, rather than telling two stories.
//!
//! The record is what counts. It is replaced once, with everything that the response has become, by whoever still holds the job and
//! finds the version that it began from. The event that ends the stream is written to the log behind it.

mod attempt;
pub(crate) mod log;
mod worker;

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::Value;
use store::{JobState, NewJob, Replaced, record_channel};

use crate::app::App;
use crate::caller::Caller;
use crate::conversation::{self, Claim};
use crate::error::ApiError;
use crate::history::{HistoryItem, Source};
use crate::stored::{KIND, Pending, Stored, Versioned};
use log::End;

pub use worker::Workers;

/// The queue in the store.
const QUEUE: &str = "responses";
/// How long whoever cancels waits for the worker, which may be in another process, before ending the response in its stead.
const CANCEL_WAIT: Duration = Duration::from_secs(5);

/// A response that was accepted and is to be computed.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    /// The response object, `queued`.
    pub(crate) response: Value,
    /// The events that tell so, numbered from 0.
    pub(crate) events: Vec<Value>,
    /// What it continues.
    pub(crate) source: Source,
    /// Its input as items with ids.
    pub(crate) input: Vec<HistoryItem>,
    /// What is needed to compute it.
    pub(crate) pending: Pending,
}

/// Keeps a response and queues it.
///
/// # Errors
/// 409 where its conversation has another one; where the store fails or is full.
pub(crate) async fn enqueue(app: &App, caller: &Caller, accepted: Accepted) -> Result<(), ApiError> {
    let Accepted { response, events, source, input, pending } = accepted;
    let output_tokens = Vec::new();
    let stored = Stored { response, source, input, output_tokens, pending: Some(pending), last_event: None };
    let (owner, id) = (&caller.owner, stored.id());
    // Kept before its conversation is lent to it: a claim whose response is nowhere is void.
    let job = NewJob { queue: QUEUE.to_owned(), owner: owner.clone(), id: id.to_owned(), body: String::new() };
    let claim = match &stored.source {
        Source::Conversation(conversation) => Some(Claim::take(app, owner, conversation, id).await?),
        Source::Nothing | Source::Response(_) => None,
    };
    stored.put(app, owner, Some(job)).await?;
    // Only now: a conversation that is lent to a response that is nowhere is free.
    if let Some(claim) = claim {
        claim.into_lent().await?;
    }
    // The worker may have begun already; it tells the same.
    let events = events.iter().map(Value::to_string).collect();
    Ok(app.store().append_events(KIND, owner, id, 0, events, None).await?)
}

/// Asks that a response end, and gives it as it then is. Asking twice, or after the end, changes nothing.
///
/// # Errors
/// 404 if there is none, 400 if somebody waits for it; where the store fails.
pub(crate) async fn cancel(app: &App, caller: &Caller, id: &str) -> Result<Value, ApiError> {
    let owner = &caller.owner;
    let Versioned { stored, .. } = Stored::need(app, owner, id).await?;
    if !stored.is_background() {
        let message = "only a response made with background: true can be cancelled; close the connection to end another one";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_request_error", Some("not_background"), message));
    }
    if stored.has_ended() {
        return Ok(stored.response);
    }
    let mut watch = app.store().watch(&record_channel(KIND, owner, id));
    let asked = app.store().ask_cancel(QUEUE, owner, id).await?;
    let until = Instant::now() + CANCEL_WAIT;
    while asked == Some(JobState::Held) {
        let Versioned { stored, .. } = Stored::need(app, owner, id).await?;
        if stored.has_ended() {
            return Ok(stored.response);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        watch.changed(left).await;
    }
    end(app, owner, id, &End::Cancelled).await?.ok_or_else(|| ApiError::not_found("response", id))
}

/// Removes a response; what computes it stops.
///
/// # Errors
/// 404 if there is none; where the store fails.
pub(crate) async fn delete(app: &App, caller: &Caller, id: &str) -> Result<(), ApiError> {
    let owner = &caller.owner;
    let found = Stored::need(app, owner, id).await?;
    app.store().delete(KIND, owner, id).await?;
    if !found.stored.has_ended() {
        app.store().ask_cancel(QUEUE, owner, id).await?;
        if let Source::Conversation(conversation) = &found.stored.source {
            conversation::release(app, owner, conversation, id).await;
        }
    }
    Ok(())
}

/// Ends a response where its log stands, unless it has ended; gives it as it then is, or `None` if it was deleted.
///
/// # Errors
/// Where the store fails.
async fn end(app: &App, owner: &str, id: &str, how: &End) -> Result<Option<Value>, ApiError> {
    loop {
        let Some(Versioned { mut stored, version }) = Stored::get(app, owner, id).await? else { return Ok(None) };
        if stored.has_ended() {
            return Ok(Some(stored.response));
        }
        log::conclude(&mut stored, &log::read(app, owner, id).await?, how.clone());
        match stored.replace(app, owner, version).await? {
            Replaced::Conflict { .. } => {}
            Replaced::Missing => return Ok(None),
            Replaced::Done { .. } => {
                ended(app, owner, &stored).await;
                return Ok(Some(stored.response));
            }
        }
    }
}

/// What follows once the record says that a response has ended.
async fn ended(app: &App, owner: &str, stored: &Stored) {
    if let Source::Conversation(conversation) = &stored.source {
        conversation::release(app, owner, conversation, stored.id()).await;
    }
    let Some(last) = &stored.last_event else { return };
    let number = last["sequence_number"].as_i64().unwrap_or(0);
    let told = app.store().append_events(KIND, owner, stored.id(), number, vec![last.to_string()], None);
    if let Err(error) = told.await {
        // Readers find it in the record.
        tracing::debug!(%error, response = stored.id(), "the last event is not in the log");
    }
}
