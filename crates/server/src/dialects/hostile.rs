//! Forms that were written to do harm: each is answered or refused within the limits, and meanwhile others are answered as ever. What
//! comes before what is counted in events, never in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use agent::testing::vocabulary;
use agent::{Agent, Settings as AgentSettings};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Map, Value, json};
use store::Store;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use super::{chat, messages};
use crate::turns::compiling_max;
use crate::{App, Parts, Settings, router};

/// Tokens of an answer in a hostile form.
const TOKENS_MAX: usize = 30;
/// Schemas are told to the model, too.
const CONTEXT_TOKENS: usize = 400_000;

async fn server() -> Router {
    let agent = Agent::noisy(&vocabulary(), 3, AgentSettings::default(), CONTEXT_TOKENS);
    let store = Store::open("sqlite::memory:", store::Settings::default()).await.unwrap();
    let (models, settings) = (vec!["gpt-oss-20b".to_owned()], Settings::default());
    router(App::new(Parts { agent, store, models, settings, keys: None }))
}

/// Status and text of an answer.
async fn post(server: Router, path: &str, body: String) -> (u16, String) {
    let request = Request::post(path).header("content-type", "application/json").body(Body::from(body)).unwrap();
    let response = server.oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8_lossy(&bytes).into_owned())
}

fn words(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("{:x}-word-{index}", index * 7_919)).collect()
}

/// Definitions of which each names the next one twice.
fn doubling(keyword: &str) -> Value {
    let mut definitions = Map::new();
    for index in 0..30 {
        let next = if index == 29 {
            json!({ "type": "string", "minLength": 1 })
        } else {
            json!({ "$ref": format!("#/$defs/d{}", index + 1) })
        };
        let branches = json!([next, { "allOf": [next], "description": "the same" }]);
        definitions.insert(format!("d{index}"), json!({ "type": ["string", "object"], keyword: branches }));
    }
    json!({ "$ref": "#/$defs/d0", "$defs": definitions })
}

/// Schemas that are large, or multiply, or count far.
fn schemas() -> Vec<(&'static str, Value)> {
    let mut deep = json!({ "type": "null" });
    for _ in 0..55 {
        deep = json!({ "type": "array", "items": deep, "minItems": 1 });
    }
    let mut negated = json!({ "type": "string" });
    for _ in 0..55 {
        negated = json!({ "not": negated });
    }
    let many: Map<String, Value> = words(1_000).into_iter().map(|name| (name, json!({ "type": "integer" }))).collect();
    let conditions: Vec<Value> = (0..40)
        .map(|index| {
            let (asked, then) = (format!("p{index}"), format!("q{index}"));
            json!({ "if": { "properties": { asked: { "const": 1 } } }, "then": { "required": [then] } })
        })
        .collect();
    let patterns: Map<String, Value> =
        (0..200).map(|index| (format!("a{index}.*b"), json!({ "type": "null" }))).collect();
    vec![
        ("depth", deep),
        ("negations", negated),
        ("10,000 words", json!({ "enum": words(10_000) })),
        ("100,000 words", json!({ "enum": words(100_000) })),
        ("doubled anyOf", doubling("anyOf")),
        ("doubled allOf", doubling("allOf")),
        ("doubled oneOf", doubling("oneOf")),
        ("1,000 required", json!({ "type": "object", "properties": many, "required": words(1_000) })),
        ("conditions", json!({ "type": "object", "allOf": conditions })),
        ("patterns of names", json!({ "type": "object", "patternProperties": patterns })),
        ("minItems", json!({ "type": "array", "minItems": 1_000_000_000 })),
        ("fewer minItems", json!({ "type": "array", "minItems": 90_000, "items": { "type": "null" } })),
        ("minLength", json!({ "type": "string", "minLength": 100_000 })),
        (
            "multiples",
            json!({ "type": "integer", "multipleOf": 4_000_000_007_u64, "minimum": 1, "maximum": 100_000_000_000_000_u64 }),
        ),
    ]
}

const PATTERNS: [&str; 8] = [
    "(a{1,1000}){1,1000}",
    "((a+)+)+b",
    "^(.*a.*b.*c.*d.*e.*f){20}$",
    "[a-z]{100000}",
    "(?:(?:a?){500}a{500})",
    "(a|b)*a(a|b){25}",
    "^.*(foo|bar|baz).{40}(x|y)$",
    "\\w{5000}",
];

