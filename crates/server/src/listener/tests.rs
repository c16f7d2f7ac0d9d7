//! The listener over real sockets: slow clients, drain, TLS, and a collector of traces. It must not know routes beyond a few.

use std::time::Duration;

use agent::Agent;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

use super::{Bound, Listen};
use crate::app::App;
use crate::settings::Settings;

/// Far longer than anything here takes.
const LONG: Duration = Duration::from_secs(600);
/// Letters of an answer that no buffer holds.
const LARGE: usize = 25 << 20;

fn listen() -> Listen {
    Listen {
        address: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        connections_max: 16,
        header_time: LONG,
        body_time: LONG,
        write_time: LONG,
        drain_time: LONG,
    }
}

async fn start(listen: Listen, said: &str) -> (App, String, JoinHandle<()>) {
    over(listen, Agent::scripted(said)).await
}

async fn over(listen: Listen, agent: Agent) -> (App, String, JoinHandle<()>) {
    let app = App::over(agent, Settings::default(), None).await;
    let bound = Bound::new(listen).await.unwrap();
    let address = bound.url().split_once("://").unwrap().1.to_owned();
    (app.clone(), address, tokio::spawn(bound.serve(app)))
}

async fn connect(address: &str, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

async fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // A reset is an end, too.
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).into_owned()
}

/// Waits for the first line of an answer that says that all is well.
async fn answered(stream: &mut (impl AsyncRead + Unpin)) {
    let mut first = [0; 15];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
}

