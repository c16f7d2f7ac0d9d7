//! A response as it lies in the store. It must not know who reads or writes it.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{NewJob, Record, Replaced};

use crate::app::App;
use crate::error::ApiError;
use crate::history::{HistoryItem, Source};

/// The kind of record that a response is.
pub(crate) const KIND: &str = "response";

/// A response and what it was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stored {
    /// The response object as the client gets it.
    pub(crate) response: Value,
    /// What it continues.
    #[serde(default)]
    pub(crate) source: Source,
    /// Its own input, without the history.
    pub(crate) input: Vec<HistoryItem>,
    /// Tokens of the items of the response's `output`, as sampled, in the same order.
    #[serde(default)]
    pub(crate) output_tokens: Vec<Option<Vec<u32>>>,
    /// What a response that nobody waits for still needs; gone once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pending: Option<Pending>,
    /// The event that ends the stream of a response that nobody waited for; the others are in its log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_event: Option<Value>,
}

/// What is needed to compute a response, or to compute it again in the same way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pending {
    /// The request's body.
    pub(crate) request: Value,
    /// Makes the choice of tokens repeatable.
    pub(crate) seed: u64,
    /// The date that the model is told.
    pub(crate) date: Option<String>,
    /// How often it was begun.
    pub(crate) tries: u32,
    /// Items of the history when it was accepted; what was added to its conversation since does not count.
    pub(crate) history_items: usize,
    /// The name of the key that pays for its tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
}

/// A response with the version of its record.
#[derive(Clone, Debug)]
pub(crate) struct Versioned {
    /// The response.
    pub(crate) stored: Stored,
    /// What a replacement must name.
    pub(crate) version: i64,
}

impl Stored {
    /// The response's id.
    pub(crate) fn id(&self) -> &str {
        self.response["id"].as_str().unwrap_or_default()
    }

    /// `completed`, `in_progress`, ….
    pub(crate) fn status(&self) -> &str {
        self.response["status"].as_str().unwrap_or_default()
    }

    /// Whether nothing will change any more.
    pub(crate) fn has_ended(&self) -> bool {
        !matches!(self.status(), "queued" | "in_progress")
    }

    /// Whether it was made without anybody waiting.
    pub(crate) fn is_background(&self) -> bool {
        self.response["background"].as_bool().unwrap_or(false)
    }

    /// The items that the model said.
    pub(crate) fn output(&self) -> Vec<HistoryItem> {
        let values = self.response["output"].as_array().into_iter().flatten();
        let mut tokens = self.output_tokens.iter();
        values.map(|value| HistoryItem { value: value.clone(), tokens: tokens.next().cloned().flatten() }).collect()
    }

    /// An owner's response; `None` if there is none, or it has expired.
    ///
    /// # Errors
    /// Where the store fails.
    pub(crate) async fn get(app: &App, owner: &str, id: &str) -> Result<Option<Versioned>, ApiError> {
        let Some(record) = found(app.store().get(KIND, owner, id).await)? else { return Ok(None) };
        let stored = serde_json::from_str(&record.body).map_err(|error| unreadable(KIND, id, &error))?;
        Ok(Some(Versioned { stored, version: record.version }))
    }

    /// An owner's response, which a request names in its path.
    ///
    /// # Errors
    /// 404 if there is none; 500 where the store fails.
    pub(crate) async fn need(app: &App, owner: &str, id: &str) -> Result<Versioned, ApiError> {
        Self::get(app, owner, id).await?.ok_or_else(|| ApiError::not_found("response", id))
    }

    /// Keeps a new response, and puts the job that computes it into its queue.
    ///
    /// # Errors
    /// Where the store fails or is full.
    pub(crate) async fn put(&self, app: &App, owner: &str, job: Option<NewJob>) -> Result<(), ApiError> {
        let created = unix_seconds();
        let record = Record {
            kind: KIND.to_owned(),
            owner: owner.to_owned(),
            id: self.id().to_owned(),
            body: self.body(),
            created,
            expires: expiry(app, created),
            version: 1,
        };
        let attached = store::Attached { job, ..store::Attached::default() };
        Ok(app.store().put_with(record, attached).await?)
    }

    /// Replaces a response, if it still has that version.
    ///
    /// # Errors
    /// Where the store fails or is full.
    pub(crate) async fn replace(&self, app: &App, owner: &str, version: i64) -> Result<Replaced, ApiError> {
        Ok(app.store().replace(KIND, owner, self.id(), self.body(), Some(version)).await?)
    }

    /// The text that is kept.
    pub(crate) fn body(&self) -> String {
        serde_json::to_string(self).expect("a response is made of strings and numbers")
    }
}

/// When what was made then goes, in Unix seconds, by what the operator says.
pub(crate) fn expiry(app: &App, created: i64) -> Option<i64> {
    let seconds = app.settings().stored_for.map(|time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX));
    seconds.map(|seconds| created.saturating_add(seconds))
}

/// What was asked for, or `None` where nothing can have that name.
///
/// # Errors
/// Where the store fails.
pub(crate) fn found<T>(answer: Result<Option<T>, store::Error>) -> Result<Option<T>, ApiError> {
    match answer {
        Err(store::Error::Invalid { .. } | store::Error::TooMuch { .. } | store::Error::Missing { .. }) => Ok(None),
        other => Ok(other?),
    }
}

/// A record that this program cannot read.
pub(crate) fn unreadable(kind: &str, id: &str, error: &serde_json::Error) -> ApiError {
    ApiError::internal(&format!("the stored {kind} {id} cannot be read ({error}); was it written by another version?"))
}

/// Now, in Unix seconds.
pub(crate) fn unix_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
