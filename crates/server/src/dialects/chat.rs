//! Chat Completions.

use agent::Agent;
use agent::testing::Script;
use async_openai::types::chat::{CreateChatCompletionResponse, CreateChatCompletionStreamResponse};
use serde_json::{Value, json};

use super::support::{Api, check, without_names};

const PATH: &str = "/v1/chat/completions";
const THOUGHT: &str =
    "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Good day.<|return|>";
const CALL: &str = "<|channel|>analysis<|message|>look<|end|><|start|>assistant<|channel|>commentary to=functions.find <|constrain|>json<|message|>{\"x\":1}<|call|>";

pub(super) fn asked(extra: Value) -> Value {
    let mut body = json!({ "model": "gpt-oss-20b", "messages": [{ "role": "user", "content": "ASK" }] });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

fn find() -> Value {
    json!([{ "type": "function", "function": { "name": "find", "description": "", "parameters": { "type": "object" } } }])
}

/// What a client makes of a stream.
pub(super) fn reassembled(chunks: &[Value]) -> Value {
    let mut choices: Vec<Value> = Vec::new();
    for chunk in chunks {
        check::<CreateChatCompletionStreamResponse>("CreateChatCompletionStreamResponse", chunk);
        for told in chunk["choices"].as_array().unwrap() {
            let index = told["index"].as_u64().unwrap() as usize;
            if choices.len() <= index {
                choices.resize(index + 1, json!({ "message": {}, "logprobs": null, "finish_reason": null }));
            }
            let choice = &mut choices[index];
            choice["index"] = json!(index);
            assert!(choice["finish_reason"].is_null(), "nothing follows an end: {told}");
            choice["finish_reason"] = told["finish_reason"].clone();
            if let Some(tokens) = told["logprobs"]["content"].as_array() {
                let all = &mut choice["logprobs"];
                *all = all.as_object().map_or(json!({ "content": [], "refusal": null }), |all| json!(all));
                all["content"].as_array_mut().unwrap().extend(tokens.iter().cloned());
            }
            add(&mut choice["message"], &told["delta"]);
        }
    }
    Value::Array(choices)
}

fn add(message: &mut Value, delta: &Value) {
    for (name, value) in delta.as_object().unwrap() {
        match value {
            Value::String(text)
                if matches!(name.as_str(), "content" | "reasoning" | "reasoning_content" | "arguments" | "input") =>
            {
                let before = message[name].as_str().unwrap_or_default();
                message[name] = json!(format!("{before}{text}"));
            }
            Value::Array(calls) => {
                for call in calls {
                    let index = call["index"].as_u64().unwrap() as usize;
                    let all = &mut message[name];
                    *all = if all.is_array() { all.take() } else { json!([]) };
                    let all = all.as_array_mut().unwrap();
                    if all.len() <= index {
                        assert!(call["id"].is_string(), "a call begins with its name: {call}");
                        all.push(json!({}));
                    } else {
                        assert!(call.get("id").is_none(), "and has it only then: {call}");
                    }
                    let mut call = call.clone();
                    call.as_object_mut().unwrap().remove("index");
                    add(&mut all[index], &call);
                }
            }
            Value::Object(_) => {
                let inner = &mut message[name];
                *inner = if inner.is_object() { inner.take() } else { json!({}) };
                add(inner, value);
            }
            other => message[name] = other.clone(),
        }
    }
}

/// The same answer with and without a stream, checked.
pub(super) async fn both(api: &Api, extra: Value) -> Value {
    let object = api.post(PATH, &asked(extra.clone())).await;
    check::<CreateChatCompletionResponse>("CreateChatCompletionResponse", &object);
    let mut streamed = asked(extra);
    streamed["stream_options"] = json!({ "include_usage": true });
    let mut chunks = api.chunks(PATH, &streamed).await;
    let last = chunks.pop().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(without_names(last["usage"].clone()), without_names(object["usage"].clone()));
    for chunk in &chunks {
        assert_eq!(chunk["id"], last["id"]);
        assert!(chunk["usage"].is_null() && chunk.get("usage").is_some());
    }
    let mut whole = object["choices"].clone();
    for choice in whole.as_array_mut().unwrap() {
        let message = choice["message"].as_object_mut().unwrap();
        message.remove("annotations");
        if message["content"].is_null() {
            message["content"] = json!("");
        }
    }
    assert_eq!(without_names(reassembled(&chunks)), without_names(whole));
    object
}

#[tokio::test]
async fn an_answer_has_thought_text_and_usage() {
    let api = Api::saying(THOUGHT).await;
    let answer = both(&api, json!({})).await;
    let message = &answer["choices"][0]["message"];
    assert_eq!(message["content"], "Good day.");
    assert_eq!((&message["reasoning"], &message["reasoning_content"]), (&json!("hm"), &json!("hm")));
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer["object"], "chat.completion");
    assert!(answer["id"].as_str().unwrap().starts_with("chatcmpl-"));
    let usage = &answer["usage"];
    let sum = usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap();
    assert_eq!(usage["total_tokens"], sum);
    assert!(usage["completion_tokens_details"]["reasoning_tokens"].as_u64().unwrap() > 0);
    let hidden = both(&api, json!({ "include_reasoning": false })).await;
    assert!(hidden["choices"][0]["message"].get("reasoning").is_none());
}

