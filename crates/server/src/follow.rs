//! The stream of a response that nobody waits for, read from its log: from any replica, from any event on. It must not know how the
//! response is computed.

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use store::{Watch, record_channel};
use tokio::sync::mpsc;

use crate::app::App;
use crate::background::log;
use crate::error::ApiError;
use crate::sse;
use crate::stored::{KIND, Stored};

/// Pieces that wait for a slow client; then the reader waits too.
const PIECES_MAX: usize = 64;

/// The events behind number `after` (-1 for all), as they come, until the last.
pub(crate) fn stream(app: &App, owner: &str, id: &str, after: i64) -> Response {
    let (sender, receiver) = mpsc::channel(PIECES_MAX);
    let follower = Follower { app: app.clone(), owner: owner.to_owned(), id: id.to_owned(), after, sender };
    tokio::spawn(async move {
        if let Err(error) = follower.run().await {
            tracing::warn!(message = error.message, "the stream of a stored response broke off; it can be resumed");
        }
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    (headers, Body::from_stream(Pieces(receiver))).into_response()
}

struct Follower {
    app: App,
    owner: String,
    id: String,
    after: i64,
    sender: mpsc::Sender<Bytes>,
}

impl Follower {
    async fn run(mut self) -> Result<(), ApiError> {
        let mut watch = self.app.store().watch(&record_channel(KIND, &self.owner, &self.id));
        let mut look = true;
        loop {
            let Some(events) = self.tell().await? else { return Ok(()) };
            // The last event is written behind the record that says the same. Whoever wrote the record and died before is found out
            // here.
            if (events == 0 || look) && self.has_ended().await? {
                return Ok(());
            }
            look = false;
            if !self.changed(&mut watch).await {
                return Ok(());
            }
        }
    }

    /// Sends what the log has; `None` if nothing follows, or nobody listens.
    async fn tell(&mut self) -> Result<Option<usize>, ApiError> {
        let mut count = 0;
        loop {
            let page = match self.app.store().events(KIND, &self.owner, &self.id, self.after, log::PAGE).await {
                Err(store::Error::Missing { .. }) => return Ok(None),
                page => page?,
            };
            let is_over = page.len() < log::PAGE as usize;
            count += page.len();
            for (number, event) in page {
                self.after = number;
                let kind = log::kind(&event);
                if self.sender.send(sse::named(&kind, &event)).await.is_err() || log::is_last(&kind) {
                    return Ok(None);
                }
            }
            if is_over {
                return Ok(Some(count));
            }
        }
    }

    /// Whether the response has ended; then the rest is sent.
    async fn has_ended(&mut self) -> Result<bool, ApiError> {
        let Some(found) = Stored::get(&self.app, &self.owner, &self.id).await? else { return Ok(true) };
        if !found.stored.has_ended() {
            return Ok(false);
        }
        if self.tell().await?.is_none() {
            return Ok(true);
        }
        let last = found.stored.last_event.filter(|event| event["sequence_number"].as_i64() > Some(self.after));
        if let Some(event) = last {
            let kind = event["type"].as_str().unwrap_or_default();
            let _ = self.sender.send(sse::named(kind, &event.to_string())).await;
        }
        Ok(true)
    }

    /// Waits for a change, with a sign of life where there is none for long; false if nobody listens any more.
    async fn changed(&self, watch: &mut Watch) -> bool {
        tokio::select! {
            () = self.sender.closed() => false,
            changed = watch.changed(self.app.settings().keep_alive) => {
                changed || self.sender.send(sse::comment("waiting")).await.is_ok()
            }
        }
    }
}

/// A channel as a stream of a body's pieces.
struct Pieces(mpsc::Receiver<Bytes>);

impl futures_core::Stream for Pieces {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|piece| piece.map(Ok))
    }
}
