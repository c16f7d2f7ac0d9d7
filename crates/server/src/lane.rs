//! Requests of one WebSocket, one after another in each lane, and what the connection remembers between them. It must not know
//! sockets.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::app::App;
use crate::caller::Caller;
use crate::compaction;
use crate::error::ApiError;
use crate::foreground::Foreground;
use crate::history::{self, HistoryItem, Source};
use crate::project::responses::error_event;
use crate::wire::responses::CreateResponse;

/// Responses that a connection remembers.
const REMEMBERED_MAX: usize = 64;
/// Bytes of their items, as JSON.
const REMEMBERED_BYTES_MAX: usize = 32 << 20;

/// What makes responses for one connection; clones share what it remembers.
#[derive(Clone)]
pub(crate) struct Lane {
    app: App,
    caller: Caller,
    remembered: Arc<Mutex<Remembered>>,
}

/// Where the events of one lane go.
pub(crate) struct Sender {
    stream_id: Option<String>,
    events: mpsc::Sender<Value>,
}

impl Sender {
    /// Events are marked with the lane's name, if it has one.
    pub(crate) fn new(stream_id: Option<String>, events: mpsc::Sender<Value>) -> Self {
        Self { stream_id, events }
    }

    async fn send(&self, mut event: Value) {
        if let Some(stream_id) = &self.stream_id {
            event["stream_id"] = json!(stream_id);
        }
        // Nobody listens any more: this lane is about to be ended.
        let _ = self.events.send(event).await;
    }
}

impl Lane {
    /// For this connection.
    pub(crate) fn new(app: App, caller: Caller) -> Self {
        Self { app, caller, remembered: Arc::default() }
    }

    /// Answers one request after another.
    pub(crate) async fn run(self, mut requests: mpsc::Receiver<Value>, sender: Sender) {
        while let Some(body) = requests.recv().await {
            if let Err(error) = self.answer(&body, &sender).await {
                sender.send(refusal(&error, None)).await;
            }
        }
    }

    async fn answer(&self, body: &Value, sender: &Sender) -> Result<(), ApiError> {
        let create = CreateResponse::read(body)?;
        let source = create.source.clone();
        let answered = self.respond(create, sender).await;
        // A client that goes on after a failure sends everything again: what may have caused it is forgotten.
        if let (Source::Response(previous), Ok(false) | Err(_)) = (&source, &answered) {
            self.remembered().forget(previous);
        }
        answered.map(|_| ())
    }

    /// Whether the response became what it should.
    async fn respond(&self, create: CreateResponse, sender: &Sender) -> Result<bool, ApiError> {
        let Self { app, caller, remembered: _ } = self;
        let id = app.ids().next("resp");
        let claim = history::claim(app, caller, &create.source, &id).await?;
        let known = match &create.source {
            Source::Response(previous) => self.remembered().get(previous),
            Source::Nothing | Source::Conversation(_) => None,
        };
        let earlier = match known {
            Some(known) => known,
            None => history::load(app, caller, &create.source).await?.into(),
        };
        let is_stored = create.store;
        let mut foreground = Foreground::behind(app, caller, create, id.clone(), &earlier, claim).await?;
        while let Some(events) = foreground.next().await {
            for event in events {
                sender.send(event).await;
            }
        }
        let response = foreground.projection().response();
        let is_good = matches!(response["status"].as_str(), Some("completed" | "incomplete"));
        if is_good && !is_stored {
            let new = foreground.input().iter().chain(foreground.projection().output());
            let items = earlier.iter().chain(new).cloned().collect();
            self.remembered().put(id, compaction::expand(app, caller, items)?.into());
        }
        Ok(is_good)
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error outside of a response: as the API's event, and beside it as the envelope that an HTTP request would get.
pub(crate) fn refusal(error: &ApiError, stream_id: Option<&str>) -> Value {
    let mut event = error_event(error, 0);
    event["status"] = json!(error.status.as_u16());
    event["error"] = error.body()["error"].take();
    if let Some(stream_id) = stream_id {
        event["stream_id"] = json!(stream_id);
    }
    event
}

/// Conversations of responses that are not stored, the newest last.
#[derive(Debug, Default)]
struct Remembered {
    responses: VecDeque<(String, Arc<[HistoryItem]>, usize)>,
    bytes: usize,
}

impl Remembered {
    fn get(&self, id: &str) -> Option<Arc<[HistoryItem]>> {
        self.responses.iter().find(|(known, ..)| known == id).map(|(_, items, _)| Arc::clone(items))
    }

    fn put(&mut self, id: String, items: Arc<[HistoryItem]>) {
        let bytes = items.iter().map(|item| item.value.to_string().len()).sum();
        self.bytes += bytes;
        self.responses.push_back((id, items, bytes));
        while self.responses.len() > REMEMBERED_MAX || self.bytes > REMEMBERED_BYTES_MAX {
            let Some((.., bytes)) = self.responses.pop_front() else { break };
            self.bytes -= bytes;
        }
    }

    fn forget(&mut self, id: &str) {
        let Some(place) = self.responses.iter().position(|(known, ..)| known == id) else { return };
        if let Some((.., bytes)) = self.responses.remove(place) {
            self.bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_remembers_within_bounds() {
        let mut remembered = Remembered::default();
        let item = |letters: usize| HistoryItem { value: json!("x".repeat(letters)), tokens: None };
        for number in 0..=REMEMBERED_MAX {
            remembered.put(format!("resp_{number}"), vec![item(10)].into());
        }
        assert!(remembered.get("resp_0").is_none() && remembered.get("resp_1").is_some());
        remembered.forget("resp_1");
        assert!(remembered.get("resp_1").is_none() && remembered.get("resp_2").is_some());
        remembered.put("large".to_owned(), vec![item(REMEMBERED_BYTES_MAX - 8)].into());
        assert!(remembered.get("large").is_some() && remembered.get("resp_64").is_none());
        assert!(remembered.bytes <= REMEMBERED_BYTES_MAX);
        remembered.put("larger".to_owned(), vec![item(REMEMBERED_BYTES_MAX)].into());
        assert_eq!((remembered.responses.len(), remembered.bytes), (0, 0));
    }
}