/// Requests to all APIs in turn.
fn requests() -> Vec<(String, &'static str, Value)> {
    let mut requests = Vec::new();
    let patterns = PATTERNS.map(|pattern| (pattern, json!({ "type": "string", "pattern": pattern })));
    for (index, (name, schema)) in schemas().into_iter().chain(patterns).enumerate() {
        let definitions = schema.get("$defs").cloned().unwrap_or_else(|| json!({}));
        let inside =
            json!({ "type": "object", "properties": { "a": schema }, "required": ["a"], "$defs": definitions });
        let format = |schema: &Value| json!({ "type": "json_schema", "name": "x", "schema": schema });
        let (path, body) = match index % 3 {
            0 => ("/v1/chat/completions", chat::asked(json!({ "guided_json": schema, "max_tokens": TOKENS_MAX }))),
            1 => {
                let format = json!({ "type": "json_schema", "schema": inside });
                ("/v1/messages", messages::asked(json!({ "output_format": format, "max_tokens": TOKENS_MAX })))
            }
            _ => {
                let text = json!({ "format": format(&inside) });
                let body =
                    json!({ "model": "gpt-oss-20b", "input": "ASK", "text": text, "max_output_tokens": TOKENS_MAX });
                ("/v1/responses", body)
            }
        };
        requests.push((name.to_owned(), path, body));
    }
    for pattern in PATTERNS {
        let format = json!({ "type": "regex", "pattern": pattern });
        let body = chat::asked(json!({ "response_format": format, "max_tokens": TOKENS_MAX }));
        requests.push((format!("regex {pattern}"), "/v1/chat/completions", body));
    }
    requests
}

/// Reads one streamed answer without a form after another, and counts their pieces.
async fn listen(server: Router, told: Arc<AtomicUsize>, is_over: Arc<AtomicBool>) {
    while !is_over.load(Ordering::SeqCst) {
        let body = chat::asked(json!({ "stream": true, "max_tokens": 200 })).to_string();
        let request = Request::post("/v1/chat/completions").body(Body::from(body)).unwrap();
        let response = server.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            told.fetch_add(usize::from(frame.unwrap().is_data()), Ordering::SeqCst);
        }
    }
}

#[test]
fn they_are_answered_or_refused_and_others_are_answered_meanwhile() {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(async {
        let server = server().await;
        let (told, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let listening = tokio::spawn(listen(server.clone(), Arc::clone(&told), Arc::clone(&is_over)));
        let mut answering = JoinSet::new();
        for (name, path, body) in requests() {
            let server = server.clone();
            answering.spawn(async move { (name, post(server, path, body.to_string()).await) });
        }
        let (mut heard, mut refused) = (Vec::new(), 0);
        let all = answering.len();
        while let Some(answered) = answering.join_next().await {
            let (name, (status, text)) = answered.unwrap();
            let mut shown = text;
            shown.truncate(shown.floor_char_boundary(300));
            assert!(matches!(status, 200 | 400), "{name}: {status} {shown}");
            assert!(status == 200 || shown.contains("invalid_request_error"), "{name}: {shown}");
            assert!(!shown.contains("context_length_exceeded"), "{name}: {shown}");
            refused += usize::from(status == 400);
            heard.push(told.load(Ordering::SeqCst));
        }
        is_over.store(true, Ordering::SeqCst);
        listening.await.unwrap();
        assert!(refused > 3 && refused < all - 3, "{refused} of {all} are refused");
        // Pieces came all the while, not only before and after.
        let halves = [heard[0], heard[all / 2], heard[all - 1]];
        assert!(halves[1] > halves[0] + 50 && halves[2] > halves[1] + 50, "{heard:?}");
    });
}

#[test]
fn nesting_that_no_reader_follows_is_refused() {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(async {
        let server = server().await;
        for depth in [100, 10_000, 200_000] {
            let schema = format!("{}true{}", "{\"items\":".repeat(depth), "}".repeat(depth));
            let body = format!(
                "{{\"model\":\"gpt-oss-20b\",\"messages\":[{{\"role\":\"user\",\"content\":\"x\"}}],\"guided_json\":{schema}}}"
            );
            let (status, text) = post(server.clone(), "/v1/chat/completions", body).await;
            assert_eq!(status, 400, "{depth}: {text}");
        }
    });
}

#[test]
fn however_many_come_at_once_the_server_says_that_it_lives() {
    // A thread for each that may compile, and one more: were all of them let in at once, they would use up every thread.
    let threads = compiling_max() + 1;
    let runtime = Builder::new_multi_thread().worker_threads(1).max_blocking_threads(threads).enable_all().build();
    runtime.unwrap().block_on(async {
        let server = server().await;
        let count = 2 * threads + 6;
        let answered = Arc::new(AtomicUsize::new(0));
        let mut answering = JoinSet::new();
        for index in 0..count {
            let (server, answered) = (server.clone(), Arc::clone(&answered));
            // No two are alike, so that each is compiled.
            let schema = json!({ "enum": words(2_000 + index) });
            let body = chat::asked(json!({ "guided_json": schema, "max_tokens": 1 })).to_string();
            answering.spawn(async move {
                let (status, text) = post(server, "/v1/chat/completions", body).await;
                assert_eq!(status, 200, "{text}");
                answered.fetch_add(1, Ordering::SeqCst);
            });
        }
        let asked = tokio::spawn(async move {
            let request = Request::get("/health").body(Body::empty()).unwrap();
            let status = server.oneshot(request).await.unwrap().status().as_u16();
            (status, answered.load(Ordering::SeqCst))
        });
        let (status, before) = asked.await.unwrap();
        assert_eq!(status, 200);
        assert!(before <= threads, "{before} of {count} were answered first");
        while let Some(answered) = answering.join_next().await {
            answered.unwrap();
        }
    });
}