/// A connection whose answer has begun and is larger than all buffers between here and there.
async fn large(app: &App, address: &str) -> TcpStream {
    let item = json!({ "type": "message", "role": "user", "content": "x".repeat(LARGE) });
    let made = crate::routes::router(app.clone()).oneshot(
        axum::http::Request::post("/v1/conversations")
            .body(axum::body::Body::from(json!({ "items": [item] }).to_string()))
            .unwrap(),
    );
    let made = axum::body::to_bytes(made.await.unwrap().into_body(), usize::MAX).await.unwrap();
    let made: Value = serde_json::from_slice(&made).unwrap();
    let path = format!("/v1/conversations/{}/items", made["id"].as_str().unwrap());
    let mut stream = connect(address, &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")).await;
    answered(&mut stream).await;
    stream
}

fn chat(stream: bool) -> String {
    let body =
        json!({ "model": "tiny", "messages": [{ "role": "user", "content": "hello" }], "stream": stream }).to_string();
    format!("POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn who_is_too_slow_is_let_go() {
    let short = Duration::from_millis(50);
    let (_app, address, _serving) = start(Listen { header_time: short, ..listen() }, "").await;
    let half_a_head = connect(&address, "GET /health HTTP/1.1\r\nhost:").await;
    assert!(!rest(half_a_head).await.contains("200 OK"), "closed without an answer");
    let (_app, address, _serving) = start(Listen { body_time: short, ..listen() }, "").await;
    let half_a_body = connect(
        &address,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 9\r\n\r\n{",
    )
    .await;
    let answer = rest(half_a_body).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("body_unreadable"), "{answer}");
    assert!(
        rest(connect(&address, "GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await)
            .await
            .contains("200 OK")
    );
}

#[tokio::test]
async fn a_body_beyond_the_limit_and_no_http_at_all_are_refused() {
    let (_app, address, _serving) = start(listen(), "").await;
    let large = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        33 << 20
    );
    let answer = rest(connect(&address, &large).await).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(rest(connect(&address, "\u{16}\u{3}\u{1} hello\r\n\r\n").await).await.starts_with("HTTP/1.1 400"));
    let headers: String = (0..1000).map(|number| format!("x-{number}: y\r\n")).collect();
    let many = format!("GET /health HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
    assert!(rest(connect(&address, &many).await).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn draining_ends_by_itself_and_closes_idle_connections() {
    let (app, address, serving) = start(listen(), "").await;
    let mut idle = connect(&address, "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    answered(&mut idle).await;
    app.life().drain();
    serving.await.unwrap();
    rest(idle).await;
}

#[tokio::test]
async fn draining_waits_for_whoever_reads_slowly() {
    let (app, address, mut serving) = start(listen(), "").await;
    let stream = large(&app, &address).await;
    app.life().drain();
    app.life().idle().await;
    let early = tokio::time::timeout(Duration::from_millis(300), &mut serving).await;
    assert!(early.is_err(), "most of it is not on its way yet");
    assert!(rest(stream).await.len() > LARGE);
    serving.await.unwrap();
}

#[tokio::test]
async fn who_takes_nothing_of_an_answer_is_let_go() {
    let (app, address, serving) = start(Listen { write_time: Duration::from_millis(50), ..listen() }, "").await;
    let stream = large(&app, &address).await;
    app.life().drain();
    tokio::time::timeout(LONG / 6, serving).await.expect("nobody waits for it any longer").unwrap();
    assert!(rest(stream).await.len() < LARGE);
}

#[tokio::test]
async fn a_socket_counts_among_the_connections_until_it_is_closed() {
    let (_app, address, _serving) = start(Listen { connections_max: 1, ..listen() }, "").await;
    let upgrade = "GET /v1/responses HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    let mut socket = connect(&address, upgrade).await;
    let mut first = [0; 12];
    socket.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 101");
    let mut second = connect(&address, "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let answered = tokio::time::timeout(Duration::from_millis(300), second.read_exact(&mut first)).await;
    assert!(answered.is_err(), "there is no place for it yet");
    drop(socket);
    second.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
}

/// A model that hardly ever ends.
fn endless() -> Agent {
    let vocabulary = agent::testing::vocabulary();
    let opening = vocabulary.encode_with_specials("<|start|>assistant");
    let head = vocabulary.encode_with_specials("<|channel|>final<|message|>");
    let rule = move |ids: &[u32]| {
        let at = ids.windows(opening.len()).rposition(|window| window == opening).unwrap_or(0);
        std::thread::sleep(Duration::from_millis(1));
        head.get(ids.len() - at - opening.len()).copied().unwrap_or(42)
    };
    Agent::ruled(rule, agent::Settings::unheld(), 1 << 20)
}

#[tokio::test]
async fn what_runs_too_long_is_cancelled() {
    let (app, address, serving) = over(Listen { drain_time: Duration::ZERO, ..listen() }, endless()).await;
    let mut stream = connect(&address, &chat(true)).await;
    answered(&mut stream).await;
    app.life().drain();
    serving.await.unwrap();
    assert_eq!(app.life().running(), 0, "its place is given back");
    rest(stream).await;
}

#[tokio::test]
async fn tls_is_spoken_with_a_certificate_and_refused_without_sense() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = Some((certificate.clone(), key.clone()));
    let (_app, address, _serving) = start(Listen { tls, ..listen() }, "").await;
    let mut roots = tokio_rustls::rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = std::sync::Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let client = tokio_rustls::rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(client));
    let stream = TcpStream::connect(&address).await.unwrap();
    let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    answered(&mut stream).await;
    std::fs::write(&key, "no key").unwrap();
    let tls = Some((certificate, key.clone()));
    let error = Bound::new(Listen { tls, ..listen() }).await.err().unwrap().to_string();
    assert!(error.contains(&key.display().to_string()) && error.contains("PEM"), "{error}");
}

#[tokio::test]
async fn a_taken_port_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let error = Bound::new(Listen { address, ..listen() }).await.err().unwrap().to_string();
    assert!(error.contains(&address.to_string()) && error.contains("--port"), "{error}");
}

#[tokio::test]
async fn a_collector_gets_a_span_per_request_with_its_turn() {
    let collector = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", collector.local_addr().unwrap());
    let (app, address, serving) = start(listen(), "<|channel|>final<|message|>hello<|return|>").await;
    app.trace_to(&endpoint).unwrap();
    let parent = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nconnection: close\r\n";
    let asked = chat(false).replace("host: localhost\r\n", &format!("host: localhost\r\n{parent}"));
    let answer = rest(connect(&address, &asked).await).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    app.life().drain();
    let collected = collect(&collector).await;
    serving.await.unwrap();
    let spans = collected["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    let names: Vec<&str> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["POST /v1/chat/completions", "chat tiny", "queue", "prefill", "decode"]);
    assert_eq!(spans[0]["parentSpanId"], "00f067aa0ba902b7");
    assert!(spans.iter().all(|span| span["traceId"] == "4bf92f3577b34da6a3ce929d0e0e4736"));
    assert_eq!((&spans[1]["parentSpanId"], &spans[4]["parentSpanId"]), (&spans[0]["spanId"], &spans[1]["spanId"]));
    let attribute = |key: &str| {
        spans[1]["attributes"].as_array().unwrap().iter().find(|found| found["key"] == key).cloned().unwrap()
    };
    assert_eq!(attribute("gen_ai.request.model")["value"]["stringValue"], "tiny");
    assert!(attribute("gen_ai.usage.output_tokens")["value"]["intValue"].as_str().unwrap().parse::<u64>().unwrap() > 0);
    assert!(!collected.to_string().contains("hello"), "nothing of what was said");
}

/// One request to the collector, answered.
async fn collect(collector: &TcpListener) -> Value {
    let (mut stream, _) = collector.accept().await.unwrap();
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let count = stream.read(&mut piece).await.unwrap();
        text.extend_from_slice(&piece[..count]);
        let whole = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = whole.split_once("\r\n\r\n") else { continue };
        assert!(head.starts_with("POST /v1/traces HTTP/1.1"), "{head}");
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse::<usize>().unwrap();
        if body.len() >= length {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            return serde_json::from_str(body).unwrap();
        }
    }
}

#[tokio::test]
async fn pages_cannot_give_this_machine_a_name() {
    let (_app, address, _serving) = start(listen(), "").await;
    let ask = async |host: &str| {
        let text = format!("GET /v1/models HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        rest(connect(&address, &text).await).await
    };
    assert!(ask(&address).await.starts_with("HTTP/1.1 200"));
    let refused = ask("evil.example:80").await;
    assert!(refused.starts_with("HTTP/1.1 403") && refused.contains("host_not_allowed"), "{refused}");
}
