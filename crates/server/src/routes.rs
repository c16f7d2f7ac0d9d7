//! Which path leads where. It must not know what is done there.

mod chat;
mod completions;
mod generate;
mod messages;
mod models;
mod stored_chat;
mod stored_responses;
mod tokenize;

use axum::Router;
use axum::http::{Method, StatusCode, Uri};

use crate::app::App;
use crate::error::ApiError;

/// The whole API, without what stands before it (keys, limits, logs).
pub fn router(app: App) -> Router {
    let api = Router::new()
        .merge(stored_responses::routes())
        .merge(chat::routes())
        .merge(stored_chat::routes())
        .merge(completions::routes())
        .merge(generate::routes())
        .merge(messages::routes())
        .merge(models::routes())
        .merge(tokenize::routes());
    Router::new().nest("/v1", api.clone()).merge(api).fallback(unknown).with_state(app)
}

async fn unknown(method: Method, uri: Uri) -> ApiError {
    let message = format!("there is no {method} {}; see /openapi.json for what there is", uri.path());
    ApiError::new(StatusCode::NOT_FOUND, "invalid_request_error", Some("unknown_url"), message)
}
