//! What stands before routes, over routes made for that. It must not know the real ones.

use std::sync::Arc;

use agent::Agent;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::{Request, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::Value;
use tokio::sync::Notify;
use tower::ServiceExt;

use super::{front, wrong_method};
use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::json_body::JsonBody;
use crate::keys::{KeyLimits, Keys};
use crate::settings::Settings;

/// A server with keys, if any are given, and these settings.
async fn app(keys: Option<Keys>, settings: Settings) -> App {
    App::over(Agent::scripted("<|channel|>final<|message|>hello<|return|>"), settings, keys).await
}

fn router(app: &App, gate: Arc<Notify>) -> Router {
    let wait = move || async move {
        gate.notified().await;
        "done"
    };
    Router::new()
        .route("/v1/ok", get(|caller: Caller| async move { caller.owner }))
        .route("/v1/echo", post(|JsonBody(value): JsonBody| async move { JsonBody(value) }))
        .route(
            "/v1/panic",
            get(|| async {
                if true {
                    panic!("on purpose")
                }
            }),
        )
        .route("/v1/stream", get(|| async { Response::new(Body::new(Panicking(false))) }))
        .route("/v1/messages", get(|| async { ApiError::invalid("a.b", "a.b is wrong") }))
        .route("/v1/turn", get(turn))
        .route("/v1/wait", get(wait))
        .route("/health", get(|| async { "ok" }))
        .route("/metrics", get(|State(app): State<App>| async move { app.metrics().text() }))
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(app.clone(), front))
        .with_state(app.clone())
}

async fn turn(State(app): State<App>) -> Result<String, ApiError> {
    let item = agent::Item::User("hello".into());
    let mut turn = app.agent().begin(agent::TurnRequest::new(vec![item])).await?;
    let mut events = 0;
    while std::future::poll_fn(|context| turn.poll_next(context)).await.is_some() {
        events += 1;
    }
    Ok(format!("{events} events"))
}

/// A body that gives a piece and then panics.
struct Panicking(bool);

impl http_body::Body for Panicking {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        assert!(!std::mem::replace(&mut self.0, true), "on purpose");
        std::task::Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from("piece")))))
    }
}

