//! `POST /chat/completions`. It must not know how turns are computed, nor the form of an answer.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::Value;

use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::json_body::JsonBody;
use crate::live_body::{self, Pen};
use crate::lower;
use crate::lower::remembered;
use crate::lower::responses::{check_model, random};
use crate::project::chat::{ChatHead, ChatProjection};
use crate::routes::stored_chat;
use crate::sse;
use crate::stored::unix_seconds;
use crate::together::{Source, Together};
use crate::wire::chat::{ChatRequest, Tier};

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/chat/completions", post(create).get(stored_chat::list))
}

async fn create(State(app): State<App>, caller: Caller, JsonBody(body): JsonBody) -> Result<Response, ApiError> {
    let request = ChatRequest::read(&body)?;
    check_model(&app, Some(&request.model))?;
    let turn = lower::chat::turn_request(&app, &caller, &request).await?;
    let (base, chance) = (app.sampling(), random());
    let mut turns = Vec::new();
    for choice in 0..request.choices {
        let sampling = request.decoding.sampling(&base, chance, choice);
        let turn = app.agent().begin(agent::TurnRequest { sampling, ..turn.clone() }).await;
        turns.push(turn.map_err(|error| lower::chat::refused(&request, error))?);
    }
    let turns = Together::new(turns);
    let projection = ChatProjection::new(head(&app, &request), request.choices);
    let streamed = request.stream.is_some();
    let answer = Answer { app: app.clone(), caller, stored: request.store.then_some(request.raw_messages), projection };
    if streamed {
        let sign = sse::comment("waiting");
        return Ok(live_body::answer(app.settings().keep_alive, sign, |pen| answer.write(turns, pen)));
    }
    answer.whole(turns).await.map(|object| JsonBody(object).into_response())
}

fn head(app: &App, request: &ChatRequest) -> ChatHead {
    let stream = request.stream.unwrap_or_default();
    ChatHead {
        id: app.ids().next("chatcmpl").replace('_', "-"),
        created: unix_seconds(),
        model: request.model.clone(),
        service_tier: request.service_tier.map(Tier::name),
        metadata: request.metadata.clone().filter(|_| request.store),
        legacy_functions: request.legacy_functions,
        thoughts_shown: request.thinking.shown,
        logprobs: request.top_logprobs.is_some(),
        usage_chunk: stream.usage,
        obfuscation: stream.obfuscation,
    }
}

/// An answer on its way.
struct Answer {
    app: App,
    caller: Caller,
    /// The messages, where the answer is to be stored.
    stored: Option<Vec<Value>>,
    projection: ChatProjection,
}

impl Answer {
    /// The whole answer.
    async fn whole<S: Source<Event = agent::TurnEvent>>(mut self, mut turns: Together<S>) -> Result<Value, ApiError> {
        while let Some((index, event)) = turns.next().await? {
            self.projection.push(index, &event);
        }
        self.keep().await?;
        Ok(self.projection.object())
    }

    /// The answer in pieces.
    async fn write<S: Source<Event = agent::TurnEvent>>(mut self, mut turns: Together<S>, pen: Pen) {
        for first in self.projection.start() {
            pen.write(sse::unnamed(&first)).await;
        }
        let ended = self.write_turns(&mut turns, &pen).await;
        match ended {
            Ok(()) => {
                if let Some(last) = self.projection.end() {
                    pen.write(sse::unnamed(&last)).await;
                }
            }
            Err(error) => pen.write(sse::unnamed(self.projection.fail(&error))).await,
        }
        pen.write(sse::unnamed("[DONE]")).await;
    }

    /// The last pieces of the last choice come when everything is kept that a client may ask for at once.
    async fn write_turns<S: Source<Event = agent::TurnEvent>>(
        &mut self,
        turns: &mut Together<S>,
        pen: &Pen,
    ) -> Result<(), ApiError> {
        while let Some((index, event)) = turns.next().await? {
            let chunks = self.projection.push(index, &event);
            if S::ending(&event).is_some() && self.projection.is_over() {
                self.keep().await?;
            }
            for chunk in chunks {
                pen.write(sse::unnamed(&chunk)).await;
            }
        }
        Ok(())
    }

    /// Keeps thoughts until their calls are answered, and the answer where that was asked for.
    async fn keep(&self) -> Result<(), ApiError> {
        for said in self.projection.said() {
            remembered::keep(&self.app, &self.caller, said).await;
        }
        match &self.stored {
            Some(messages) => stored_chat::keep(&self.app, &self.caller, self.projection.object(), messages).await,
            None => Ok(()),
        }
    }
}
