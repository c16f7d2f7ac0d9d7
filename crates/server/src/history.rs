//! What came before a request, and keeping what a request has become. It must not know HTTP, nor how a turn is computed.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::app::App;
use crate::caller::Caller;
use crate::compaction;
use crate::conversation::{self, Claim};
use crate::error::ApiError;
use crate::stored::Stored;

/// Responses of one chain. Each is read when the chain is continued.
const CHAIN_MAX: usize = 10_000;

/// One item of a conversation, as the Responses API writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct HistoryItem {
    /// The item, with its `id`.
    pub(crate) value: Value,
    /// Its tokens as they were sampled, where the model wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tokens: Option<Vec<u32>>,
}

/// Where a request's history comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    /// Nowhere: the request says everything itself.
    #[default]
    Nothing,
    /// `previous_response_id`.
    Response(String),
    /// `conversation`.
    Conversation(String),
}

/// A response that has ended and is to be kept.
#[derive(Debug)]
pub(crate) struct Finished<'a> {
    /// The response object as the client got it, `output` included.
    pub(crate) response: Value,
    /// What it continues.
    pub(crate) source: &'a Source,
    /// The request's own input as items with ids, without the history.
    pub(crate) input: &'a [HistoryItem],
    /// What the model said; the same items as the response's `output`.
    pub(crate) output: &'a [HistoryItem],
    /// Whether the response itself is kept (`store`); a conversation takes up its items in any case.
    pub(crate) store: bool,
}

impl HistoryItem {
    /// The item's id.
    pub(crate) fn id(&self) -> &str {
        self.value["id"].as_str().unwrap_or_default()
    }

    /// The item's type.
    pub(crate) fn kind(&self) -> &str {
        self.value["type"].as_str().unwrap_or_default()
    }
}

/// Makes a conversation this response's alone until the claim is dropped, so that its items stay in order; `None` where the
/// request has no conversation. To be held from before [`load`] until after [`keep`].
///
/// # Errors
/// 404 for a conversation that is not there, 409 `conversation_locked` while another response has it: clients try again by
/// themselves after a 409.
pub(crate) async fn claim(
    app: &App,
    caller: &Caller,
    source: &Source,
    response_id: &str,
) -> Result<Option<Claim>, ApiError> {
    let Source::Conversation(id) = source else { return Ok(None) };
    Claim::take(app, &caller.owner, id, response_id).await.map(Some).map_err(about_conversation)
}

/// Everything that came before, oldest first. Instructions of earlier requests are not part of it.
///
/// # Errors
/// 400 `previous_response_not_found`, 404 for a conversation that is not there, 500 where the store fails.
pub(crate) async fn load(app: &App, caller: &Caller, source: &Source) -> Result<Vec<HistoryItem>, ApiError> {
    let items = match source {
        Source::Nothing => Vec::new(),
        Source::Response(id) => chain(app, caller, id).await?,
        Source::Conversation(id) => conversation::items(app, &caller.owner, id).await.map_err(about_conversation)?,
    };
    compaction::expand(app, caller, items)
}

/// The parameter that names a conversation is at fault where that is not there.
fn about_conversation(error: ApiError) -> ApiError {
    let param = error.status.is_client_error().then(|| "conversation".to_owned());
    ApiError { param: param.or(error.param), ..error }
}

/// Keeps a response, and adds its input and output to its conversation.
///
/// # Errors
/// Where the store fails or is full.
pub(crate) async fn keep(app: &App, caller: &Caller, finished: Finished<'_>) -> Result<(), ApiError> {
    let Finished { response, source, input, output, store } = finished;
    join(app, caller, source, &response, [input, output]).await?;
    if !store {
        return Ok(());
    }
    let output_tokens = output.iter().map(|item| item.tokens.clone()).collect();
    let (source, input) = (source.clone(), input.to_vec());
    let stored = Stored { response, source, input, output_tokens, pending: None, last_event: None };
    stored.put(app, &caller.owner, None).await
}

/// Adds a response's items, input and output, to its conversation, if it has one and was not cancelled and did not fail, and gives
/// the conversation back: before the client learns of the end, since it may go on at once.
///
/// # Errors
/// Where the store fails or is full.
pub(crate) async fn join(
    app: &App,
    caller: &Caller,
    source: &Source,
    response: &Value,
    items: [&[HistoryItem]; 2],
) -> Result<(), ApiError> {
    let Source::Conversation(id) = source else { return Ok(()) };
    if matches!(response["status"].as_str(), Some("completed" | "incomplete")) {
        conversation::append(app, &caller.owner, id, items.concat()).await?;
    }
    conversation::release(app, &caller.owner, id, response["id"].as_str().unwrap_or_default()).await;
    Ok(())
}

/// The items of a response and of those before it. A chain is walked back each time, so that a branch costs nothing and a
/// response that was deleted is gone for whatever continued it as well.
async fn chain(app: &App, caller: &Caller, asked: &str) -> Result<Vec<HistoryItem>, ApiError> {
    let mut turns: Vec<Vec<HistoryItem>> = Vec::new();
    let mut next = Some(asked.to_owned());
    while let Some(id) = next.take() {
        let found = Stored::get(app, &caller.owner, &id).await?;
        let stored = found.ok_or_else(|| not_found(asked, &id))?.stored;
        if turns.len() == CHAIN_MAX {
            let message = format!("{asked:?} has more than {CHAIN_MAX} responses before it; begin a new chain");
            return Err(refused("previous_response_too_long", message));
        }
        if !stored.has_ended() {
            let message = format!("response {id:?} is {}: wait until it has ended, or cancel it", stored.status());
            return Err(refused("previous_response_not_finished", message));
        }
        let output = stored.output();
        let Stored { source, input, .. } = stored;
        let first = input.first().or(output.first()).map(|item| item.id().to_owned());
        turns.push(input.into_iter().chain(output).collect());
        match source {
            Source::Nothing => {}
            Source::Response(previous) => next = Some(previous),
            Source::Conversation(id) => turns.push(conversation::before(app, &caller.owner, &id, first).await?),
        }
    }
    Ok(turns.into_iter().rev().flatten().collect())
}

fn not_found(asked: &str, id: &str) -> ApiError {
    let whose = if asked == id { String::new() } else { format!(" (which {asked:?} continues)") };
    let reason = "it was not stored, has expired or was deleted, or belongs to another key";
    let message = format!("there is no response {id:?}{whose}: {reason}; send the conversation as input instead");
    refused("previous_response_not_found", message)
}

fn refused(code: &'static str, message: String) -> ApiError {
    ApiError { param: Some("previous_response_id".to_owned()), ..ApiError::bad_request(code, message) }
}
