//! Whatever tokens the model says, every API answers in its form, and a stream is the answer in pieces.

use agent::testing::vocabulary;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::support::{Api, saying_behind_ask};
use super::{chat, completions, messages};

/// What models put together, rightly and wrongly.
const PIECES: &[&str] = &[
    "<|start|>",
    "<|end|>",
    "<|message|>",
    "<|channel|>",
    "<|constrain|>",
    "<|return|>",
    "<|call|>",
    "<|start|>assistant",
    "<|channel|>analysis<|message|>",
    "<|channel|>final<|message|>",
    "<|channel|>commentary<|message|>",
    "<|channel|>commentary to=functions.find <|constrain|>json<|message|>",
    "<|channel|>commentary to=functions.patch<|message|>",
    "<|channel|>commentary to=functions.nobody<|message|>",
    "to=python",
    "analysis",
    "final",
    "{\"x\":",
    "1}",
    "}]",
    "ü",
    "🙂",
    "Hello",
    " day",
    "STOP",
    "\n\n",
];

/// Tokens of pieces, and any others between them.
fn said() -> impl Strategy<Value = Vec<u32>> {
    let size = vocabulary().size() as u32;
    let piece = prop_oneof![
        4 => (0..PIECES.len()).prop_map(|index| vocabulary().encode_with_specials(PIECES[index])),
        1 => (0..size).prop_map(|id| vec![id]),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Holds for so many sayings; each has an agent of its own.
fn for_any(holds: impl AsyncFn(Api, Value)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() });
    let limit = prop_oneof![Just(Value::Null), (1..40u32).prop_map(|limit| json!(limit))];
    let cases = (said(), limit, any::<bool>());
    let result = runner.run(&cases, |(said, limit, flag)| {
        let extra = json!({ "limit": limit, "flag": flag });
        runtime.block_on(async { holds(Api::over(saying_behind_ask(said)).await, extra).await });
        Ok(())
    });
    result.unwrap();
}

#[test]
fn chat_completions() {
    let tools = json!([
        { "type": "function", "function": { "name": "find", "parameters": { "type": "object" } } },
        { "type": "custom", "custom": { "name": "patch" } },
    ]);
    for_any(async |api, case| {
        let extra = json!({
            "tools": tools, "max_tokens": case["limit"], "stop": ["STOP"], "logprobs": true, "parallel_tool_calls": case["flag"],
        });
        let answer = chat::both(&api, extra).await;
        let choice = &answer["choices"][0];
        let has_calls = choice["message"].get("tool_calls").is_some();
        assert!(choice["finish_reason"] != "tool_calls" || has_calls, "{answer:#}");
    });
}

#[test]
fn anthropic_messages() {
    let tools = json!([{ "name": "find", "input_schema": { "type": "object" } }]);
    for_any(async |api, case| {
        let mut extra = json!({ "tools": tools, "stop_sequences": ["STOP"] });
        if case["flag"] == true {
            extra["thinking"] = json!({ "type": "adaptive" });
        }
        if let Some(limit) = case["limit"].as_u64() {
            extra["max_tokens"] = json!(limit);
        }
        messages::both(&api, extra).await;
    });
}

#[test]
fn text_completions() {
    for_any(async |api, case| {
        let body = json!({
            "model": "gpt-oss-20b", "prompt": "ASK<|end|><|start|>assistant", "parse_special": true, "max_tokens": 60,
            "stop": ["STOP"], "logprobs": 1, "return_token_ids": true, "skip_special_tokens": case["flag"], "ignore_eos": case["flag"],
        });
        completions::both(&api, &body).await;
    });
}
