//! One line's answer, by the same routes as everybody's. It must not know batches.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::lines;
use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::front::panics;

/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// After how long a line is tried again that the engine or the store had no room for.
const NO_ROOM_PAUSE: Duration = Duration::from_secs(2);

/// The line of an answer, and whether it succeeded.
pub(super) async fn answer(
    app: &App,
    router: Router,
    owner: String,
    endpoint: &str,
    id: &str,
    request: lines::Request,
) -> (Value, bool) {
    let lines::Request { name, body } = request;
    let caller = Caller { owner };
    let (status, body) = loop {
        let sent = panics::caught(send(router.clone(), caller.clone(), endpoint, &body)).await;
        let sent = sent.unwrap_or_else(|panic| {
            app.metrics().panics.inc();
            Err(ApiError::internal(&format!("a line of a batch panicked: {panic}")))
        });
        match sent {
            // There is no room now, or the server stops, and then this is not waited for. Nobody does for a batch.
            Ok((StatusCode::SERVICE_UNAVAILABLE, _)) => tokio::time::sleep(NO_ROOM_PAUSE).await,
            Ok(answered) => break answered,
            Err(error) => break (error.status, error.body()),
        }
    };
    let response = json!({ "status_code": status.as_u16(), "request_id": id, "body": body });
    let line = json!({ "id": format!("batch_{id}"), "custom_id": name, "response": response, "error": null });
    (line, status.is_success())
}

async fn send(router: Router, caller: Caller, endpoint: &str, body: &Value) -> Result<(StatusCode, Value), ApiError> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(endpoint)
        .body(Body::from(body.to_string()))
        .map_err(|error| ApiError::internal(&error))?;
    request.extensions_mut().insert(caller);
    let Ok(response) = router.oneshot(request).await;
    let status = response.status();
    let bytes = to_bytes(response.into_body(), ANSWER_BYTES_MAX).await.map_err(|error| ApiError::internal(&error))?;
    Ok((status, serde_json::from_slice(&bytes).map_err(|error| ApiError::internal(&error))?))
}

/// The line of a request that was never answered.
pub(super) fn unanswered(name: &str, id: &str, code: &str, message: &str) -> Value {
    json!({ "id": format!("batch_{id}"), "custom_id": name, "response": null, "error": { "code": code, "message": message } })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use axum::routing::post;

    use super::*;
    use crate::json_body::JsonBody;

    #[tokio::test(start_paused = true)]
    async fn a_line_waits_for_room() {
        let tries = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&tries);
        let busy = move || async move {
            let is_full = count.fetch_add(1, Ordering::SeqCst) < 3;
            if is_full { Err(ApiError::overloaded("later")) } else { Ok(JsonBody(json!({ "answer": 1 }))) }
        };
        let router = Router::new().route("/v1/x", post(busy));
        let request = lines::Request { name: "a".to_owned(), body: json!({}) };
        let (line, is_good) = answer(&App::idle().await, router, "anna".to_owned(), "/v1/x", "req_1", request).await;
        assert_eq!((is_good, &line["response"]["body"]), (true, &json!({ "answer": 1 })), "{line}");
        assert_eq!(tries.load(Ordering::SeqCst), 4);
    }
}
