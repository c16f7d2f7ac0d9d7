//! A long conversation made short. It must not know what is kept of it.

use std::future::poll_fn;

use agent::{Effort, Ending, Item, Part, Phase, ToolChoice, Truncation, TurnEvent, TurnRequest, Usage};
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use serde_json::{Value, json};

use crate::app::App;
use crate::caller::Caller;
use crate::compaction;
use crate::error::ApiError;
use crate::history;
use crate::json_body::JsonBody;
use crate::lower::responses::{Lowered, turn_request};
use crate::project::responses::usage_value;
use crate::stored::unix_seconds;
use crate::turns::Turn;
use crate::wire::responses::CreateResponse;

/// What may be asked for here; the rest of what creates a response says nothing about a note.
const KNOWN: [&str; 8] = [
    "model",
    "input",
    "previous_response_id",
    "instructions",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "service_tier",
];
/// Tokens of the note, with what was thought before.
const NOTE_TOKENS_MAX: usize = 4_096;
/// Of these, for thinking.
const THOUGHT_TOKENS_MAX: usize = 1_024;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/responses/compact", post(compact))
}

async fn compact(State(app): State<App>, caller: Caller, JsonBody(body): JsonBody) -> Result<JsonBody, ApiError> {
    let create = read(&body)?;
    let earlier = history::load(&app, &caller, &create.source).await?;
    let Lowered { request, input } = turn_request(&app, &caller, &create, &earlier).await?;
    let turn = app.agent().begin(note_request(request)).await?;
    let (note, usage) = listen(turn).await;
    let whole = compaction::expand(&app, &caller, earlier.into_iter().chain(input).collect())?;
    let item = compaction::item(&app, &caller, &compaction::shorten(&app, &whole, &note));
    Ok(JsonBody(json!({
        "id": app.ids().next("resp"),
        "object": "response.compaction",
        "created_at": unix_seconds(),
        "output": [item],
        "usage": usage_value(usage),
    })))
}

fn read(body: &Value) -> Result<CreateResponse, ApiError> {
    let unknown = body.as_object().and_then(|body| body.keys().find(|name| !KNOWN.contains(&name.as_str())));
    if let Some(name) = unknown {
        let message = format!("unknown parameter {name}: expected one of {}", KNOWN.join(", "));
        return Err(ApiError::unknown_parameter(name, message));
    }
    let create = CreateResponse::read(body)?;
    if create.model.is_none() {
        return Err(ApiError::missing("model"));
    }
    Ok(create)
}

/// The conversation, and a question at its end. What is too long to be read whole loses its beginning: that is what somebody who
/// compacts may have come for.
fn note_request(request: TurnRequest) -> TurnRequest {
    let mut history = request.history;
    history.push(Item::User(compaction::REQUEST.to_owned()));
    TurnRequest {
        history,
        tools: Vec::new(),
        tool_choice: ToolChoice::None,
        effort: Effort::Low,
        reasoning_tokens_max: Some(THOUGHT_TOKENS_MAX),
        output_tokens_max: Some(NOTE_TOKENS_MAX),
        truncation: Truncation::Auto,
        ..request
    }
}

/// The answer, empty unless it is whole.
async fn listen(mut turn: Turn) -> (String, Usage) {
    let (mut note, mut usage, mut is_whole) = (String::new(), Usage::default(), false);
    while let Some(event) = poll_fn(|context| turn.poll_next(context)).await {
        match event {
            TurnEvent::Ended { said, .. } => {
                if let Part::Message { phase: Phase::Final, text } = said.part {
                    note.push_str(&text);
                }
            }
            TurnEvent::Finished(outcome) => {
                usage = outcome.usage;
                is_whole = outcome.ending == Ending::Answered;
            }
            TurnEvent::Reading { .. }
            | TurnEvent::Began { .. }
            | TurnEvent::Delta { .. }
            | TurnEvent::ToolBegan { .. }
            | TurnEvent::ToolEnded { .. } => {}
        }
    }
    if !is_whole {
        note.clear();
    }
    (note, usage)
}
