//! Whatever the model says, the stream, the whole answer and what is kept tell the same, and a conversation can go on.

use std::sync::Mutex;

use agent::testing::{CONTEXT_TOKENS, vocabulary};
use agent::{Agent, Settings as AgentSettings};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use serde_json::{Value, json};
use server::{Date, Settings};
use store::Store;

use crate::asking::{stream, weather};
use crate::published_schema::{check_events, check_response};
use crate::support::Api;

/// Tokens of harmony, which the model may put anywhere.
const CONTROL: [&str; 8] =
    ["<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|constrain|>", "<|return|>", "<|call|>", "<|endoftext|>"];
/// Pieces that make messages likely.
const PIECES: [&str; 7] = [
    "<|channel|>final<|message|>",
    "<|channel|>analysis<|message|>",
    "<|end|><|start|>assistant",
    "<|channel|>commentary to=functions.weather <|constrain|>json<|message|>",
    "<|channel|>commentary to=functions.note<|message|>",
    "{\"city\": 1}<|call|>",
    "é ok",
];

/// A model that says these tokens behind its first prompt, over and over.
fn saying(tokens: Vec<u32>) -> Agent {
    let first: Mutex<Option<usize>> = Mutex::new(None);
    let rule = move |ids: &[u32]| {
        let begin = *first.lock().unwrap().get_or_insert(ids.len());
        tokens[ids.len().abs_diff(begin) % tokens.len()]
    };
    Agent::ruled(rule, AgentSettings::unheld(), CONTEXT_TOKENS)
}

fn tokens() -> impl Strategy<Value = Vec<u32>> {
    let vocabulary = vocabulary();
    let controls: Vec<u32> = CONTROL.iter().filter_map(|name| vocabulary.special_id(name)).collect();
    let pieces: Vec<Vec<u32>> = PIECES.iter().map(|piece| vocabulary.encode_with_specials(piece)).collect();
    let size = u32::try_from(vocabulary.size()).unwrap();
    let one = prop_oneof![
        3 => proptest::sample::select(pieces),
        1 => proptest::sample::select(controls).prop_map(|id| vec![id]),
        2 => (0..size).prop_map(|id| vec![id]),
    ];
    vec(one, 1..14).prop_map(|parts| parts.concat())
}

fn request() -> impl Strategy<Value = Value> {
    let choice = prop_oneof![
        Just(json!("auto")),
        Just(json!("none")),
        Just(json!("required")),
        Just(json!({ "type": "custom", "name": "note" })),
    ];
    let effort = prop_oneof![Just("none"), Just("low"), Just("medium")];
    (choice, effort, any::<bool>(), any::<bool>(), 1..80_usize).prop_map(|(choice, effort, parallel, extras, limit)| {
        let mut body = json!({
            "input": "Hello", "tools": [weather(), { "type": "custom", "name": "note" }], "tool_choice": choice,
            "reasoning": { "effort": effort }, "parallel_tool_calls": parallel, "max_output_tokens": limit,
        });
        if extras {
            body["include"] = json!(["reasoning.encrypted_content", "message.output_text.logprobs"]);
            body["reasoning"]["summary"] = json!("auto");
        }
        body
    })
}

/// Without what differs from run to run: names behind their prefix, seals, times, what was in the cache.
fn alike(value: &Value) -> Value {
    match value {
        Value::Object(object) => object
            .iter()
            .map(|(name, value)| match (name.as_str(), value) {
                ("id" | "call_id", Value::String(id)) => (name.clone(), json!(id.split('_').next())),
                ("encrypted_content", _) => (name.clone(), json!("sealed")),
                ("created_at" | "completed_at" | "input_tokens_details", value) => {
                    (name.clone(), json!(!value.is_null()))
                }
                _ => (name.clone(), alike(value)),
            })
            .collect(),
        Value::Array(array) => array.iter().map(alike).collect(),
        other => other.clone(),
    }
}

async fn check(tokens: Vec<u32>, body: Value) -> [Value; 3] {
    let store = Store::open("sqlite::memory:", store::Settings::default()).await.unwrap();
    let settings = Settings { date: Date::Untold, ..Settings::default() };
    let api = Api::over(saying(tokens), store, settings).await;
    let whole = api.ask(body.clone()).await;
    check_response(&whole);
    assert!(matches!(whole["status"].as_str(), Some("completed" | "incomplete")), "{whole}");
    let mut named = body;
    named["model"] = json!("tiny");
    let told = stream(&api, named).await;
    let streamed = check_events(&told);
    check_response(&streamed);
    let kept = api.get(&format!("/v1/responses/{}", streamed["id"].as_str().unwrap())).await;
    assert_eq!(kept["output"], streamed["output"]);
    for response in [&whole, &streamed] {
        let next = json!({ "previous_response_id": response["id"], "input": "Go on.", "max_output_tokens": 4 });
        api.ask(next).await;
    }
    [alike(&whole), alike(&streamed), alike(&kept)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn all_roads_tell_the_same(tokens in tokens(), body in request()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let [whole, streamed, kept] = runtime.block_on(check(tokens, body));
        prop_assert_eq!(&whole, &streamed);
        prop_assert_eq!(&whole, &kept);
    }
}
