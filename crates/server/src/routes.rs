//! Which path leads where. It must not know what is done there.

mod compact;
mod conversations;
mod responses;
mod stored_responses;
mod websocket;

use axum::Router;
use axum::http::{Method, StatusCode, Uri};

use crate::app::App;
use crate::error::ApiError;

/// The whole API, without what stands before it (keys, limits, logs).
pub fn router(app: App) -> Router {
    let api = Router::new().merge(stored_responses::routes()).merge(conversations::routes()).merge(compact::routes()).merge(responses::routes()).merge(websocket::routes());
    Router::new().nest("/v1", api.clone()).merge(api).fallback(unknown).with_state(app)
}

async fn unknown(method: Method, uri: Uri) -> ApiError {
    let message = format!("there is no {method} {}; see /openapi.json for what there is", uri.path());
    ApiError::new(StatusCode::NOT_FOUND, "invalid_request_error", Some("unknown_url"), message)
}
