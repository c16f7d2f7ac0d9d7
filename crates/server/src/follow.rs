//! The stream of a response that nobody waits for, read from its log: from any replica, from any event on. It must not know how the
//! response is computed.

use std::time::Duration;

use axum::response::Response;
use store::record_channel;

use crate::app::App;
use crate::background::log;
use crate::error::ApiError;
use crate::life::Phase;
use crate::live_body::{self, Pen};
use crate::project::responses::padded;
use crate::sse;
use crate::stored::{KIND, Stored};

/// How often a response is looked at of which nothing is heard.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The events behind number `after` (-1 for all), as they come, until the last. Deltas are padded or not as they were when they were
/// told first, unless `obfuscate` says so.
pub(crate) fn stream(app: &App, owner: &str, id: &str, after: i64, obfuscate: Option<bool>) -> Response {
    let (app, owner, id) = (app.clone(), owner.to_owned(), id.to_owned());
    live_body::answer(app.settings().keep_alive, sse::comment("still here"), move |pen| async move {
        let follower = Follower { app, owner, id, after, obfuscate, pen };
        if let Err(error) = follower.run().await {
            tracing::warn!(reason = error.message, "the stream of a stored response broke off; it can be resumed");
        }
    })
}

struct Follower {
    app: App,
    owner: String,
    id: String,
    after: i64,
    obfuscate: Option<bool>,
    pen: Pen,
}

impl Follower {
    async fn run(mut self) -> Result<(), ApiError> {
        let mut watch = self.app.store().watch(&record_channel(KIND, &self.owner, &self.id));
        let life = self.app.life().clone();
        let mut look = true;
        loop {
            let Some(events) = self.tell().await? else { return Ok(()) };
            // The last event is written behind the record that says the same. Whoever wrote the record and died before is found out
            // here.
            if (events == 0 || look) && self.has_ended().await? {
                return Ok(());
            }
            look = false;
            tokio::select! {
                _ = watch.changed(LOOK_EVERY) => {}
                // What is computed here is given back to the queue now. The client finds the rest elsewhere, or after the restart.
                () = life.reached(Phase::Draining) => return self.tell().await.map(|_| ()),
            }
        }
    }

    /// Sends what the log has; `None` if nothing follows.
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
                let event = match self.obfuscate {
                    Some(obfuscate) => padded(&event, obfuscate),
                    None => event,
                };
                self.pen.write(sse::named(&kind, &event)).await;
                if log::is_last(&kind) {
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
            self.pen.write(sse::event(&event)).await;
        }
        Ok(true)
    }
}