#[tokio::test]
async fn a_call_has_no_text_and_its_thought_comes_back_without_the_client() {
    let script = Script::new().answer("ASK", CALL).answer("4", "<|channel|>final<|message|>Four.<|return|>");
    let api = Api::over(Agent::following(&script)).await;
    let answer = both(&api, json!({ "tools": find() })).await;
    let choice = &answer["choices"][0];
    assert_eq!((&choice["finish_reason"], &choice["message"]["content"]), (&json!("tool_calls"), &Value::Null));
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(call["function"], json!({ "name": "find", "arguments": "{\"x\":1}" }));
    // The client drops the thought and writes the arguments anew.
    let mut sent = call.clone();
    sent["function"]["arguments"] = json!("{\"x\": 1}");
    let messages = json!([
        { "role": "user", "content": "ASK" },
        { "role": "assistant", "content": null, "tool_calls": [sent] },
        { "role": "tool", "tool_call_id": call["id"], "content": "4" },
    ]);
    let body = json!({ "messages": messages, "tools": find() });
    let tokens = api.post("/tokenize", &body).await["tokens"].clone();
    let prompt = api.post("/detokenize", &json!({ "tokens": tokens })).await["prompt"].as_str().unwrap().to_owned();
    assert!(prompt.contains(CALL), "token for token: {prompt}");
    let answer = api.post(PATH, &asked(json!({ "messages": messages, "tools": find() }))).await;
    assert_eq!(answer["choices"][0]["message"]["content"], "Four.");
}

#[tokio::test]
async fn older_functions_are_called_as_they_were() {
    let api = Api::saying(CALL).await;
    let functions = json!([{ "name": "find", "parameters": { "type": "object" } }]);
    let answer = both(&api, json!({ "functions": functions })).await;
    let choice = &answer["choices"][0];
    assert_eq!(choice["finish_reason"], "function_call");
    assert_eq!(choice["message"]["function_call"], json!({ "name": "find", "arguments": "{\"x\":1}" }));
    assert!(choice["message"].get("tool_calls").is_none());
}

#[tokio::test]
async fn custom_tools_take_text() {
    let api = Api::saying("<|channel|>commentary to=functions.patch <|message|>*** Begin<|call|>").await;
    let tools = json!([{ "type": "custom", "custom": { "name": "patch" } }]);
    let answer = both(&api, json!({ "tools": tools })).await;
    let call = &answer["choices"][0]["message"]["tool_calls"][0];
    assert_eq!((&call["type"], &call["custom"]), (&json!("custom"), &json!({ "name": "patch", "input": "*** Begin" })));
}

#[tokio::test]
async fn several_texts_are_one_with_an_empty_line_between() {
    let preamble = "<|channel|>commentary<|message|>I begin.<|end|><|start|>assistant";
    let api = Api::saying(&format!("{preamble}<|channel|>final<|message|>Done.<|return|>")).await;
    let answer = both(&api, json!({})).await;
    assert_eq!(answer["choices"][0]["message"]["content"], "I begin.\n\nDone.");
}

#[tokio::test]
async fn an_answer_in_json_is_all_that_is_said() {
    let preamble = "<|channel|>commentary<|message|>I begin.<|end|><|start|>assistant";
    let api = Api::saying(&format!("{preamble}<|channel|>final<|message|>{{}}<|return|>")).await;
    let answer = both(&api, json!({ "response_format": { "type": "json_object" } })).await;
    let message = &answer["choices"][0]["message"];
    assert_eq!((&message["content"], &message["reasoning"]), (&json!("{}"), &json!("I begin.")));
}

