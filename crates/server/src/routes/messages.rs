//! Anthropic's Messages API. It must not know how turns are computed, nor the form of an answer.

use agent::{Said, TurnEvent};
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::json;

use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::json_body::JsonBody;
use crate::live_body::{self, Pen};
use crate::lower;
use crate::lower::remembered;
use crate::lower::responses::{check_model, random};
use crate::project::messages::{MessageHead, MessageProjection, ping};
use crate::sse;
use crate::together::{Source, Together};
use crate::wire::messages::MessagesRequest;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/messages", post(create)).route("/messages/count_tokens", post(count_tokens))
}

async fn create(State(app): State<App>, caller: Caller, JsonBody(body): JsonBody) -> Result<Response, ApiError> {
    let request = MessagesRequest::read(&body)?;
    check_model(&app, Some(&request.model))?;
    let sampling = request.decoding.sampling(&app.sampling(), random(), 0);
    let turn = lower::messages::turn_request(&app, &caller, &request).await?;
    let turn = app.agent().begin(agent::TurnRequest { sampling, ..turn }).await;
    let turn = turn.map_err(|error| lower::messages::refused(&request, error))?;
    let sealing = (app.clone(), caller.clone());
    let head = MessageHead {
        id: app.ids().next("msg"),
        model: request.model,
        display: request.thinking.display,
        stop: request.stop,
        seal: Box::new(move |said: &Said| lower::messages::signature(&sealing.0, &sealing.1, said)),
    };
    let mut projection = MessageProjection::new(head);
    let mut turns = Together::new(vec![turn]);
    if request.stream {
        let ping = sse::event(&ping());
        let silence = app.settings().keep_alive;
        return Ok(live_body::answer(silence, ping, |pen| write(app, caller, projection, turns, pen)));
    }
    while let Some((_, event)) = turns.next().await? {
        projection.push(&event);
    }
    remembered::keep(&app, &caller, projection.said()).await;
    Ok(JsonBody(projection.object()).into_response())
}

async fn count_tokens(State(app): State<App>, caller: Caller, JsonBody(body): JsonBody) -> Result<JsonBody, ApiError> {
    let request = MessagesRequest::read_to_count(&body)?;
    check_model(&app, Some(&request.model))?;
    let turn = lower::messages::turn_request(&app, &caller, &request).await?;
    let tokens = app.agent().count(&turn).map_err(|error| lower::messages::refused(&request, error))?;
    Ok(JsonBody(json!({ "input_tokens": tokens })))
}

async fn write<S: Source<Event = TurnEvent>>(
    app: App,
    caller: Caller,
    mut projection: MessageProjection,
    mut turns: Together<S>,
    pen: Pen,
) {
    loop {
        match turns.next().await {
            Ok(Some((_, event))) => {
                let events = projection.push(&event);
                if S::ending(&event).is_some() {
                    remembered::keep(&app, &caller, projection.said()).await;
                }
                for event in events {
                    pen.write(sse::event(&event)).await;
                }
            }
            Ok(None) => return,
            Err(error) => return pen.write(sse::event(&projection.fail(&error))).await,
        }
    }
}
