//! Limits of keys where no request is open: over a WebSocket, in the background, in a batch; and what drains and what may not be kept.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use server::{KeyLimits, Keys, Settings};
use store::Store;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::support::{Api, answering, said};

/// Far longer than anything here takes.
const LONG: Duration = Duration::from_secs(100);

/// A server with one key.
async fn limited(limits: KeyLimits) -> (Api, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let key = Keys::add_new(&path, "anna", false, limits).unwrap();
    let (agent, _) = answering(|_| said("a word or two, so that some tokens are used"), || {});
    let store = Store::open("sqlite::memory:", store::Settings::default()).await.unwrap();
    (Api::with(agent, store, Settings::default(), Some(Keys::read(&path).unwrap())).await, key)
}

async fn ask(api: &Api, key: &str, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value, String) {
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let request = Request::builder().method(method).uri(path).header("x-api-key", key).body(body).unwrap();
    let response = tower::ServiceExt::oneshot(api.router.clone(), request).await.unwrap();
    let left = response.headers().get("x-ratelimit-remaining-tokens").map_or("", |value| value.to_str().unwrap());
    let (status, left) = (response.status(), left.to_owned());
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or_default(), left)
}

/// A socket, opened with a key if there is one.
async fn socket(api: &Api, key: Option<&str>) -> tokio_tungstenite::WebSocketStream<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = api.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let mut request = format!("ws://{address}/v1/responses").into_client_request().unwrap();
    if let Some(key) = key {
        request.headers_mut().insert("x-api-key", key.parse().unwrap());
    }
    let stream = TcpStream::connect(address).await.unwrap();
    tokio_tungstenite::client_async(request, stream).await.unwrap().0
}

/// The last event of one response over a socket.
async fn respond(socket: &mut tokio_tungstenite::WebSocketStream<TcpStream>) -> Value {
    let create = json!({ "type": "response.create", "model": "tiny", "input": "hello" });
    socket.send(Message::text(create.to_string())).await.unwrap();
    last(socket).await
}

async fn last(socket: &mut tokio_tungstenite::WebSocketStream<TcpStream>) -> Value {
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
    let mut client = socket(&api, Some(&key)).await;
    for _ in 0..2 {
        assert_eq!(respond(&mut client).await["type"], "response.completed");
    }
    let refused = respond(&mut client).await;
    assert_eq!((&refused["status"], &refused["code"]), (&json!(429), &json!("rate_limit_exceeded")), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_over_a_socket_are_counted() {
    let (api, key) = limited(KeyLimits { tokens_per_minute: Some(20), ..KeyLimits::default() }).await;
    let mut client = socket(&api, Some(&key)).await;
    assert_eq!(respond(&mut client).await["type"], "response.completed");
    assert_eq!(respond(&mut client).await["code"], "rate_limit_exceeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_in_the_background_are_counted() {
    let (api, key) = limited(KeyLimits { tokens_per_minute: Some(100_000), ..KeyLimits::default() }).await;
    let body = json!({ "model": "tiny", "input": "hello", "background": true });
    let (status, queued, before) = ask(&api, &key, Method::POST, "/v1/responses", Some(body)).await;
    assert_eq!((status, before.as_str()), (StatusCode::OK, "100000"));
    let path = format!("/v1/responses/{}", queued["id"].as_str().unwrap());
    let used = ended(&api, &key, &path, "completed").await["usage"]["total_tokens"].as_u64().unwrap();
    let (_, _, left) = ask(&api, &key, Method::GET, &path, None).await;
    assert!(left.parse::<u64>().unwrap() <= 100_000 - used + 50, "{left} are left, {used} were used");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_waits_for_the_tokens_of_its_key() {
    let (api, key) = limited(KeyLimits { tokens_per_minute: Some(200_000), ..KeyLimits::default() }).await;
    let line = json!({ "custom_id": "a", "method": "POST", "url": "/v1/responses", "body": { "model": "tiny", "input": "hello" } });
    let form = format!(
        "--edge\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n{line}\r\n--edge--\r\n"
    );
    let request = Request::post("/v1/files").header("content-type", "multipart/form-data; boundary=edge");
    let request = request.header("x-api-key", &key).body(Body::from(form)).unwrap();
    let response = tower::ServiceExt::oneshot(api.router.clone(), request).await.unwrap();
    let file: Value = serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap();
    let create = json!({ "input_file_id": file["id"], "endpoint": "/v1/responses", "completion_window": "24h" });
    let (status, batch, _) = ask(&api, &key, Method::POST, "/v1/batches", Some(create)).await;
    assert_eq!(status, StatusCode::OK, "{batch}");
    ended(&api, &key, &format!("/v1/batches/{}", batch["id"].as_str().unwrap()), "completed").await;
    let (_, _, left) = ask(&api, &key, Method::GET, "/v1/models", None).await;
    assert!(left.parse::<u64>().unwrap() < 200_000, "its tokens are counted");
}

async fn ended(api: &Api, key: &str, path: &str, status: &str) -> Value {
    let ended = async {
        loop {
            let (_, object, _) = ask(api, key, Method::GET, path, None).await;
            if object["status"] == status {
                return object;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, ended).await.expect("it ends")
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_waits_for_responses_over_sockets_and_takes_no_more() {
    let (go_on, waits) = std::sync::mpsc::channel::<()>();
    let (agent, _) = answering(|_| said("hello"), move || drop(waits.recv()));
    let api = Api::new(agent).await;
    let mut client = socket(&api, None).await;
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
    let (go_on, waits) = std::sync::mpsc::channel::<()>();
    let (agent, _) = answering(|_| said("hello"), move || drop(waits.recv()));
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
    for depth in [60, 80, 95, 105, 120, 124] {
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
