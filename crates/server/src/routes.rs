//! Which path leads where. It must not know what is done there.

mod batches;
mod chat;
mod compact;
mod completions;
mod conversations;
mod files;
mod generate;
mod health;
mod messages;
mod models;
mod responses;
mod stored_chat;
mod stored_responses;
mod tokenize;
mod websocket;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::from_fn_with_state;

use crate::app::App;
use crate::error::ApiError;
use crate::front;

/// The whole API: every path under `/v1`, and without it for base addresses that lack it; with what stands before it.
pub fn router(app: App) -> Router {
    api(app.clone()).layer(from_fn_with_state(app, front::front))
}

/// The same for callers inside the server: nobody asks them for a key.
pub(crate) fn api(app: App) -> Router {
    paths()
        .fallback(unknown)
        .method_not_allowed_fallback(front::wrong_method)
        .layer(DefaultBodyLimit::max(app.settings().body_bytes_max))
        .with_state(app)
}

fn paths() -> Router<App> {
    let api = Router::new()
        .merge(responses::routes())
        .merge(stored_responses::routes())
        .merge(conversations::routes())
        .merge(compact::routes())
        .merge(chat::routes())
        .merge(stored_chat::routes())
        .merge(completions::routes())
        .merge(generate::routes())
        .merge(messages::routes())
        .merge(models::routes())
        .merge(tokenize::routes())
        .merge(files::routes())
        .merge(batches::routes())
        .merge(health::routes())
        .merge(websocket::routes());
    Router::new().nest("/v1", api.clone()).merge(api)
}

async fn unknown(method: Method, uri: Uri) -> ApiError {
    let message = format!("there is no {method} {}; see /openapi.json for what there is", uri.path());
    ApiError::new(StatusCode::NOT_FOUND, "invalid_request_error", Some("unknown_url"), message)
}
