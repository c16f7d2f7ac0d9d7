//! Anthropic requests as clients write them, and wrong ones.

use agent::{Call, CallKind, Effort, ToolChoice, ToolName};
use serde_json::json;

use super::*;

fn with(extra: Value) -> Result<MessagesRequest, ApiError> {
    let mut body = json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "Hi" }] });
    let Value::Object(extra) = extra else { panic!("an object") };
    body.as_object_mut().unwrap().extend(extra);
    MessagesRequest::read(&body)
}

#[test]
fn a_conversation_with_tools_is_read() {
    let messages = json!([
        { "role": "user", "content": [{ "type": "text", "text": "q", "cache_control": { "type": "ephemeral" } }] },
        { "role": "assistant", "content": [
            { "type": "thinking", "thinking": "hm", "signature": "s" },
            { "type": "redacted_thinking", "data": "d" },
            { "type": "text", "text": "I look." },
            { "type": "tool_use", "id": "call_1", "name": "f", "input": { "x": 1 } },
        ] },
        { "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": "call_1", "is_error": true, "content": [{ "type": "text", "text": "no" }] },
            { "type": "document", "source": { "type": "text", "media_type": "text/plain", "data": "doc" } },
        ] },
    ]);
    let system =
        json!([{ "type": "text", "text": "x-anthropic-billing-header: cch=1" }, { "type": "text", "text": "Be." }]);
    let request = with(json!({ "messages": messages, "system": system })).unwrap();
    let call = Call {
        id: "call_1".into(),
        tool: ToolName::function("f"),
        kind: CallKind::Function,
        input: "{\"x\":1}".into(),
    };
    let expected = [
        Said::User(vec![UserBlock::Text("q".into())]),
        Said::Assistant(vec![
            AssistantBlock::Thinking { text: "hm".into(), signature: Some("s".into()) },
            AssistantBlock::Redacted("d".into()),
            AssistantBlock::Text("I look.".into()),
            AssistantBlock::ToolUse(call),
        ]),
        Said::User(vec![
            UserBlock::ToolResult {
                path: "messages[2].content[0]".into(),
                call_id: "call_1".into(),
                text: "The tool failed: no".into(),
            },
            UserBlock::Text("doc".into()),
        ]),
    ];
    assert_eq!(request.messages, expected);
    assert_eq!(request.system.as_deref(), Some("Be."), "what is billed is not told");
}

#[test]
fn thinking_has_three_forms() {
    let read = |thinking: Value, extra: Value| {
        let mut body = json!({ "thinking": thinking });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let request = with(body).unwrap();
        (request.effort, request.thinking.display, request.thinking.budget)
    };
    assert_eq!(read(json!(null), json!({})), (None, Display::Nothing, None));
    assert_eq!(read(json!({ "type": "disabled" }), json!({})), (Some(Effort::None), Display::Nothing, None));
    let enabled = json!({ "type": "enabled", "budget_tokens": 1024 });
    assert_eq!(read(enabled, json!({})), (Some(Effort::Low), Display::Full, Some(1024)));
    let adaptive = json!({ "type": "adaptive", "display": "omitted" });
    assert_eq!(
        read(adaptive, json!({ "output_config": { "effort": "max" } })),
        (Some(Effort::High), Display::Omitted, None)
    );
}

#[test]
fn tool_choice_has_four_forms() {
    let tools = json!([{ "name": "f", "input_schema": { "type": "object" }, "cache_control": {} }]);
    let choose = |choice: Value| {
        let request = with(json!({ "tools": tools, "tool_choice": choice })).unwrap();
        (request.tool_choice, request.parallel_tool_calls)
    };
    assert_eq!(choose(json!({ "type": "any" })), (ToolChoice::Required, false));
    assert_eq!(choose(json!({ "type": "none" })), (ToolChoice::None, false));
    assert_eq!(choose(json!({ "type": "auto", "disable_parallel_tool_use": false })), (ToolChoice::Auto, true));
    assert_eq!(choose(json!({ "type": "any", "disable_parallel_tool_use": true })), (ToolChoice::Required, false));
    let named = json!({ "type": "tool", "name": "f", "disable_parallel_tool_use": false });
    assert_eq!(choose(named), (ToolChoice::Named(ToolName::function("f")), true));
    let named = json!({ "type": "tool", "name": "f", "disable_parallel_tool_use": true });
    assert_eq!(choose(named), (ToolChoice::Named(ToolName::function("f")), false));
}

#[test]
fn whatever_is_wrong_is_named() {
    let image = json!({ "role": "user", "content": [{ "type": "image", "source": {} }] });
    let cases = [
        (json!({ "max_tokens": null }), "max_tokens"),
        (json!({ "surprise": 1 }), "surprise"),
        (json!({ "messages": [{ "role": "assistant", "content": "so" }] }), "messages"),
        (json!({ "messages": [image] }), "messages[0].content[0]"),
        (json!({ "tools": [{ "type": "web_search_20250305", "name": "web_search" }] }), "tools[0].type"),
        (json!({ "tools": [{ "name": "f" }] }), "tools[0].input_schema"),
        (json!({ "tool_choice": { "type": "any" } }), "tool_choice"),
        (json!({ "tool_choice": { "type": "tool", "name": "g" } }), "tool_choice.name"),
        (json!({ "thinking": { "type": "enabled" } }), "thinking.budget_tokens"),
        (json!({ "mcp_servers": [{}] }), "mcp_servers"),
        (json!({ "context_management": { "edits": [{ "type": "compact" }] } }), "context_management.edits[0].type"),
        (json!({ "stop_sequences": [1] }), "stop_sequences[0]"),
    ];
    for (extra, path) in cases {
        assert_eq!(with(extra.clone()).unwrap_err().param.as_deref(), Some(path), "{extra}");
    }
}

#[test]
fn what_agents_send_besides_is_accepted() {
    let extra = json!({
        "metadata": { "user_id": "u" }, "service_tier": "auto", "mcp_servers": [], "top_k": 5, "stream": true,
        "context_management": { "edits": [{ "type": "clear_thinking_20251015", "keep": "all" }] },
        "output_format": { "type": "json_schema", "schema": { "type": "object" } },
    });
    assert!(with(extra).unwrap().stream);
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "Hi" }] });
    assert_eq!(MessagesRequest::read_to_count(&body).unwrap().tokens_max, None);
}
