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
mod conclusion;
pub(crate) mod log;
mod retell;
mod worker;

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::Value;
use store::{JobState, NewJob, Replaced, record_channel};

use crate::app::App;
use crate::caller::Caller;
use crate::conversation::{self, Claim};
use crate::error::ApiError;
use crate::front::record;
use crate::history::{self, Source};
use crate::lower::responses::{Lowered, refused, turn_request};
use crate::project::responses::{Defaults, Mint, Options, Projection, ResponseHead, item_names};
use crate::seal;
use crate::stored::{KIND, Pending, Stored, Versioned, unix_seconds};
use crate::wire::responses::CreateResponse;
use conclusion::{End, conclude};

pub use worker::Workers;

/// The queue in the store.
const QUEUE: &str = "responses";
/// How long whoever cancels waits for the worker, which may be in another process, before ending the response in its stead.
const CANCEL_WAIT: Duration = Duration::from_secs(5);

/// Accepts a request: its response is kept and queued, and given as it is, `queued`. `body` is what `create` was read from.
///
/// # Errors
/// What is wrong with the request, 409 where its conversation has another response; where the store fails or is full.
pub(crate) async fn accept(
    app: &App,
    caller: &Caller,
    body: Value,
    create: &CreateResponse,
) -> Result<Value, ApiError> {
    let id = app.ids().next("resp");
    let claim = history::claim(app, caller, &create.source, &id).await?;
    let history = history::load(app, caller, &create.source).await?;
    let Lowered { request, input } = turn_request(app, caller, create, &history).await?;
    // What the agent refuses is refused now, not when nobody looks.
    app.agent().check(&request).await.map_err(|error| refused(create, error))?;
    let mut projection = projection(app, caller, create, &id, unix_seconds());
    let events = projection.queue();
    let pending = Pending {
        request: body,
        seed: request.sampling.seed,
        date: request.date,
        tries: 0,
        history_items: history.len(),
        key: record::current_key(),
    };
    let stored = Stored {
        response: projection.response(),
        source: create.source.clone(),
        input,
        output_tokens: Vec::new(),
        pending: Some(pending),
        last_event: None,
    };
    enqueue(app, &caller.owner, &stored, &events, claim).await?;
    Ok(stored.response)
}

async fn enqueue(
    app: &App,
    owner: &str,
    stored: &Stored,
    events: &[Value],
    claim: Option<Claim>,
) -> Result<(), ApiError> {
    let id = stored.id();
    let job = NewJob { queue: QUEUE.to_owned(), owner: owner.to_owned(), id: id.to_owned(), body: String::new() };
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
        let message =
            "only a response made with background: true can be cancelled; close the connection to end another one";
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
    end(app, caller, id, &End::Cancelled).await?.ok_or_else(|| ApiError::not_found("response", id))
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
async fn end(app: &App, caller: &Caller, id: &str, how: &End) -> Result<Option<Value>, ApiError> {
    let owner = &caller.owner;
    loop {
        let Some(Versioned { mut stored, version }) = Stored::get(app, owner, id).await? else { return Ok(None) };
        if stored.has_ended() {
            return Ok(Some(stored.response));
        }
        let log = log::read(app, owner, id).await?;
        let missing = conclude(app, caller, &mut stored, &log, how);
        let first = i64::try_from(log.len()).unwrap_or(i64::MAX);
        match app.store().append_events(KIND, owner, id, first, missing, None).await {
            // Its worker goes on telling.
            Err(store::Error::EventDiffers { .. } | store::Error::Gap { .. }) => continue,
            told => told?,
        }
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

/// A response to this request that has not begun.
pub(crate) fn projection(app: &App, caller: &Caller, create: &CreateResponse, id: &str, created_at: i64) -> Projection {
    let settings = app.settings();
    let defaults = Defaults {
        model: app.models().first().map_or("", String::as_str),
        effort: settings.default_effort,
        // As the operator wrote it: 0.3, not what f32 makes of it.
        temperature: settings.default_temperature.to_string().parse().unwrap_or(1.0),
    };
    let head = ResponseHead::new(id.to_owned(), created_at, create, &defaults);
    let mint = Mint { id: Box::new(item_names(id)), now: Box::new(unix_seconds) };
    let (sealing_app, sealing_caller) = (app.clone(), caller.clone());
    let options = Options::of(create, move |bytes| seal::seal(&sealing_app, &sealing_caller, bytes));
    Projection::new(mint, head, options)
}
