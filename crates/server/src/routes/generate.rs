//! `POST /generate`: tokens in, tokens out, for routers. It must not know how tokens are computed, nor the form of an answer.

use agent::RawEvent;
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
use crate::lower::raw::{self, Wanted};
use crate::lower::responses::{check_model, random};
use crate::project::generate::{GenerateHead, GenerateProjection};
use crate::sse;
use crate::together::{Source, Together};
use crate::turns::Raw;
use crate::wire::generate::GenerateRequest;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/generate", post(create))
}

async fn create(State(app): State<App>, caller: Caller, JsonBody(body): JsonBody) -> Result<Response, ApiError> {
    let request = GenerateRequest::read(&body)?;
    check_model(&app, request.model.as_deref())?;
    let mut sources = Vec::new();
    let mut projections = Vec::new();
    for prompt in &request.prompts {
        let vocabulary = app.agent().vocabulary();
        // Routers render conversations themselves.
        let ids = raw::ids(vocabulary, prompt, true)?;
        let head = GenerateHead {
            id: request.id.clone().unwrap_or_else(|| app.ids().next("gen")),
            prompt_tokens: ids.len(),
            stop: request.stop.clone(),
            logprobs: request.logprobs.is_some(),
            logprobs_from: request.logprobs_from,
        };
        projections.push(GenerateProjection::new(head, vocabulary, request.skip_special));
        sources.push(begin(&app, &caller, &request, ids)?);
    }
    let mut sources = Together::new(sources);
    if request.stream {
        let sign = sse::comment("waiting");
        return Ok(live_body::answer(app.settings().keep_alive, sign, |pen| write(projections, sources, pen)));
    }
    while let Some((index, event)) = sources.next().await? {
        projections[index].push(&event);
    }
    let mut answers: Vec<Value> = projections.iter().map(GenerateProjection::object).collect();
    let answer = if request.is_batch { Value::Array(answers) } else { answers.pop().unwrap_or_default() };
    Ok(JsonBody(answer).into_response())
}

fn begin(app: &App, caller: &Caller, request: &GenerateRequest, ids: Vec<u32>) -> Result<Raw, ApiError> {
    let wanted = Wanted {
        tokens_max: request.tokens_max,
        stop: &request.stop,
        stop_ids: &request.stop_ids,
        ignore_ends: request.ignore_ends,
        logprobs: request.logprobs,
        prompt_logprobs: request.logprobs_from.is_some(),
        priority: request.priority,
        cache_salt: None,
    };
    let sampling = request.decoding.sampling(&app.sampling(), random(), 0);
    let raw = raw::request(app, caller, ids, sampling, &wanted);
    app.agent().complete(raw).map_err(|error| ApiError::from(error).about("input_ids"))
}

async fn write<S: Source<Event = RawEvent>>(
    mut projections: Vec<GenerateProjection>,
    mut sources: Together<S>,
    pen: Pen,
) {
    loop {
        match sources.next().await {
            Ok(Some((index, event))) => {
                if projections[index].push(&event) {
                    pen.write(sse::unnamed(projections[index].object())).await;
                }
            }
            Ok(None) => break,
            Err(error) => {
                pen.write(sse::unnamed(error.body())).await;
                break;
            }
        }
    }
    pen.write(sse::unnamed("[DONE]")).await;
}