async fn send(router: &Router, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn text(response: Response) -> String {
    String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
}

async fn json(response: Response) -> Value {
    serde_json::from_str(&text(response).await).unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn keys(rows: &[(bool, KeyLimits)]) -> (Keys, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let owner = |index: usize| format!("owner {index}");
    let texts = rows.iter().enumerate();
    let texts =
        texts.map(|(index, &(is_admin, limits))| Keys::add_new(&path, &owner(index), is_admin, limits).unwrap());
    let texts = texts.collect();
    (Keys::read(&path).unwrap(), texts)
}

#[tokio::test]
async fn keys_are_asked_for_where_there_are_any() {
    let open = router(&app(None, Settings::default()).await, Arc::default());
    assert_eq!(text(send(&open, "GET", "/v1/ok", &[]).await).await, "default");
    let (keys, texts) = keys(&[(false, KeyLimits::default()), (true, KeyLimits::default())]);
    let router = router(&app(Some(keys), Settings::default()).await, Arc::default());
    let bearer = |index: usize| format!("Bearer {}", texts[index]);
    assert_eq!(text(send(&router, "GET", "/v1/ok", &[("authorization", &bearer(0))]).await).await, "owner 0");
    assert_eq!(text(send(&router, "GET", "/v1/ok", &[("x-api-key", &texts[1])]).await).await, "owner 1");
    for (headers, code) in [
        (vec![], "missing_api_key"),
        (vec![("authorization", "Basic abc")], "missing_api_key"),
        (vec![("authorization", "Bearer gl-0")], "invalid_api_key"),
        (vec![("x-api-key", "")], "invalid_api_key"),
    ] {
        let response = send(&router, "GET", "/v1/ok", &headers).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(json(response).await["error"]["code"], code);
    }
    let anthropic = send(&router, "GET", "/v1/messages", &[]).await;
    assert_eq!(anthropic.status(), StatusCode::UNAUTHORIZED);
    let body = json(anthropic).await;
    assert_eq!((&body["type"], &body["error"]["type"]), (&"error".into(), &"authentication_error".into()), "{body}");
    assert_eq!(send(&router, "GET", "/health", &[]).await.status(), StatusCode::OK);
    for (index, status) in [(0, StatusCode::FORBIDDEN), (1, StatusCode::OK)] {
        assert_eq!(send(&router, "GET", "/metrics", &[("authorization", &bearer(index))]).await.status(), status);
    }
}

#[tokio::test]
async fn limits_are_kept_and_told() {
    let limits = KeyLimits { requests_per_minute: Some(2), tokens_per_minute: Some(1000), parallel: None };
    let (keys, texts) = keys(&[(false, limits)]);
    let router = router(&app(Some(keys), Settings::default()).await, Arc::default());
    let ask = async || send(&router, "GET", "/v1/turn", &[("x-api-key", &texts[0])]).await;
    let first = ask().await;
    assert_eq!(
        (header(&first, "x-ratelimit-limit-requests"), header(&first, "x-ratelimit-remaining-requests")),
        ("2", "1")
    );
    assert_eq!(header(&first, "x-ratelimit-remaining-tokens"), "1000");
    text(first).await;
    let second = ask().await;
    let left: u32 = header(&second, "x-ratelimit-remaining-tokens").parse().unwrap();
    assert!((800..1000).contains(&left), "the first turn took some of 1000: {left}");
    text(second).await;
    let third = ask().await;
    assert_eq!(third.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!((1..=30).contains(&header(&third, "retry-after").parse::<u64>().unwrap()));
    assert_eq!(json(third).await["error"]["code"], "rate_limit_exceeded");
}

#[tokio::test]
async fn a_place_is_held_until_the_answer_is_over() {
    let limits = KeyLimits { parallel: Some(1), ..KeyLimits::default() };
    let (keys, texts) = keys(&[(false, limits)]);
    let router = router(&app(Some(keys), Settings::default()).await, Arc::default());
    let ask = async || send(&router, "GET", "/v1/ok", &[("x-api-key", &texts[0])]).await;
    let held = ask().await;
    assert_eq!(ask().await.status(), StatusCode::TOO_MANY_REQUESTS);
    drop(held);
    assert_eq!(ask().await.status(), StatusCode::OK);
}

#[tokio::test]
async fn panics_are_errors_that_are_counted() {
    let router = router(&app(None, Settings::default()).await, Arc::default());
    let response = send(&router, "GET", "/v1/panic", &[]).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = json(response).await;
    assert!(body["error"]["code"] == "internal_error" && !body.to_string().contains("on purpose"), "{body}");
    let stream = send(&router, "GET", "/v1/stream", &[]).await;
    assert!(to_bytes(stream.into_body(), usize::MAX).await.is_err());
    let metrics = text(send(&router, "GET", "/metrics", &[]).await).await;
    assert!(metrics.contains("glossa_panics_total 2\n"), "{metrics}");
    assert_eq!(send(&router, "GET", "/v1/ok", &[]).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn while_it_drains_what_runs_is_finished_and_the_rest_refused() {
    let (app, gate) = (app(None, Settings::default()).await, Arc::<Notify>::default());
    let router = router(&app, Arc::clone(&gate));
    let running = {
        let router = router.clone();
        tokio::spawn(async move { text(send(&router, "GET", "/v1/wait", &[]).await).await })
    };
    while app.life().running() == 0 {
        tokio::task::yield_now().await;
    }
    app.life().drain();
    let refused = send(&router, "GET", "/v1/ok", &[]).await;
    assert_eq!((refused.status(), header(&refused, "retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "5"));
    drop(refused);
    assert_eq!(send(&router, "GET", "/health", &[]).await.status(), StatusCode::OK);
    assert_eq!(app.life().running(), 1);
    gate.notify_one();
    assert_eq!(running.await.unwrap(), "done");
    app.life().idle().await;
}

#[tokio::test]
async fn requests_have_names_and_errors_their_envelope() {
    let router = router(&app(None, Settings::default()).await, Arc::default());
    let named = send(&router, "GET", "/v1/ok", &[("x-request-id", "mine-1")]).await;
    assert_eq!(header(&named, "x-request-id"), "mine-1");
    assert!(!header(&named, "openai-processing-ms").is_empty());
    let long = "x".repeat(129);
    for bad in ["", " ", long.as_str()] {
        let own = send(&router, "GET", "/v1/ok", &[("x-request-id", bad)]).await;
        assert!(header(&own, "x-request-id").starts_with("req_"));
    }
    let wrong = send(&router, "POST", "/v1/ok", &[]).await;
    assert_eq!((wrong.status(), header(&wrong, "allow")), (StatusCode::METHOD_NOT_ALLOWED, "GET,HEAD"));
    assert_eq!(json(wrong).await["error"]["code"], "method_not_allowed");
    let body = json(send(&router, "GET", "/v1/messages", &[("x-request-id", "mine-2")]).await).await;
    assert_eq!(
        (&body["error"]["type"], &body["request_id"]),
        (&"invalid_request_error".into(), &"mine-2".into()),
        "{body}"
    );
}

#[tokio::test]
async fn other_origins_are_let_in_by_the_list_only() {
    let asks = [("origin", "https://a.example"), ("access-control-request-method", "POST")];
    let closed = router(&app(None, Settings::default()).await, Arc::default());
    let refused = send(&closed, "OPTIONS", "/v1/ok", &asks).await;
    assert!(
        refused.status() == StatusCode::METHOD_NOT_ALLOWED
            && header(&refused, "access-control-allow-origin").is_empty()
    );
    let settings = Settings { cors_origins: vec!["https://a.example".into()], ..Settings::default() };
    let open = router(&app(None, settings).await, Arc::default());
    let allowed = send(&open, "OPTIONS", "/v1/ok", &asks).await;
    assert_eq!(allowed.status(), StatusCode::NO_CONTENT);
    assert_eq!(header(&allowed, "access-control-allow-origin"), "https://a.example");
    let plain = send(&open, "GET", "/v1/ok", &asks[..1]).await;
    assert_eq!(header(&plain, "access-control-allow-origin"), "https://a.example");
    let other = send(&open, "GET", "/v1/ok", &[("origin", "https://b.example")]).await;
    assert_eq!(other.status(), StatusCode::FORBIDDEN);
    assert!(other.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN).is_none());
    assert_eq!(header(&other, "vary"), "origin");
}

#[tokio::test]
async fn pages_from_elsewhere_are_refused_where_nobody_is_asked_for_a_key() {
    let open = router(&app(None, Settings::default()).await, Arc::default());
    let host = ("host", "127.0.0.1:8080");
    for (origin, status) in [
        ("https://a.example", StatusCode::FORBIDDEN),
        ("null", StatusCode::FORBIDDEN),
        ("http://127.0.0.1:8081", StatusCode::FORBIDDEN),
        ("http://127.0.0.1:8080", StatusCode::OK),
    ] {
        let response = send(&open, "GET", "/v1/ok", &[host, ("origin", origin)]).await;
        assert_eq!(response.status(), status, "{origin}");
    }
    assert_eq!(send(&open, "GET", "/v1/ok", &[host]).await.status(), StatusCode::OK);
    assert_eq!(send(&open, "GET", "/health", &[host, ("origin", "https://a.example")]).await.status(), StatusCode::OK);
    let (keys, texts) = keys(&[(false, KeyLimits::default())]);
    let closed = router(&app(Some(keys), Settings::default()).await, Arc::default());
    let with_key = [host, ("origin", "https://a.example"), ("x-api-key", &texts[0])];
    assert_eq!(send(&closed, "GET", "/v1/ok", &with_key).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_path_that_is_no_text_is_refused_in_the_envelope() {
    let open = router(&app(None, Settings::default()).await, Arc::default());
    for path in ["/v1/%ff", "/v1/a%c3", "/%c3/%a4"] {
        let response = send(&open, "GET", path, &[]).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(json(response).await["error"]["code"], "invalid_url");
    }
    for path in ["/v1/%c3%a4", "/v1/%", "/v1/%f", "/v1/%zz"] {
        assert_eq!(send(&open, "GET", path, &[]).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}
