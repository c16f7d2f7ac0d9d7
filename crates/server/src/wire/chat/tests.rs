//! Chat requests as clients write them, and wrong ones.

use agent::{CallKind, Effort, ToolName};
use serde_json::json;

use super::*;

fn with(extra: Value) -> Result<ChatRequest, ApiError> {
    let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "Hi" }] });
    let Value::Object(extra) = extra else { panic!("an object") };
    body.as_object_mut().unwrap().extend(extra);
    ChatRequest::read(&body)
}

fn refused(extra: Value) -> (String, &'static str) {
    let error = with(extra.clone()).expect_err(&extra.to_string());
    assert_eq!(error.status, axum::http::StatusCode::BAD_REQUEST);
    (error.param.unwrap_or_default(), error.code.unwrap_or_default())
}

#[test]
fn the_least_request_has_defaults() {
    let request = with(json!({})).unwrap();
    assert_eq!(request.messages, [ChatMessage::User { name: None, text: "Hi".to_owned() }]);
    assert_eq!((request.choices, request.stream, request.store), (1, None, false));
    assert_eq!(request.thinking, Thinking { effort: None, tokens_max: None, shown: true });
    assert!(!request.parallel_tool_calls);
}

#[test]
fn every_spelling_of_the_effort_is_understood() {
    let cases = [
        (json!({ "reasoning_effort": "none" }), Effort::None),
        (json!({ "reasoning_effort": "minimal" }), Effort::Low),
        (json!({ "reasoning_effort": "xhigh" }), Effort::High),
        (json!({ "reasoning": { "effort": "high" } }), Effort::High),
        (json!({ "reasoning": { "enabled": false } }), Effort::None),
        (json!({ "chat_template_kwargs": { "reasoning_effort": "low" } }), Effort::Low),
        (json!({ "chat_template_kwargs": { "enable_thinking": false } }), Effort::None),
        (json!({ "thinking": { "type": "disabled" } }), Effort::None),
        (json!({ "reasoning_effort": "low", "chat_template_kwargs": { "reasoning_effort": "high" } }), Effort::Low),
    ];
    for (extra, effort) in cases {
        assert_eq!(with(extra.clone()).unwrap().thinking.effort, Some(effort), "{extra}");
    }
    assert!(!with(json!({ "reasoning": { "exclude": true } })).unwrap().thinking.shown);
    assert!(!with(json!({ "include_reasoning": false })).unwrap().thinking.shown);
}

