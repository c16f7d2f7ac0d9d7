//! A response that somebody waits for: from the request to its last event, kept before its end is told. Dropping it frees everything.
//! It must not know how events are sent.

use std::future::poll_fn;

use agent::{Ending, Outcome, TurnEvent};
use serde_json::Value;

use crate::app::App;
use crate::background::projection;
use crate::caller::Caller;
use crate::conversation::Claim;
use crate::error::ApiError;
use crate::history::{self, Finished, HistoryItem};
use crate::lower::responses::{Lowered, refused, turn_request};
use crate::project::responses::{Projection, error_event};
use crate::stored::unix_seconds;
use crate::thoughts;
use crate::turns::Turn;
use crate::wire::responses::CreateResponse;

/// A response being made.
pub(crate) struct Foreground {
    app: App,
    caller: Caller,
    create: CreateResponse,
    input: Vec<HistoryItem>,
    projection: Projection,
    turn: Turn,
    is_begun: bool,
    failure: Option<ApiError>,
    /// Held until what was said is in the conversation.
    _claim: Option<Claim>,
}

impl Foreground {
    /// Begins a response to this request.
    ///
    /// # Errors
    /// What is wrong with the request; where the store fails; where the engine has no room.
    pub(crate) async fn begin(app: &App, caller: &Caller, create: CreateResponse) -> Result<Self, ApiError> {
        let id = app.ids().next("resp");
        let claim = history::claim(app, caller, &create.source, &id).await?;
        let earlier = history::load(app, caller, &create.source).await?;
        Self::behind(app, caller, create, id, &earlier, claim).await
    }

    /// Begins a response behind this history, whatever the request names as its source.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub(crate) async fn behind(
        app: &App,
        caller: &Caller,
        create: CreateResponse,
        id: String,
        earlier: &[HistoryItem],
        claim: Option<Claim>,
    ) -> Result<Self, ApiError> {
        let Lowered { request, input } = turn_request(app, caller, &create, earlier).await?;
        let turn = app.agent().begin(request).await.map_err(|error| refused(&create, error))?;
        let projection = projection(app, caller, &create, &id, unix_seconds());
        let (app, caller) = (app.clone(), caller.clone());
        Ok(Self { app, caller, create, input, projection, turn, is_begun: false, failure: None, _claim: claim })
    }

    /// The next events; `None` after the last.
    pub(crate) async fn next(&mut self) -> Option<Vec<Value>> {
        if !self.is_begun {
            self.is_begun = true;
            return Some(self.projection.start());
        }
        while !self.projection.is_over() {
            let event = poll_fn(|context| self.turn.poll_next(context)).await;
            let events = self.push(event.as_ref());
            if self.projection.is_over() {
                return Some(self.keep(events).await);
            }
            if !events.is_empty() {
                return Some(events);
            }
        }
        None
    }

    /// The whole response, for whoever wants no events.
    ///
    /// # Errors
    /// Where the model or the store failed, or the server is being shut down.
    pub(crate) async fn whole(mut self) -> Result<Value, ApiError> {
        while self.next().await.is_some() {}
        let response = self.projection.response();
        match self.failure {
            // What the request itself has led to is the response's own end, as it is when somebody looks at it later.
            Some(failure) if failure.status.is_client_error() && response["status"] == "failed" => Ok(response),
            Some(failure) => Err(failure),
            None => Ok(response),
        }
    }

    /// The response as far as it is.
    pub(crate) fn projection(&self) -> &Projection {
        &self.projection
    }

    /// The request's own input as items with ids.
    pub(crate) fn input(&self) -> &[HistoryItem] {
        &self.input
    }

    fn push(&mut self, event: Option<&TurnEvent>) -> Vec<Value> {
        let failure = match event {
            None => ApiError::internal(&"a turn ended without saying so"),
            Some(TurnEvent::Finished(Outcome { ending: Ending::Failed, .. })) => ApiError::failed(self.turn.failure()),
            Some(TurnEvent::Finished(Outcome { ending: Ending::Cancelled, .. })) => {
                ApiError::overloaded("the server is being shut down; send the request again")
            }
            Some(event) => return self.projection.push(event),
        };
        let events = self.projection.fail(&failure);
        self.failure = Some(failure);
        events
    }

    /// Keeps the response before its end is told: the client may go on at once.
    async fn keep(&mut self, mut events: Vec<Value>) -> Vec<Value> {
        let Self { app, caller, create, input, projection, .. } = self;
        thoughts::keep(app, caller, &projection.call_ids(), projection.output()).await;
        let finished = Finished {
            response: projection.response(),
            source: &create.source,
            input,
            output: projection.output(),
            store: create.store,
        };
        if let Err(error) = history::keep(app, caller, finished).await {
            // What cannot be kept must not be called completed.
            let number = projection.next_sequence_number() - 1;
            events.pop();
            events.push(error_event(&error, number));
            self.failure.get_or_insert(error);
        }
        events
    }
}
