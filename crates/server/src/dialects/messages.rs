//! Anthropic's Messages.

use agent::Agent;
use agent::testing::Script;
use serde_json::{Value, json};

use super::support::{Api, without_names};

const PATH: &str = "/v1/messages";
const CALL: &str = "<|channel|>analysis<|message|>look<|end|><|start|>assistant<|channel|>commentary to=functions.find <|constrain|>json<|message|>{\"x\":1}<|call|>";
const THOUGHT: &str =
    "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Good day.<|return|>";

pub(super) fn asked(extra: Value) -> Value {
    let mut body =
        json!({ "model": "gpt-oss-20b", "max_tokens": 500, "messages": [{ "role": "user", "content": "ASK" }] });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

fn thinking() -> Value {
    json!({ "thinking": { "type": "enabled", "budget_tokens": 1024 } })
}

/// What a client makes of a stream, which must be in order.
fn reassembled(events: &[Value]) -> Value {
    let mut message = Value::Null;
    let mut open: Option<(Value, String)> = None;
    let mut is_over = false;
    for event in events {
        assert!(!is_over, "nothing follows the end: {event}");
        match event["type"].as_str().unwrap() {
            "message_start" => {
                assert!(message.is_null());
                message = event["message"].clone();
                assert_eq!((&message["content"], &message["stop_reason"]), (&json!([]), &Value::Null));
            }
            "ping" => {}
            "content_block_start" => {
                assert!(open.is_none());
                assert_eq!(event["index"], message["content"].as_array().unwrap().len());
                open = Some((event["content_block"].clone(), String::new()));
            }
            "content_block_delta" => {
                let (block, json) = open.as_mut().expect("a block is open");
                let delta = &event["delta"];
                let (name, text) = match delta["type"].as_str().unwrap() {
                    "text_delta" => ("text", &delta["text"]),
                    "thinking_delta" => ("thinking", &delta["thinking"]),
                    "signature_delta" => ("signature", &delta["signature"]),
                    "input_json_delta" => {
                        json.push_str(delta["partial_json"].as_str().unwrap());
                        continue;
                    }
                    other => panic!("{other}"),
                };
                block[name] = json!(format!("{}{}", block[name].as_str().unwrap(), text.as_str().unwrap()));
            }
            "content_block_stop" => {
                let (mut block, json) = open.take().expect("a block is open");
                if block["type"] == "tool_use" {
                    block["input"] = serde_json::from_str(&json).unwrap();
                    assert!(block["input"].is_object());
                }
                message["content"].as_array_mut().unwrap().push(block);
            }
            "message_delta" => {
                assert!(open.is_none());
                message["stop_reason"] = event["delta"]["stop_reason"].clone();
                message["stop_sequence"] = event["delta"]["stop_sequence"].clone();
                message["usage"] = event["usage"].clone();
            }
            "message_stop" => is_over = true,
            other => panic!("{other}"),
        }
    }
    assert!(is_over && open.is_none());
    message
}

pub(super) async fn both(api: &Api, extra: Value) -> Value {
    let object = api.post(PATH, &asked(extra.clone())).await;
    let events = api.events(PATH, &asked(extra)).await;
    assert_eq!(without_names(reassembled(&events)), without_names(object.clone()));
    for block in object["content"].as_array().unwrap() {
        assert!(block["type"] != "text" || block["text"] != "", "clients could not send it back: {object}");
    }
    object
}

#[tokio::test]
async fn thoughts_are_shown_where_they_are_asked_for() {
    let api = Api::saying(THOUGHT).await;
    let plain = both(&api, json!({})).await;
    assert_eq!(plain["content"], json!([{ "type": "text", "text": "Good day." }]));
    assert_eq!(
        (&plain["stop_reason"], &plain["role"], &plain["type"]),
        (&json!("end_turn"), &json!("assistant"), &json!("message"))
    );
    let shown = both(&api, thinking()).await;
    assert_eq!(shown["content"][0]["thinking"], "hm");
    assert!(!shown["content"][0]["signature"].as_str().unwrap().is_empty());
    let omitted = both(&api, json!({ "thinking": { "type": "adaptive", "display": "omitted" } })).await;
    assert_eq!((&omitted["content"][0]["type"], &omitted["content"][0]["thinking"]), (&json!("thinking"), &json!("")));
    let cut = both(&api, json!({ "max_tokens": 2 })).await;
    assert_eq!(cut["stop_reason"], "max_tokens");
    let stopped = both(&api, json!({ "stop_sequences": ["xyz", "day"] })).await;
    assert_eq!((&stopped["stop_reason"], &stopped["stop_sequence"]), (&json!("stop_sequence"), &json!("day")));
}

#[tokio::test]
async fn a_form_that_is_cut_is_not_called_whole() {
    let api = Api::saying("<|channel|>final<|message|>{\"a\": 1, \"b\": [1, 2, 3, 4, 5, 6, 7, 8]}<|return|>").await;
    let format = json!({ "type": "json_schema", "schema": { "type": "object" } });
    let cut = both(&api, json!({ "output_config": { "format": format }, "max_tokens": 9 })).await;
    assert_eq!(cut["stop_reason"], "max_tokens");
    let text = cut["content"][0]["text"].as_str().unwrap();
    assert!(text.starts_with('{') && serde_json::from_str::<Value>(text).is_err(), "{cut}");
}

#[tokio::test]
async fn a_tool_loop_keeps_its_thoughts() {
    let script = Script::new().answer("ASK", CALL).answer("4", "<|channel|>final<|message|>Four.<|return|>");
    let api = Api::over(Agent::following(&script)).await;
    let tools = json!([{ "name": "find", "input_schema": { "type": "object" } }]);
    let mut extra = thinking();
    extra["tools"] = tools.clone();
    let answer = both(&api, extra.clone()).await;
    assert_eq!(answer["stop_reason"], "tool_use");
    let call = &answer["content"][1];
    assert_eq!((&call["name"], &call["input"]), (&json!("find"), &json!({ "x": 1 })));
    let result = json!([{ "type": "tool_result", "tool_use_id": call["id"], "content": "4" }]);
    let count = |content: Value| {
        let messages = json!([
            { "role": "user", "content": "ASK" }, { "role": "assistant", "content": content }, { "role": "user", "content": result },
        ]);
        asked(json!({ "messages": messages, "tools": tools }))
    };
    let tokens = |body: Value| {
        let api = &api;
        async move { api.post("/v1/messages/count_tokens", &body).await["input_tokens"].as_u64().unwrap() }
    };
    // With the thought, without it, and with one that somebody else has signed: the model sees what it thought.
    let whole = tokens(count(answer["content"].clone())).await;
    assert_eq!(tokens(count(json!([call]))).await, whole);
    let mut unknown = call.clone();
    unknown["id"] = json!("toolu_1");
    let mut body = count(json!([unknown]));
    body["messages"][2]["content"][0]["tool_use_id"] = json!("toolu_1");
    assert!(tokens(body).await < whole);
    let answer = api.post(PATH, &count(answer["content"].clone())).await;
    assert_eq!(answer["content"][0]["text"], "Four.");
}

#[tokio::test]
async fn a_signature_is_enough_to_know_the_thought() {
    let api = Api::saying(THOUGHT).await;
    let shown = both(&api, thinking()).await["content"][0].clone();
    let count = |block: Value| {
        let call = json!({ "type": "tool_use", "id": "toolu_1", "name": "find", "input": {} });
        let result = json!({ "type": "tool_result", "tool_use_id": "toolu_1" });
        asked(json!({ "messages": [
            { "role": "user", "content": "ASK" }, { "role": "assistant", "content": [block, call] }, { "role": "user", "content": [result] },
        ], "tools": [{ "name": "find", "input_schema": { "type": "object" } }] }))
    };
    let mut tokens = Vec::new();
    let redacted = json!({ "type": "redacted_thinking", "data": shown["signature"] });
    let mut changed = shown.clone();
    changed["thinking"] = json!("something else that is much longer");
    for block in [shown, redacted, changed, json!({ "type": "redacted_thinking", "data": "x" })] {
        tokens.push(api.post("/v1/messages/count_tokens", &count(block)).await["input_tokens"].as_u64().unwrap());
    }
    assert_eq!((tokens[0], tokens[0]), (tokens[1], tokens[2]));
    assert!(tokens[3] < tokens[0], "what was not sealed here is nothing");
}

#[tokio::test]
async fn refusals_have_the_envelope_of_anthropic() {
    let api = Api::saying(THOUGHT).await;
    let cases = [
        (PATH, asked(json!({ "max_tokens": 0 })), 400, "invalid_request_error"),
        (PATH, asked(json!({ "model": "claude" })), 404, "not_found_error"),
        (PATH, json!("text"), 400, "invalid_request_error"),
        ("/v1/messages/count_tokens", json!({}), 400, "invalid_request_error"),
    ];
    for (path, body, status, kind) in cases {
        let (found, refusal) = api.refused(path, &body).await;
        assert_eq!(
            (found, &refusal["type"], &refusal["error"]["type"]),
            (status, &json!("error"), &json!(kind)),
            "{refusal}"
        );
    }
}