#[tokio::test]
async fn several_choices_are_summed() {
    let api = Api::saying(THOUGHT).await;
    let one = both(&api, json!({})).await;
    let three = both(&api, json!({ "n": 3, "seed": 1 })).await;
    assert_eq!(three["choices"].as_array().unwrap().len(), 3);
    assert_eq!(three["usage"]["prompt_tokens"], one["usage"]["prompt_tokens"]);
    let tokens = |answer: &Value| answer["usage"]["completion_tokens"].as_u64().unwrap();
    assert_eq!(tokens(&three), 3 * tokens(&one));
}

#[tokio::test]
async fn log_probabilities_come_with_their_text() {
    let api = Api::saying(THOUGHT).await;
    let answer = both(&api, json!({ "logprobs": true, "top_logprobs": 2 })).await;
    let tokens = answer["choices"][0]["logprobs"]["content"].as_array().unwrap();
    let text: String = tokens.iter().map(|token| token["token"].as_str().unwrap()).collect();
    assert_eq!(text, "Good day.", "of the answer alone");
    assert!(tokens.iter().all(|token| token["top_logprobs"].as_array().unwrap().len() == 2));
}

#[tokio::test]
async fn limits_and_stop_texts_end_an_answer() {
    let api = Api::saying(THOUGHT).await;
    let cut = both(&api, json!({ "max_tokens": 4 })).await;
    assert_eq!(cut["choices"][0]["finish_reason"], "length");
    assert_eq!(cut["usage"]["completion_tokens"], 4);
    let stopped = both(&api, json!({ "stop": ["day"] })).await;
    assert_eq!(stopped["choices"][0]["finish_reason"], "stop");
    assert_eq!(stopped["choices"][0]["message"]["content"], "Good ");
}

#[tokio::test]
async fn a_form_that_is_cut_is_not_called_whole() {
    let api = Api::saying("<|channel|>final<|message|>{\"a\": 1, \"b\": [1, 2, 3, 4, 5, 6, 7, 8]}<|return|>").await;
    let schema = json!({ "type": "object" });
    let format = json!({ "type": "json_schema", "json_schema": { "name": "a", "schema": schema, "strict": true } });
    let cut = both(&api, json!({ "response_format": format, "max_tokens": 9 })).await;
    let choice = &cut["choices"][0];
    assert_eq!((&choice["finish_reason"], choice["message"].get("refusal")), (&json!("length"), Some(&Value::Null)));
    assert!(choice["message"]["content"].as_str().unwrap().starts_with('{'), "{cut}");
    assert!(serde_json::from_str::<Value>(choice["message"]["content"].as_str().unwrap()).is_err());
}

#[tokio::test]
async fn padding_hides_the_length_of_pieces() {
    let api = Api::saying(THOUGHT).await;
    let body = asked(json!({ "stream_options": { "include_obfuscation": true } }));
    for chunk in api.chunks(PATH, &body).await {
        let delta = chunk["choices"][0]["delta"].to_string();
        assert_eq!((delta.len() + chunk["obfuscation"].as_str().unwrap().len()) % 32, 0);
        assert!(chunk.get("usage").is_none());
    }
}

#[tokio::test]
async fn refusals_name_what_is_wrong() {
    let api = Api::saying(THOUGHT).await;
    let cases = [
        (asked(json!({ "model": "gpt-5" })), 404, "model", "model_not_found"),
        (asked(json!({ "surprise": 1 })), 400, "surprise", "unknown_parameter"),
        (
            asked(json!({ "reserve_answer_tokens": 9, "max_tokens": 9 })),
            400,
            "reserve_answer_tokens",
            "integer_above_max_value",
        ),
        (asked(json!({ "grammar": "root ::= \"a\"" })), 400, "grammar", "invalid_grammar"),
        (asked(json!({ "logit_bias": { "999999": 1 } })), 400, "logit_bias", "invalid_value"),
        (
            asked(json!({ "messages": [{ "role": "user", "content": "a ".repeat(20_000) }] })),
            400,
            "messages",
            "context_length_exceeded",
        ),
        (
            asked(json!({ "messages": [{ "role": "tool", "tool_call_id": "x", "content": "" }] })),
            400,
            "messages[0].tool_call_id",
            "invalid_value",
        ),
    ];
    for (body, status, param, code) in cases {
        for stream in [false, true] {
            let mut body = body.clone();
            body["stream"] = json!(stream);
            let (found, refusal) = api.refused(PATH, &body).await;
            assert_eq!(found, status, "{refusal}");
            let error = &refusal["error"];
            assert_eq!((error["param"].as_str().unwrap_or_default(), error["code"].as_str().unwrap()), (param, code));
        }
    }
}
