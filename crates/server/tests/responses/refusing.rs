//! What is refused, and how.

use agent::testing::CONTEXT_TOKENS;
use axum::http::Method;
use serde_json::{Value, json};
use server::{HostedTools, Settings};
use store::Store;

use crate::asking::weather;
use crate::support::{Api, answering, said, text};

async fn api() -> Api {
    Api::new(answering(|_| said("Yes."), || {}).0).await
}

async fn refused(api: &Api, body: Value) -> (u16, String, String) {
    let mut request = json!({ "input": "Hello" });
    request.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    api.refused(Method::POST, "/v1/responses", Some(request)).await
}

#[tokio::test]
async fn what_cannot_be_had_is_named() {
    let api = api().await;
    let named = |name: &str| json!({ "type": "function", "name": name });
    let cases = [
        (json!({ "model": "gpt-9" }), (404, "model_not_found", "model")),
        (json!({ "tool_choice": "required" }), (400, "invalid_value", "tool_choice")),
        (json!({ "tool_choice": named("x"), "tools": [weather()] }), (400, "unknown_tool", "tool_choice.name")),
        (
            json!({ "tools": [weather()], "tool_choice": { "type": "allowed_tools", "mode": "auto", "tools": [named("weather"), named("y")] } }),
            (400, "unknown_tool", "tool_choice.tools[1].name"),
        ),
        (json!({ "tool_choice": { "type": "web_search_preview" } }), (400, "unsupported_tool", "tool_choice.type")),
        (
            json!({ "tool_choice": { "type": "mcp", "server_label": "s" } }),
            (400, "unsupported_tool", "tool_choice.type"),
        ),
        (json!({ "tools": [weather(), { "type": "web_search" }] }), (400, "unsupported_tool", "tools[1].type")),
        (
            json!({ "previous_response_id": "resp_unknown" }),
            (400, "previous_response_not_found", "previous_response_id"),
        ),
        (
            json!({ "reserve_answer_tokens": 50, "max_output_tokens": 50 }),
            (400, "integer_above_max_value", "reserve_answer_tokens"),
        ),
        (
            json!({ "text": { "format": { "type": "grammar", "grammar": "root ::= \"a\"" } } }),
            (400, "invalid_grammar", "text.format.grammar"),
        ),
        (json!({ "conversation": "conv_unknown" }), (404, "not_found", "conversation")),
        (json!({ "input": "word ".repeat(CONTEXT_TOKENS) }), (400, "context_length_exceeded", "input")),
    ];
    for (body, (status, code, param)) in cases {
        let mut told = body.to_string();
        told.truncate(300);
        assert_eq!(refused(&api, body).await, (status, code.to_owned(), param.to_owned()), "{told}");
        assert_eq!(api.ask(json!({ "input": "Hello" })).await["status"], "completed", "the server lives");
    }
}

#[tokio::test]
async fn a_path_that_is_no_text_is_refused_like_everything() {
    let api = api().await;
    for path in ["/v1/responses/%ff", "/v1/conversations/conv_1/items/%ff", "/v1/chat/completions/%ff"] {
        assert_eq!(api.refused(Method::GET, path, None).await.1, "invalid_url", "{path}");
    }
}

#[tokio::test]
async fn a_stream_is_refused_before_it_begins() {
    let api = api().await;
    let (status, code, param) = refused(&api, json!({ "stream": true, "tool_choice": "required" })).await;
    assert_eq!((status, code.as_str(), param.as_str()), (400, "invalid_value", "tool_choice"));
}

#[tokio::test]
async fn tools_of_other_servers_are_passed_over_where_the_operator_says_so() {
    let (agent, prompts) = answering(|_| said("Yes."), || {});
    let store = Store::open("sqlite::memory:", store::Settings::default()).await.unwrap();
    let settings = Settings { hosted_tools: HostedTools::Ignore, ..Settings::default() };
    let api = Api::over(agent, store, settings).await;
    let response = api.ask(json!({ "input": "Hello", "tools": [weather(), { "type": "web_search" }] })).await;
    assert_eq!(text(&response), "Yes.");
    let tools = response["tools"].as_array().unwrap();
    assert_eq!((tools.len(), &tools[0]["name"]), (1, &json!("weather")), "what is passed over is not claimed");
    assert!(!prompts.last().contains("browser"));
}