#[test]
fn an_assistant_brings_thoughts_text_and_calls_back() {
    let call = json!({ "id": "call_1", "type": "function", "function": { "name": "f", "arguments": "{}" } });
    let messages = json!([
        { "role": "system", "content": [{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }] },
        { "role": "user", "content": "q" },
        { "role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [call], "annotations": [] },
        { "role": "tool", "tool_call_id": "call_1", "content": "4" },
        { "role": "assistant", "refusal": "no" },
        { "role": "function", "name": "f", "content": null },
    ]);
    let request = with(json!({ "messages": messages })).unwrap();
    let call =
        ChatCall { id: Some("call_1".into()), name: "f".into(), kind: CallKind::Function, input: "{}".to_owned() };
    let expected = [
        ChatMessage::Instructions("a\nb".into()),
        ChatMessage::User { name: None, text: "q".into() },
        ChatMessage::Assistant { reasoning: Some("hm".into()), content: None, calls: vec![call] },
        ChatMessage::Tool { call_id: "call_1".into(), text: "4".into() },
        ChatMessage::Assistant { reasoning: None, content: Some("no".into()), calls: vec![] },
        ChatMessage::Function { name: "f".into(), text: String::new() },
    ];
    assert_eq!(request.messages, expected);
}

#[test]
fn tools_and_their_choice_have_many_forms() {
    let tools = json!([
        { "type": "function", "function": { "name": "f", "parameters": { "type": "object" }, "strict": true } },
        { "type": "custom", "custom": { "name": "c", "format": { "type": "grammar", "grammar": { "syntax": "lark", "definition": "x" } } } },
    ]);
    let (f, c) = (ToolName::function("f"), ToolName::function("c"));
    let allowed = json!({ "mode": "required", "tools": [{ "type": "function", "function": { "name": "f" } }] });
    let cases = [
        (json!("required"), ToolChoice::Required),
        (json!({ "type": "function", "function": { "name": "f" } }), ToolChoice::Named(f.clone())),
        (json!({ "type": "function", "name": "f" }), ToolChoice::Named(f.clone())),
        (json!({ "type": "custom", "custom": { "name": "c" } }), ToolChoice::Named(c)),
        (
            json!({ "type": "allowed_tools", "allowed_tools": allowed }),
            ToolChoice::Allowed { tools: vec![f.clone()], required: true },
        ),
    ];
    for (choice, expected) in cases {
        assert_eq!(with(json!({ "tools": tools, "tool_choice": choice })).unwrap().tool_choice, expected);
    }
    let several = json!({ "mode": "auto", "tools": [
        { "type": "custom", "custom": { "name": "c" } }, { "type": "function", "function": { "name": "f" } },
    ] });
    let choice = json!({ "type": "allowed_tools", "allowed_tools": several });
    let request = with(json!({ "tools": tools, "tool_choice": choice, "parallel_tool_calls": true })).unwrap();
    let allowed = vec![ToolName::function("c"), f.clone()];
    assert_eq!(request.tool_choice, ToolChoice::Allowed { tools: allowed, required: false });
    assert!(request.parallel_tool_calls);
    for (word, expected) in [("auto", ToolChoice::Auto), ("none", ToolChoice::None)] {
        assert_eq!(with(json!({ "tools": tools, "tool_choice": word })).unwrap().tool_choice, expected);
        let older = json!({ "functions": [{ "name": "f" }], "function_call": word });
        assert_eq!(with(older).unwrap().tool_choice, expected);
    }
    let functions = json!({ "functions": [{ "name": "f" }], "function_call": { "name": "f" } });
    let request = with(functions).unwrap();
    assert!(request.legacy_functions);
    assert_eq!(request.tool_choice, ToolChoice::Named(f));
}

#[test]
fn whatever_is_wrong_is_named() {
    let f = json!([{ "type": "function", "function": { "name": "f" } }]);
    let message = |message: Value| json!({ "messages": [message] });
    let cases = [
        (json!({ "surprise": 1 }), "surprise", "unknown_parameter"),
        (json!({ "messages": [] }), "messages", "invalid_type"),
        (json!({ "model": 3 }), "model", "invalid_type"),
        (message(json!({ "role": "user" })), "messages[0].content", "missing_required_parameter"),
        (message(json!({ "role": "king", "content": "" })), "messages[0].role", "invalid_value"),
        (message(json!({ "role": "tool", "content": "" })), "messages[0].tool_call_id", "missing_required_parameter"),
        (
            message(json!({ "role": "user", "content": [{ "type": "image_url", "image_url": {} }] })),
            "messages[0].content[0]",
            "unsupported_value",
        ),
        (json!({ "n": 0 }), "n", "integer_below_min_value"),
        (json!({ "max_tokens": 0 }), "max_tokens", "integer_below_min_value"),
        (json!({ "top_logprobs": 2 }), "top_logprobs", "invalid_value"),
        (json!({ "stream_options": { "include_usage": true } }), "stream_options", "invalid_value"),
        (json!({ "stream": true, "stream_options": { "x": 1 } }), "stream_options.x", "unknown_parameter"),
        (json!({ "modalities": ["text", "audio"] }), "modalities[1]", "unsupported_value"),
        (json!({ "web_search_options": {} }), "web_search_options", "unsupported_value"),
        (json!({ "tools": [{ "type": "web_search" }] }), "tools[0].type", "unsupported_tool"),
        (json!({ "tools": [{ "type": "function" }] }), "tools[0].function", "missing_required_parameter"),
        (json!({ "tools": [f[0], f[0]] }), "tools[1]", "invalid_value"),
        (
            json!({ "tools": f, "tool_choice": { "type": "function", "function": { "name": "g" } } }),
            "tool_choice.function.name",
            "invalid_value",
        ),
        (json!({ "tool_choice": "required" }), "tool_choice", "invalid_value"),
        (
            json!({ "tools": f, "tool_choice": { "type": "custom", "custom": { "name": "f" } } }),
            "tool_choice.custom.name",
            "invalid_value",
        ),
        (
            json!({ "tools": f, "tool_choice": { "type": "allowed_tools", "allowed_tools": {
                "mode": "auto", "tools": [{ "type": "function", "function": { "name": "g" } }],
            } } }),
            "tool_choice.allowed_tools.tools[0].function.name",
            "invalid_value",
        ),
        (
            json!({ "functions": [{ "name": "f" }], "function_call": { "name": "g" } }),
            "function_call.name",
            "invalid_value",
        ),
        (json!({ "tool_choice": "some" }), "tool_choice", "invalid_value"),
        (
            json!({ "response_format": { "type": "json_schema" } }),
            "response_format.json_schema",
            "missing_required_parameter",
        ),
        (
            json!({ "response_format": { "type": "json_schema", "json_schema": { "name": "a", "schema": { "type": 1 } } } }),
            "response_format.json_schema.schema.type",
            "invalid_json_schema",
        ),
        (json!({ "reasoning_effort": "huge" }), "reasoning_effort", "invalid_value"),
        (json!({ "metadata": { "a": 1 } }), "metadata", "invalid_type"),
        (json!({ "chat_template_kwargs": { "x": 1 } }), "chat_template_kwargs.x", "unknown_parameter"),
    ];
    for (extra, path, code) in cases {
        assert_eq!(refused(extra), (path.to_owned(), code));
    }
}

#[test]
fn what_agents_and_routers_send_besides_is_accepted() {
    let extra = json!({
        "user": "u", "safety_identifier": "s", "metadata": { "a": "b" }, "prompt_cache_key": "k", "client_metadata": {},
        "top_k": -1, "min_p": 0, "repetition_penalty": 1, "priority": 0, "seed": 1, "cache_salt": "x", "verbosity": "low",
        "service_tier": "flex", "prompt_cache_retention": "24h", "prediction": { "type": "content", "content": "x" },
        "max_completion_tokens": 7, "max_tokens": 5, "logprobs": true, "stop": null, "modalities": ["text"],
    });
    let request = with(extra).unwrap();
    assert_eq!((request.tokens_max, request.top_logprobs, request.priority), (Some(7), Some(0), Priority::Low));
}
