//! Limits of keys where no request is open: over a WebSocket, in the background, in a batch; and what drains and what may not be kept.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use server::{KeyLimits, Keys, Settings};
use store::Store;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Api, answering, paced, said};

/// Far longer than anything here takes.
const LONG: Duration = Duration::from_secs(100);

/// A server with one key.
async fn limited(limits: KeyLimits) -> (Api, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let key = Keys::add_new(&path, "anna", false, limits).unwrap();
    let (agent, _) = answering(|_| said("a word or two, so that some tokens are used"), || {});
    let store = Store::open("sqlite::memory:", store::Settings::default()).await.unwrap();
    let settings = Settings { background_workers: 1, ..Settings::default() };
    (Api::with(agent, store, settings, Some(Keys::read(&path).unwrap())).await, key)
}

async fn ask(api: &Api, key: &str, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let request = Request::builder().method(method).uri(path).header("x-api-key", key).body(body).unwrap();
    let response = tower::ServiceExt::oneshot(api.router.clone(), request).await.unwrap();
    let status = response.status();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

/// The last event of one response over a socket.
async fn respond(socket: &mut WebSocketStream<TcpStream>) -> Value {
    let create = json!({ "type": "response.create", "model": "tiny", "input": "hello" });
    socket.send(Message::text(create.to_string())).await.unwrap();
    last(socket).await
}

async fn last(socket: &mut WebSocketStream<TcpStream>) -> Value {
    loop {
        let Message::Text(text) = socket.next().await.expect("it is open").unwrap() else { continue };
        let event: Value = serde_json::from_str(&text).unwrap();
        if matches!(event["type"].as_str().unwrap(), "response.completed" | "response.failed" | "error") {
            return event;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_over_a_socket_are_let_in_and_counted_each() {
    let (api, key) = limited(KeyLimits { requests_per_minute: Some(3), ..KeyLimits::default() }).await;
    let mut client = api.socket(Some(&key)).await;
    for _ in 0..2 {
        assert_eq!(respond(&mut client).await["type"], "response.completed");
    }
    let refused = respond(&mut client).await;
    assert_eq!((&refused["status"], &refused["code"]), (&json!(429), &json!("rate_limit_exceeded")), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_over_a_socket_are_counted() {
    let (api, key) = limited(KeyLimits { tokens_per_minute: Some(20), ..KeyLimits::default() }).await;
    let mut client = api.socket(Some(&key)).await;
    assert_eq!(respond(&mut client).await["type"], "response.completed");
    assert_eq!(respond(&mut client).await["code"], "rate_limit_exceeded");
}

/// So few that one answer takes minutes to pay for.
const FEW: KeyLimits = KeyLimits { requests_per_minute: None, tokens_per_minute: Some(20), parallel: None };

#[tokio::test(flavor = "multi_thread")]
async fn tokens_in_the_background_are_counted() {
    let (api, key) = limited(FEW).await;
    let body = json!({ "model": "tiny", "input": "hello", "background": true });
    let (status, queued) = ask(&api, &key, Method::POST, "/v1/responses", Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{queued}");
    let id = queued["id"].as_str().unwrap();
    until(&api, "response", id, |stored| stored["response"]["status"] == "completed").await;
    let (status, refused) = ask(&api, &key, Method::GET, &format!("/v1/responses/{id}"), None).await;
    assert_eq!((status, &refused["error"]["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("rate_limit_exceeded")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_waits_for_the_tokens_of_its_key() {
    let (api, key) = limited(FEW).await;
    let line = |name: &str| {
        let body = json!({ "model": "tiny", "input": "hello" });
        json!({ "custom_id": name, "method": "POST", "url": "/v1/responses", "body": body })
    };
    let part = "--edge\r\ncontent-disposition: form-data; name=";
    let lines = format!("{}\n{}", line("a"), line("b"));
    let form =
        format!("{part}\"purpose\"\r\n\r\nbatch\r\n{part}\"file\"; filename=\"a\"\r\n\r\n{lines}\r\n--edge--\r\n");
    let request = Request::post("/v1/files").header("content-type", "multipart/form-data; boundary=edge");
    let request = request.header("x-api-key", &key).body(Body::from(form)).unwrap();
    let response = tower::ServiceExt::oneshot(api.router.clone(), request).await.unwrap();
    let file: Value = serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap();
    let create = json!({ "input_file_id": file["id"], "endpoint": "/v1/responses", "completion_window": "24h" });
    let (status, batch) = ask(&api, &key, Method::POST, "/v1/batches", Some(create)).await;
    assert_eq!(status, StatusCode::OK, "{batch}");
    let id = batch["id"].as_str().unwrap();
    let stored = until(&api, "batch", id, |stored| stored["counts"]["completed"] != 0).await;
    assert_eq!((&stored["counts"]["completed"], &stored["status"]), (&json!(1), &json!("in_progress")));
    let (status, _) = ask(&api, &key, Method::GET, &format!("/v1/batches/{id}"), None).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    // Its worker looks for this every few seconds. The second line would have been answered long before.
    api.store.ask_cancel("batches", "anna", id).await.unwrap();
    let stored = until(&api, "batch", id, |stored| stored["status"] == "cancelled").await;
    assert_eq!(stored["counts"]["completed"], 1, "it waited");
}

/// What is stored, once it is as wanted. Asking the server would need tokens.
async fn until(api: &Api, kind: &str, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let waiting = async {
        loop {
            let mut changes = api.store.watch(&store::record_channel(kind, "anna", id));
            let record = api.store.get(kind, "anna", id).await.unwrap().unwrap();
            let stored: Value = serde_json::from_str(&record.body).unwrap();
            if wanted(&stored) {
                return stored;
            }
            changes.changed(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(LONG, waiting).await.expect("it gets there")
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_waits_for_responses_over_sockets_and_takes_no_more() {
    let (agent, _, go_on) = paced(said("hello"));
    let api = Api::new(agent).await;
    let mut client = api.socket(None).await;
    let create = |lane: &str| json!({ "type": "response.create", "model": "tiny", "input": "x", "stream_id": lane });
    client.send(Message::text(create("a").to_string())).await.unwrap();
    let created = client.next().await.unwrap().unwrap();
    assert!(created.to_text().unwrap().contains("response.created"));
    api.life.drain();
    assert_eq!(api.life.running(), 1, "it counts as running");
    client.send(Message::text(create("b").to_string())).await.unwrap();
    let refused = last(&mut client).await;
    assert_eq!((&refused["code"], &refused["stream_id"]), (&json!("overloaded"), &json!("b")), "{refused}");
    drop(go_on);
    assert_eq!(last(&mut client).await["type"], "response.completed");
    tokio::time::timeout(LONG, api.life.idle()).await.expect("nothing runs any more");
    api.life.stop();
    assert!(matches!(client.next().await, None | Some(Ok(Message::Close(_)) | Err(_))), "it is closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_does_not_wait_for_streams_that_can_be_resumed() {
    let (agent, _, go_on) = paced(said("hello"));
    let mut api = Api::new(agent).await;
    let body = json!({ "model": "tiny", "input": "x", "background": true, "stream": true }).to_string();
    let request = Request::post("/v1/responses").body(Body::from(body)).unwrap();
    let response = tower::ServiceExt::oneshot(api.router.clone(), request).await.unwrap();
    let mut stream = response.into_body().into_data_stream();
    let mut told = String::from_utf8(stream.next().await.unwrap().unwrap().to_vec()).unwrap();
    api.life.drain();
    let ended = async {
        while let Some(piece) = stream.next().await {
            told += std::str::from_utf8(&piece.unwrap()).unwrap();
        }
    };
    tokio::time::timeout(LONG, ended).await.expect("the stream ends");
    assert!(told.contains("response.queued") && !told.contains("response.completed"), "{told}");
    drop(go_on);
    api.workers.take().unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_accepted_can_be_read_again() {
    let (agent, _) = answering(|_| said("hello"), || {});
    let api = Api::new(agent).await;
    for depth in [60, 80, 95, 105, 121, 122, 123, 124] {
        let nested: Value = serde_json::from_str(&format!("{}{}", "[".repeat(depth), "]".repeat(depth))).unwrap();
        let tool = json!({ "type": "function", "name": "f", "strict": false, "parameters": { "type": "object", "x": nested } });
        for background in [false, true] {
            let body = json!({ "model": "tiny", "input": "hello", "background": background, "tools": [tool] });
            let (status, response) = api.send(Method::POST, "/v1/responses", Some(&body)).await;
            assert!(status == StatusCode::OK || status == StatusCode::BAD_REQUEST, "{depth}: {status}");
            if status == StatusCode::OK {
                let id = response["id"].as_str().unwrap();
                if background {
                    tokio::time::timeout(LONG, api.ended(id)).await.expect("it ends");
                }
                assert_eq!(api.get(&format!("/v1/responses/{id}")).await["status"], "completed");
            } else {
                assert_eq!(response["error"]["code"], "invalid_json");
                assert!(depth > 90, "{depth} is not much");
            }
        }
    }
}
