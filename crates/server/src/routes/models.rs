//! The models that there are, as clients of OpenAI, Anthropic, vLLM and OpenRouter look for them. It must not know how they answer.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::ApiError;
use crate::json_body::JsonBody;

/// When the weights were published (5 August 2025), since nobody notes when a file came here.
const CREATED: i64 = 1_754_352_000;
const CREATED_AT: &str = "2025-08-05T00:00:00Z";

pub(crate) fn routes() -> Router<App> {
    // Names of models may have slashes.
    Router::new().route("/models", get(list)).route("/models/{*id}", get(retrieve))
}

async fn list(State(app): State<App>) -> JsonBody {
    let data: Vec<Value> = app.models().iter().map(|name| model(&app, name)).collect();
    let id = |name: Option<&String>| name.cloned();
    JsonBody(json!({
        "object": "list", "data": data, "has_more": false,
        "first_id": id(app.models().first()), "last_id": id(app.models().last()),
    }))
}

async fn retrieve(State(app): State<App>, Path(id): Path<String>) -> Result<JsonBody, ApiError> {
    let known = app.models().iter().find(|name| **name == id);
    known.map(|name| JsonBody(model(&app, name))).ok_or_else(|| ApiError::no_model(&id, app.models()))
}

/// A model under one of its names. The context has as many names as there are clients that look for it.
fn model(app: &App, name: &str) -> Value {
    let context = app.agent().context_tokens();
    json!({
        "id": name, "object": "model", "created": CREATED, "owned_by": "glossa",
        "root": app.models().first(), "parent": null,
        "max_model_len": context, "context_length": context, "context_window": context, "max_context_length": context,
        "max_input_tokens": context, "max_tokens": context,
        "type": "model", "display_name": name, "created_at": CREATED_AT,
        "capabilities": { "completion": true, "chat": true, "tools": true, "reasoning": true, "vision": false },
    })
}
