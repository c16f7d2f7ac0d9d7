//! What watchers ask: is it alive, does it take requests, how much does it do. It must not know who watches.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use crate::app::App;
use crate::json_body::JsonBody;
use crate::life::Phase;
use crate::openapi;

/// Health, metrics, and what the API is.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/health", get(ready))
        .route("/health/ready", get(ready))
        .route("/health/live", get(live))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(description))
}

/// Whether the process should go on living: not when the thread that computes is gone, which only a restart mends.
async fn live(State(app): State<App>) -> Response {
    let is_alive = app.agent().engine().is_alive();
    let status = if is_alive { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer(status, if is_alive { "ok" } else { "stopped" }, &app)
}

/// Whether requests should be sent here.
async fn ready(State(app): State<App>) -> Response {
    let is_alive = app.agent().engine().is_alive();
    match app.life().phase() {
        Phase::Serving if is_alive => answer(StatusCode::OK, "ok", &app),
        Phase::Serving => answer(StatusCode::SERVICE_UNAVAILABLE, "stopped", &app),
        Phase::Draining | Phase::Stopped => answer(StatusCode::SERVICE_UNAVAILABLE, "draining", &app),
    }
}

fn answer(status: StatusCode, word: &str, app: &App) -> Response {
    let stats = app.agent().engine().stats();
    let body = json!({ "status": word, "model": app.models()[0], "running": stats.running, "waiting": stats.queued });
    (status, JsonBody(body)).into_response()
}

async fn metrics(State(app): State<App>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, OPEN_METRICS)], app.metrics().text()).into_response()
}

/// What there is, for programs.
async fn description() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi::text()).into_response()
}
