//! `POST /completions`. It must not know how tokens are computed, nor the form of an answer.

use agent::RawEvent;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::json_body::JsonBody;
use crate::live_body::{self, Pen};
use crate::lower::raw::{self, Wanted};
use crate::lower::responses::{check_model, random};
use crate::project::completions::{CompletionHead, CompletionProjection};
use crate::sse;
use crate::stored::unix_seconds;
use crate::together::{Source, Together};
use crate::turns::Raw;
use crate::wire::completions::CompletionRequest;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/completions", post(create))
}

async fn create(State(app): State<App>, caller: Caller, JsonBody(body): JsonBody) -> Result<Response, ApiError> {
    let request = CompletionRequest::read(&body)?;
    check_model(&app, Some(&request.model))?;
    let vocabulary = app.agent().vocabulary().clone();
    let prompts = request.prompts.iter().map(|prompt| raw::ids(&vocabulary, prompt, request.parse_special));
    let prompts = prompts.collect::<Result<Vec<_>, _>>()?;
    let sources = begin(&app, &caller, &request, &prompts)?;
    let mut projection = CompletionProjection::new(head(&app, &request), &vocabulary, &prompts, request.choices);
    let mut sources = Together::new(sources);
    if request.stream.is_some() {
        let sign = sse::comment("waiting");
        return Ok(live_body::answer(app.settings().keep_alive, sign, |pen| write(projection, sources, pen)));
    }
    while let Some((index, event)) = sources.next().await? {
        projection.push(index, &event);
    }
    Ok(JsonBody(projection.object()).into_response())
}

fn begin(app: &App, caller: &Caller, request: &CompletionRequest, prompts: &[Vec<u32>]) -> Result<Vec<Raw>, ApiError> {
    let wanted = Wanted {
        tokens_max: request.tokens_max,
        stop: &request.stop,
        stop_ids: &request.stop_ids,
        ignore_ends: request.ignore_ends,
        logprobs: request.logprobs,
        prompt_logprobs: request.echo && request.logprobs.is_some(),
        priority: request.priority,
        cache_salt: request.cache_salt.as_deref(),
    };
    let (base, chance) = (app.sampling(), random());
    let mut sources = Vec::new();
    for ids in prompts {
        for choice in 0..request.choices {
            let sampling = request.decoding.sampling(&base, chance, choice);
            let raw = raw::request(app, caller, ids.clone(), sampling, &wanted);
            sources.push(app.agent().complete(raw).map_err(|error| ApiError::from(error).about("prompt"))?);
        }
    }
    Ok(sources)
}

fn head(app: &App, request: &CompletionRequest) -> CompletionHead {
    CompletionHead {
        id: app.ids().next("cmpl").replace('_', "-"),
        created: unix_seconds(),
        model: request.model.clone(),
        echo: request.echo,
        logprobs: request.logprobs.is_some(),
        skip_special: request.skip_special,
        return_ids: request.return_ids,
        stop: request.stop.clone(),
        usage_chunk: request.stream.unwrap_or_default().usage,
    }
}

async fn write<S: Source<Event = RawEvent>>(mut projection: CompletionProjection, mut sources: Together<S>, pen: Pen) {
    for first in projection.start() {
        pen.write(sse::unnamed(&first)).await;
    }
    let last = loop {
        match sources.next().await {
            Ok(Some((index, event))) => {
                for told in projection.push(index, &event) {
                    pen.write(sse::unnamed(&told)).await;
                }
            }
            Ok(None) => break projection.end(),
            Err(error) => break Some(projection.fail(&error)),
        }
    };
    if let Some(last) = last {
        pen.write(sse::unnamed(&last)).await;
    }
    pen.write(sse::unnamed("[DONE]")).await;
}
