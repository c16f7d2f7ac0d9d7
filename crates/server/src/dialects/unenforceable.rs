//! Forms that cannot be held to: every API refuses them with the path in the request, before anything is generated. Tools that do not
//! ask for it are not refused, and what they are called with is an object all the same.

use agent::testing::vocabulary;
use agent::{Agent, Settings};
use serde_json::{Value, json};

use super::support::Api;
use super::{chat, messages};

/// An API's path, a request, and the path of the schema in it.
type Request = (&'static str, Value, &'static str);

/// What is wrong with a property, and where that is.
fn faults() -> [(Value, &'static str); 4] {
    [
        (
            json!({ "type": "array", "items": { "type": "string" }, "minItems": 300, "uniqueItems": true }),
            "uniqueItems",
        ),
        (json!({ "type": "string", "pattern": "^a.*(?=b).+$" }), "pattern"),
        (json!({ "$ref": "https://example.com/tags.json" }), "$ref"),
        (json!({ "type": "integer", "minimum": 5, "maximum": 3 }), ""),
    ]
}

fn with_tags(tags: &Value) -> Value {
    let properties = json!({ "name": { "type": "string" }, "tags": tags });
    json!({ "type": "object", "properties": properties, "required": ["tags"], "additionalProperties": false })
}

fn response(extra: Value) -> Value {
    let mut body = json!({ "model": "gpt-oss-20b", "input": "ASK" });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

/// The schema in the place of an answer's form.
fn as_answer(schema: &Value) -> [Request; 5] {
    let named = json!({ "name": "answer", "schema": schema, "strict": true });
    let flat = json!({ "type": "json_schema", "name": "answer", "schema": schema });
    let format = json!({ "type": "json_schema", "schema": schema });
    let nested = json!({ "type": "json_schema", "json_schema": named });
    [
        (
            "/v1/chat/completions",
            chat::asked(json!({ "response_format": nested })),
            "response_format.json_schema.schema",
        ),
        ("/v1/chat/completions", chat::asked(json!({ "guided_json": schema })), "guided_json"),
        ("/v1/responses", response(json!({ "text": { "format": flat } })), "text.format.schema"),
        ("/v1/messages", messages::asked(json!({ "output_format": format })), "output_format.schema"),
        (
            "/v1/messages",
            messages::asked(json!({ "output_config": { "format": format } })),
            "output_config.format.schema",
        ),
    ]
}

/// The schema in the place of what a tool takes, behind a tool that takes nothing.
fn as_tool(schema: &Value, strict: bool) -> [Request; 3] {
    let function = json!({ "name": "find", "parameters": schema, "strict": strict });
    let flat = json!({ "type": "function", "name": "find", "parameters": schema, "strict": strict });
    let tools = json!([{ "type": "function", "function": function }]);
    let message = json!([{ "name": "find", "input_schema": schema, "strict": strict }]);
    [
        ("/v1/chat/completions", chat::asked(json!({ "tools": tools })), "tools[0].function.parameters"),
        (
            "/v1/responses",
            response(json!({ "tools": [{ "type": "custom", "name": "a" }, flat] })),
            "tools[1].parameters",
        ),
        ("/v1/messages", messages::asked(json!({ "tools": message })), "tools[0].input_schema"),
    ]
}

async fn server() -> (Agent, Api) {
    let agent = Agent::noisy(&vocabulary(), 1, Settings::default(), 16_384);
    (agent.clone(), Api::over(agent).await)
}

/// Holds that this is refused, whether as a stream or in the background, and costs nothing.
async fn refused(agent: &Agent, api: &Api, (path, body, place): Request, fault: &str, code: &str) {
    let param = ["properties.tags", fault].join(".");
    let param = format!("{place}.{}", param.trim_end_matches('.'));
    let ways = [json!({}), json!({ "stream": true }), json!({ "background": true })];
    for way in &ways[..if path == "/v1/responses" { 3 } else { 2 }] {
        let mut body = body.clone();
        body.as_object_mut().unwrap().extend(way.as_object().unwrap().clone());
        let before = agent.engine().stats().submitted;
        let (status, refusal) = api.refused(path, &body).await;
        let error = &refusal["error"];
        assert_eq!((status, &error["type"]), (400, &json!("invalid_request_error")), "{param}: {refusal}");
        assert!(error["message"].as_str().unwrap().contains(&format!("{param}: ")), "{param}: {refusal}");
        // Anthropic's envelope has no more.
        if path != "/v1/messages" {
            assert_eq!((&error["param"], &error["code"]), (&json!(param), &json!(code)), "{refusal}");
        }
        assert_eq!(agent.engine().stats().submitted, before, "nothing is computed");
    }
}

#[tokio::test]
async fn what_cannot_be_enforced_is_refused_by_its_path() {
    let (agent, api) = server().await;
    for (tags, fault) in faults() {
        let schema = with_tags(&tags);
        for request in as_answer(&schema) {
            refused(&agent, &api, request, fault, "invalid_json_schema").await;
        }
        for request in as_tool(&schema, true) {
            refused(&agent, &api, request, fault, "invalid_function_parameters").await;
        }
    }
}

#[tokio::test]
async fn what_is_no_grammar_is_refused_by_its_path() {
    let (agent, api) = server().await;
    for (format, field) in [
        (json!({ "type": "regex", "pattern": "a(" }), "pattern"),
        (json!({ "type": "regex", "pattern": "(?=a)b" }), "pattern"),
        (json!({ "type": "grammar", "grammar": "start: nobody" }), "grammar"),
    ] {
        for (path, body, place) in [
            ("/v1/chat/completions", chat::asked(json!({ "response_format": format })), "response_format"),
            ("/v1/responses", response(json!({ "text": { "format": format } })), "text.format"),
        ] {
            let (status, refusal) = api.refused(path, &body).await;
            let told = (status, &refusal["error"]["param"], &refusal["error"]["code"]);
            assert_eq!(told, (400, &json!(format!("{place}.{field}")), &json!("invalid_grammar")), "{refusal}");
        }
    }
    assert_eq!(agent.engine().stats().submitted, 0);
}

#[tokio::test]
async fn tools_that_do_not_ask_for_it_are_called_with_objects() {
    let (_, api) = server().await;
    for (tags, fault) in faults().into_iter().filter(|(_, fault)| !fault.is_empty()) {
        for seed in 0..6 {
            let requests = as_tool(&with_tags(&tags), false);
            let called = requests.map(|(path, mut body, _)| {
                body["seed"] = json!(seed);
                body["tool_choice"] = match path {
                    "/v1/messages" => json!({ "type": "tool", "name": "find" }),
                    "/v1/responses" => json!({ "type": "function", "name": "find" }),
                    _ => json!({ "type": "function", "function": { "name": "find" } }),
                };
                (path, body)
            });
            for (path, body) in called {
                let answer = api.post(path, &body).await;
                let input = match path {
                    "/v1/chat/completions" if answer["choices"][0]["finish_reason"] == "tool_calls" => {
                        answer["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
                            .as_str()
                            .map(str::to_owned)
                    }
                    "/v1/responses" if answer["status"] == "completed" => {
                        let items = answer["output"].as_array().unwrap();
                        let call = items.iter().find(|item| item["type"] == "function_call").unwrap();
                        call["arguments"].as_str().map(str::to_owned)
                    }
                    "/v1/messages" if answer["stop_reason"] == "tool_use" => {
                        let blocks = answer["content"].as_array().unwrap();
                        let call = blocks.iter().find(|block| block["type"] == "tool_use").unwrap();
                        assert!(call["input"].get("raw_input").is_none(), "{answer}");
                        Some(call["input"].to_string())
                    }
                    // It was cut, and says so.
                    _ => continue,
                };
                let input: Value = serde_json::from_str(&input.unwrap()).unwrap();
                assert!(input.is_object(), "{fault}: {answer}");
            }
        }
    }
}
