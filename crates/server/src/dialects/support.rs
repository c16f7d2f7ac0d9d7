//! A server without a network, and what is made of its answers. It must not know any case.

use agent::testing::{CONTEXT_TOKENS, vocabulary};
use agent::{Agent, Settings as AgentSettings};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use store::Store;
use tower::ServiceExt as _;

use crate::published_schema::published;
use crate::{App, Date, Parts, Settings, router};

/// A server.
pub(super) struct Api(Router);

impl Api {
    /// Over this agent and an empty store.
    pub(super) async fn over(agent: Agent) -> Self {
        let store = Store::open("sqlite::memory:", store::Settings::default()).await.unwrap();
        let settings = Settings { date: Date::Untold, ..Settings::default() };
        let models = vec!["gpt-oss-20b".to_owned(), "openai/gpt-oss-20b".to_owned()];
        Self(router(App::new(Parts { agent, store, models, settings, keys: None })))
    }

    /// Over a model that says this behind every prompt.
    pub(super) async fn saying(said: &str) -> Self {
        Self::over(Agent::scripted(said)).await
    }

    /// Status and body of an answer.
    pub(super) async fn send(&self, method: Method, path: &str, body: &Value) -> (StatusCode, String) {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let response = self.0.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// The answer to a request that succeeds.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Value {
        let (status, text) = self.send(Method::POST, path, body).await;
        assert_eq!(status, StatusCode::OK, "{body}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The answer to a question that succeeds.
    pub(super) async fn get(&self, path: &str) -> Value {
        let (status, text) = self.send(Method::GET, path, &Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The refusal of a request: its status and what it says.
    pub(super) async fn refused(&self, path: &str, body: &Value) -> (u16, Value) {
        let (status, text) = self.send(Method::POST, path, body).await;
        let refusal: Value = serde_json::from_str(&text).unwrap();
        (status.as_u16(), refusal)
    }

    /// The pieces of a streamed answer, `[DONE]` checked and taken off.
    pub(super) async fn chunks(&self, path: &str, body: &Value) -> Vec<Value> {
        let mut lines = self.lines(path, body).await;
        assert_eq!(lines.pop(), Some((None, "[DONE]".to_owned())));
        let piece = |(name, data): (Option<String>, String)| {
            assert_eq!(name, None);
            serde_json::from_str(&data).unwrap()
        };
        lines.into_iter().map(piece).collect()
    }

    /// The events of a streamed answer, each under its own name.
    pub(super) async fn events(&self, path: &str, body: &Value) -> Vec<Value> {
        let event = |(name, data): (Option<String>, String)| {
            let event: Value = serde_json::from_str(&data).unwrap();
            assert_eq!(event["type"].as_str(), name.as_deref());
            event
        };
        self.lines(path, body).await.into_iter().map(event).collect()
    }

    async fn lines(&self, path: &str, body: &Value) -> Vec<(Option<String>, String)> {
        let mut body = body.clone();
        body["stream"] = json!(true);
        let (status, text) = self.send(Method::POST, path, &body).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        let event = |event: &str| {
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            field("data: ").map(|data| (field("event: "), data))
        };
        text.split("\n\n").filter_map(event).collect()
    }
}

/// An agent whose model says this behind what a user says: `ASK`.
pub(super) fn saying_behind_ask(said: Vec<u32>) -> Agent {
    let vocabulary = vocabulary();
    let asked = vocabulary.encode_with_specials("ASK<|end|><|start|>assistant");
    let end = vocabulary.encode_with_specials("<|return|>")[0];
    let rule = move |ids: &[u32]| {
        let place = ids.windows(asked.len()).position(|window| window == asked);
        place.and_then(|place| said.get(ids.len() - place - asked.len()).copied()).unwrap_or(end)
    };
    Agent::ruled(rule, AgentSettings::unheld(), CONTEXT_TOKENS)
}

/// Holds an answer against OpenAI's schema of this name and a client library's type.
pub(super) fn check<T: DeserializeOwned>(schema: &str, value: &Value) {
    if let Some(published) = published() {
        let mut value = value.clone();
        forgive(&mut value);
        published.check(schema, &value);
    }
    let mut value = value.clone();
    respell(&mut value);
    let read = serde_json::from_value::<T>(value.clone());
    assert!(read.is_ok(), "a client cannot read {value:#}: {}", read.err().unwrap());
}

/// Nulls that OpenAI sends and its document does not allow, since it marks them in the way of an older version.
fn forgive(value: &mut Value) {
    let Some(object) = value.as_object_mut() else { return };
    remove_null(object, "usage");
    for choice in object.get_mut("choices").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(choice) = choice.as_object_mut() else { continue };
        if choice["finish_reason"].is_null() {
            choice["finish_reason"] = json!("stop");
        }
        let is_chunk = choice.contains_key("delta");
        if is_chunk {
            remove_null(choice, "logprobs");
            if let Some(logprobs) = choice.get_mut("logprobs").and_then(Value::as_object_mut) {
                remove_null(logprobs, "refusal");
                logprobs.entry("refusal").or_insert_with(|| json!([]));
            }
        }
        // The first token of a prompt follows nothing.
        for list in ["token_logprobs", "top_logprobs"] {
            let list = choice.get_mut("logprobs").and_then(|logprobs| logprobs.get_mut(list));
            if let Some(Value::Array(list)) = list {
                list.retain(|entry| !entry.is_null());
            }
        }
        // Calls of custom tools have a type of their own, in pieces as well.
        for call in
            choice.get_mut("delta").and_then(|delta| delta.get_mut("tool_calls")?.as_array_mut()).into_iter().flatten()
        {
            if call["type"] == "custom" {
                call["type"] = json!("function");
            }
        }
    }
}

/// The client library reads calls of custom tools under a name that OpenAI's document does not have, and in pieces not at all.
fn respell(value: &mut Value) {
    for choice in value.get_mut("choices").and_then(Value::as_array_mut).into_iter().flatten() {
        let calls = choice.pointer_mut("/message/tool_calls").and_then(Value::as_array_mut);
        for call in calls.into_iter().flatten().filter(|call| call["type"] == "custom") {
            call["custom_tool"] = call["custom"].clone();
        }
        let calls = choice.pointer_mut("/delta/tool_calls").and_then(Value::as_array_mut);
        for call in calls.into_iter().flatten().filter(|call| call["type"] == "custom") {
            call["type"] = json!("function");
        }
    }
}

fn remove_null(object: &mut Map<String, Value>, name: &str) {
    if object.get(name).is_some_and(Value::is_null) {
        object.remove(name);
    }
}

/// What differs between two answers to one request.
pub(super) fn without_names(mut value: Value) -> Value {
    match &mut value {
        Value::Object(object) => {
            for name in ["id", "created", "signature", "cached_tokens", "cache_read_input_tokens"] {
                object.remove(name);
            }
            // Which part of the prompt was found differs; the sum does not.
            if object.contains_key("cache_creation_input_tokens") {
                object.remove("input_tokens");
            }
            for inner in object.values_mut() {
                *inner = without_names(inner.take());
            }
        }
        Value::Array(array) => array.iter_mut().for_each(|inner| *inner = without_names(inner.take())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    value
}
