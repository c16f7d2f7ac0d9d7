//! Requests of one WebSocket, one after another in each lane, and what the connection remembers between them. It must not know
//! sockets.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::app::App;
use crate::caller::Caller;
use crate::compaction;
use crate::error::ApiError;
use crate::foreground::Foreground;
use crate::front::{self, Place, panics, record};
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
    /// The name of the key that the connection was opened with.
    key: Option<String>,
    remembered: Arc<Mutex<Remembered>>,
}

/// A request that waits for its turn, and its part of the connection's memory.
pub(crate) struct Waiting {
    pub(crate) body: Value,
    pub(crate) _share: Share,
    /// Dropped when the request is answered: then its lane may be idle.
    pub(crate) _busy: Arc<()>,
}

/// A part of what a connection may have waiting; given back when it is dropped.
pub(crate) struct Share {
    bytes: usize,
    taken: Arc<AtomicUsize>,
}

impl Share {
    /// So many bytes of the connection's, if it has them left.
    pub(crate) fn of(taken: &Arc<AtomicUsize>, bytes: usize, most: usize) -> Option<Self> {
        let more = |before: usize| before.checked_add(bytes).filter(|sum| *sum <= most);
        taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self { bytes, taken: Arc::clone(taken) })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// An event on its way. The place of the request that it belongs to is given back when the client has the last one.
pub(crate) struct Sent {
    pub(crate) event: Value,
    pub(crate) _place: Option<Arc<Place>>,
}

/// Where the events of one lane go.
pub(crate) struct Sender {
    stream_id: Option<String>,
    events: mpsc::Sender<Sent>,
    place: Option<Arc<Place>>,
}

impl Sender {
    /// Events are marked with the lane's name, if it has one.
    pub(crate) fn new(stream_id: Option<String>, events: mpsc::Sender<Sent>) -> Self {
        Self { stream_id, events, place: None }
    }

    /// For the events of a request that has this place.
    fn holding(&self, place: Place) -> Self {
        Self { stream_id: self.stream_id.clone(), events: self.events.clone(), place: Some(Arc::new(place)) }
    }

    async fn send(&self, mut event: Value) {
        if let Some(stream_id) = &self.stream_id {
            event["stream_id"] = json!(stream_id);
        }
        // Nobody listens any more: this lane is about to be ended.
        let _ = self.events.send(Sent { event, _place: self.place.clone() }).await;
    }
}

impl Lane {
    /// For this connection.
    pub(crate) fn new(app: App, caller: Caller, key: Option<String>) -> Self {
        Self { app, caller, key, remembered: Arc::default() }
    }

    /// Answers one request after another. Each is let in and counted as if it came by itself.
    pub(crate) async fn run(self, mut requests: mpsc::Receiver<Waiting>, sender: Sender) {
        while let Some(waiting) = requests.recv().await {
            let key = self.key.as_deref();
            let (sender, admitted) = match front::admit_more(&self.app, key) {
                Ok(place) => (&sender.holding(place), Ok(())),
                Err(refused) => (&sender, Err(refused)),
            };
            let answering = async {
                admitted?;
                let answered = panics::caught(self.answer(&waiting.body, sender)).await;
                answered.unwrap_or_else(|panic| {
                    self.app.metrics().panics.inc();
                    Err(ApiError::internal(&format!("a lane panicked: {panic}")))
                })
            };
            if let Err(error) = record::over_socket(&self.app, key, answering).await {
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
        let Self { app, caller, key: _, remembered: _ } = self;
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
    fn what_waits_has_bounds() {
        let taken = Arc::default();
        let share = Share::of(&taken, 60, 100).unwrap();
        assert!(Share::of(&taken, 41, 100).is_none() && Share::of(&taken, usize::MAX, 100).is_none());
        let rest = Share::of(&taken, 40, 100).unwrap();
        drop((share, rest));
        assert!(Share::of(&taken, 100, 100).is_some());
    }

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
