//! Making a response: whole, as a stream, or in the background; and counting what one would read. It must not know how.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::json;

use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::foreground::Foreground;
use crate::json_body::JsonBody;
use crate::lower::responses::{refused, turn_request};
use crate::wire::responses::CreateResponse;
use crate::{background, follow, history, live_body, sse};

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/responses", post(create)).route("/responses/input_tokens", post(count))
}

async fn create(State(app): State<App>, caller: Caller, JsonBody(body): JsonBody) -> Result<Response, ApiError> {
    let create = CreateResponse::read(&body)?;
    if create.background {
        let accepted = background::accept(&app, &caller, body, &create).await?;
        if !create.stream {
            return Ok(JsonBody(accepted).into_response());
        }
        let id = accepted["id"].as_str().unwrap_or_default();
        return Ok(follow::stream(&app, &caller.owner, id, -1, None));
    }
    if create.stream {
        return stream(app, caller, create).await;
    }
    let whole = Foreground::begin(&app, &caller, create).await?.whole().await?;
    Ok(JsonBody(whole).into_response())
}

/// What is refused is refused with a status of its own; once events flow, they tell everything.
async fn stream(app: App, caller: Caller, create: CreateResponse) -> Result<Response, ApiError> {
    let silence = app.settings().keep_alive;
    let foreground = Foreground::begin(&app, &caller, create).await?;
    Ok(live_body::answer(silence, sse::comment("still here"), |pen| async move {
        let mut foreground = foreground;
        while let Some(events) = foreground.next().await {
            for event in events {
                pen.write(sse::event(&event)).await;
            }
        }
    }))
}

async fn count(State(app): State<App>, caller: Caller, JsonBody(body): JsonBody) -> Result<JsonBody, ApiError> {
    let create = CreateResponse::read_to_count(&body)?;
    let earlier = history::load(&app, &caller, &create.source).await?;
    let lowered = turn_request(&app, &caller, &create, &earlier).await?;
    let input_tokens = app.agent().count(&lowered.request).map_err(|error| refused(&create, error))?;
    Ok(JsonBody(json!({ "object": "response.input_tokens", "input_tokens": input_tokens })))
}
