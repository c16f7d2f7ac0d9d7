//! `POST /tokenize` and `POST /detokenize`. It must not know a vocabulary's parts.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use serde_json::{Value, json};

use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::json_body::JsonBody;
use crate::lower;
use crate::lower::responses::check_model;
use crate::project::raw::token_text;
use crate::turns::long;
use crate::wire::tokenize::{DetokenizeRequest, Source, TokenizeRequest};

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/tokenize", post(tokenize)).route("/detokenize", post(detokenize))
}

async fn tokenize(State(app): State<App>, caller: Caller, JsonBody(body): JsonBody) -> Result<JsonBody, ApiError> {
    let request = TokenizeRequest::read(&body, app.models())?;
    check_model(&app, request.model.as_deref())?;
    let vocabulary = app.agent().vocabulary();
    let ids = match request.source {
        Source::Text(text) if request.parse_special => long(|| vocabulary.encode_with_specials(&text)),
        Source::Text(text) => long(|| vocabulary.encode(&text)),
        Source::Chat(chat) => {
            let turn = lower::chat::turn_request(&app, &caller, &chat).await?;
            long(|| app.agent().prompt(&turn)).map_err(|error| lower::chat::refused(&chat, error))?
        }
    };
    let mut answer = json!({ "count": ids.len(), "max_model_len": app.agent().context_tokens(), "tokens": ids });
    if request.with_texts {
        let texts = ids.iter().map(|&id| token_text(vocabulary.token_bytes(id).unwrap_or_default()));
        answer["token_strs"] = texts.collect::<Value>();
    }
    Ok(JsonBody(answer))
}

async fn detokenize(State(app): State<App>, JsonBody(body): JsonBody) -> Result<JsonBody, ApiError> {
    let request = DetokenizeRequest::read(&body)?;
    check_model(&app, request.model.as_deref())?;
    let vocabulary = app.agent().vocabulary();
    lower::raw::check(vocabulary, &request.ids)
        .map_err(|error| ApiError { param: Some("tokens".to_owned()), ..error })?;
    Ok(JsonBody(json!({ "prompt": vocabulary.decode(&request.ids) })))
}
