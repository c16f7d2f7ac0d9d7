//! Tool loops of clients that keep nothing but what they were shown: the model sees what it wrote, and what was read or written once is
//! not read again. It must not know how that is remembered.

use agent::Agent;
use agent::testing::Script;
use serde_json::{Value, json};

use super::support::Api;
use super::{chat, messages};

/// Tokens of a block of the scripted model's cache.
const BLOCK: u64 = 64;
/// Calls before the answer.
const STEPS: u64 = 4;

/// A model that thinks twice, says something and calls, again and again.
fn looping() -> Agent {
    let step = |number: u64| {
        let thought = format!("step {number}: {} ", "think ".repeat(40));
        let second = format!("<|channel|>analysis<|message|>second {number}<|end|><|start|>assistant");
        let said = format!(
            "<|channel|>commentary<|message|>I look.<|end|><|start|>assistant{CALL}{{\"x\": {number}.0}}<|call|>"
        );
        format!("<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant{second}{said}")
    };
    let first = Script::new().answer("ASK", &step(0));
    let script = (1..STEPS).fold(first, |script, number| script.answer(&format!("found{}", number - 1), &step(number)));
    let last = "<|channel|>final<|message|>Done.<|return|>";
    Agent::following(&script.answer(&format!("found{}", STEPS - 1), last))
}

const CALL: &str = "<|channel|>commentary to=functions.find <|constrain|>json<|message|>";

/// Holds what was found against all that was read and written before.
fn check_found(found: u64, before: u64) {
    // The last token is written and not read.
    assert!(found >= before.saturating_sub(1) / BLOCK * BLOCK, "found {found} of {before}");
}

#[tokio::test]
async fn chat_completions_find_everything_again() {
    let tools = json!([{ "type": "function", "function": { "name": "find", "parameters": { "type": "object" } } }]);
    for returns_thoughts in [false, true] {
        let api = Api::over(looping()).await;
        let mut messages = vec![json!({ "role": "user", "content": "ASK" })];
        let mut before = 0;
        for number in 0..=STEPS {
            let answer =
                api.post("/v1/chat/completions", &chat::asked(json!({ "tools": tools, "messages": messages }))).await;
            let usage = &answer["usage"];
            check_found(usage["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap(), before);
            before = usage["total_tokens"].as_u64().unwrap();
            let message = &answer["choices"][0]["message"];
            if number == STEPS {
                assert_eq!(message["content"], "Done.");
                break;
            }
            let mut sent = json!({ "role": "assistant", "content": null, "tool_calls": message["tool_calls"] });
            if returns_thoughts {
                sent["content"] = message["content"].clone();
                sent["reasoning_content"] = json!(message["reasoning_content"].as_str().unwrap().trim());
            }
            messages.push(sent);
            let id = &message["tool_calls"][0]["id"];
            messages.push(json!({ "role": "tool", "tool_call_id": id, "content": format!("found{number}") }));
        }
    }
}

#[tokio::test]
async fn messages_find_everything_again() {
    let tools = json!([{ "name": "find", "input_schema": { "type": "object" } }]);
    for thinking in [json!({ "type": "adaptive" }), Value::Null] {
        let api = Api::over(looping()).await;
        let mut said = vec![json!({ "role": "user", "content": "ASK" })];
        let mut before = 0;
        for number in 0..=STEPS {
            let body = json!({ "tools": tools, "messages": said, "thinking": thinking });
            let answer = api.post("/v1/messages", &messages::asked(body)).await;
            let count = |name: &str| answer["usage"][name].as_u64().unwrap();
            check_found(count("cache_read_input_tokens"), before);
            before = count("input_tokens") + count("cache_read_input_tokens") + count("output_tokens");
            let mut content = answer["content"].clone();
            let Some(call) = content.as_array_mut().unwrap().last_mut().filter(|block| block["type"] == "tool_use")
            else {
                assert_eq!((number, &content[0]["text"]), (STEPS, &json!("Done.")));
                break;
            };
            // As JavaScript writes what it has read.
            assert_eq!(call["input"], json!({ "x": number as f64 }));
            call["input"] = json!({ "x": number });
            let result =
                json!({ "type": "tool_result", "tool_use_id": call["id"], "content": format!("found{number}") });
            said.push(json!({ "role": "assistant", "content": content }));
            said.push(json!({ "role": "user", "content": [result] }));
        }
    }
}
