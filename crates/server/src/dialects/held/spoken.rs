//! How each API spells a case, and what a client makes of its answer. It must not know what is right.

use std::future::Future;
use std::pin::Pin;

use serde_json::{Value, json};

use super::super::support::Api as Server;
use super::super::{chat, messages};
use super::{Case, Choice, End, Form, GRAMMAR, Heard, PATTERN, Takes, Tool, WORDS};
use crate::published_schema::check_events;

type Answers<'a> = Pin<Box<dyn Future<Output = Vec<Heard>> + 'a>>;

/// An API.
pub(super) struct Api {
    /// Whether tools may take texts.
    pub(super) has_customs: bool,
    /// Whether several tools may be chosen from.
    pub(super) has_allowed: bool,
    body: fn(&Case) -> Value,
    ask: for<'a> fn(&'a Server, &'a Value) -> Answers<'a>,
}

impl Api {
    /// The request, without what all requests have.
    pub(super) fn body(&self, case: &Case) -> Value {
        (self.body)(case)
    }

    /// What is heard whole, and as a stream.
    pub(super) async fn ask(&self, server: &Server, body: &Value) -> Vec<Heard> {
        (self.ask)(server, body).await
    }
}

pub(super) const CHAT: Api = Api {
    has_customs: true,
    has_allowed: true,
    body: chat_body,
    ask: |server, body| {
        Box::pin(async move {
            let answer = chat::both(server, body.clone()).await;
            vec![heard_chat(&answer["choices"][0])]
        })
    },
};

pub(super) const MESSAGES: Api = Api {
    has_customs: false,
    has_allowed: false,
    body: messages_body,
    ask: |server, body| Box::pin(async move { vec![heard_message(&messages::both(server, body.clone()).await)] }),
};

pub(super) const RESPONSES: Api = Api {
    has_customs: true,
    has_allowed: true,
    body: responses_body,
    ask: |server, body| {
        Box::pin(async move {
            let whole = server.post("/v1/responses", body).await;
            let mut events = server.events("/v1/responses", body).await;
            events.iter_mut().for_each(hide_form);
            let streamed = check_events(&events);
            vec![heard_response(&whole), heard_response(&streamed)]
        })
    },
};

/// OpenAI's document has no forms but JSON.
fn hide_form(event: &mut Value) {
    if let Some(format) = event.pointer_mut("/response/text/format") {
        *format = json!({ "type": "text" });
    }
}

/// The forms that all APIs spell alike.
fn form(form: &Form) -> Option<Value> {
    match form {
        Form::Text | Form::Schema(_) => None,
        Form::Object => Some(json!({ "type": "json_object" })),
        Form::Regex => Some(json!({ "type": "regex", "pattern": PATTERN })),
        Form::Lark => Some(json!({ "type": "grammar", "grammar": GRAMMAR })),
        Form::Words => Some(json!({ "type": "choice", "choices": WORDS })),
    }
}

/// The grammar of a tool's input, if it has one.
fn grammar(takes: &Takes) -> Option<Value> {
    match takes {
        Takes::Nothing | Takes::Schema { .. } | Takes::Text => None,
        Takes::Regex => Some(json!({ "syntax": "regex", "definition": PATTERN })),
        Takes::Lark => Some(json!({ "syntax": "lark", "definition": GRAMMAR })),
    }
}

fn function(tool: &Tool, schema_name: &str) -> Option<Value> {
    let mut function = json!({ "name": tool.name });
    match &tool.takes {
        Takes::Nothing => {}
        Takes::Schema { schema, strict } => {
            function[schema_name] = schema.clone();
            function["strict"] = json!(strict);
        }
        Takes::Text | Takes::Regex | Takes::Lark => return None,
    }
    Some(function)
}

fn kind(tool: &Tool) -> &'static str {
    if function(tool, "").is_some() { "function" } else { "custom" }
}

fn chat_body(case: &Case) -> Value {
    let mut body = json!({
        "temperature": case.temperature, "seed": case.seed, "max_completion_tokens": case.tokens_max,
        "reasoning_effort": if case.thinks { "low" } else { "none" },
    });
    match (&case.form, case.seed % 3) {
        // Three spellings of one thing.
        (Form::Schema(schema), 0) => body["structured_outputs"] = json!({ "json": schema }),
        (Form::Schema(schema), 1) => body["guided_json"] = json!(schema.to_string()),
        (Form::Schema(schema), _) => {
            let schema = json!({ "name": "answer", "schema": schema, "strict": true });
            body["response_format"] = json!({ "type": "json_schema", "json_schema": schema });
        }
        (other, _) => body["response_format"] = form(other).unwrap_or(json!({ "type": "text" })),
    }
    if case.tools.is_empty() {
        return body;
    }
    let tool = |tool: &Tool| match (function(tool, "parameters"), grammar(&tool.takes)) {
        (Some(function), _) => json!({ "type": "function", "function": function }),
        (None, None) => json!({ "type": "custom", "custom": { "name": tool.name } }),
        (None, Some(grammar)) => {
            let format = json!({ "type": "grammar", "grammar": grammar });
            json!({ "type": "custom", "custom": { "name": tool.name, "format": format } })
        }
    };
    let named = |tool: usize| {
        let tool = &case.tools[tool];
        let kind = kind(tool);
        json!({ "type": kind, kind: { "name": tool.name } })
    };
    body["tools"] = case.tools.iter().map(tool).collect();
    body["parallel_tool_calls"] = json!(case.parallel);
    body["tool_choice"] = match case.choice {
        Choice::Auto => json!("auto"),
        Choice::None => json!("none"),
        Choice::Required => json!("required"),
        Choice::Named(tool) => named(tool),
        Choice::Allowed { tool, required } => {
            let allowed = json!({ "mode": mode(required), "tools": [named(tool)] });
            json!({ "type": "allowed_tools", "allowed_tools": allowed })
        }
    };
    body
}

fn mode(required: bool) -> &'static str {
    if required { "required" } else { "auto" }
}

fn messages_body(case: &Case) -> Value {
    let mut body = json!({ "temperature": case.temperature, "seed": case.seed, "max_tokens": case.tokens_max });
    if !case.thinks {
        body["thinking"] = json!({ "type": "disabled" });
    }
    let format = match &case.form {
        Form::Schema(schema) => Some(json!({ "type": "json_schema", "schema": schema })),
        other => form(other),
    };
    if let Some(format) = format {
        body["output_format"] = format;
    }
    if case.tools.is_empty() {
        return body;
    }
    let tool = |tool: &Tool| {
        let mut tool = function(tool, "input_schema").expect("only functions");
        if tool.get("input_schema").is_none() {
            tool["input_schema"] = json!({ "type": "object", "properties": {}, "additionalProperties": false });
        }
        tool
    };
    body["tools"] = case.tools.iter().map(tool).collect();
    body["tool_choice"] = match case.choice {
        Choice::Auto => json!({ "type": "auto" }),
        Choice::None => json!({ "type": "none" }),
        Choice::Required => json!({ "type": "any" }),
        Choice::Named(tool) | Choice::Allowed { tool, required: _ } => {
            json!({ "type": "tool", "name": case.tools[tool].name })
        }
    };
    if !matches!(case.choice, Choice::None) {
        body["tool_choice"]["disable_parallel_tool_use"] = json!(!case.parallel);
    }
    body
}

fn responses_body(case: &Case) -> Value {
    let mut body = json!({
        "model": "gpt-oss-20b", "input": "ASK", "temperature": case.temperature, "seed": case.seed,
        "max_output_tokens": case.tokens_max, "reasoning": { "effort": if case.thinks { "low" } else { "none" } },
    });
    let format = match &case.form {
        Form::Schema(schema) => {
            Some(json!({ "type": "json_schema", "name": "answer", "schema": schema, "strict": true }))
        }
        other => form(other),
    };
    if let Some(format) = format {
        body["text"] = json!({ "format": format });
    }
    if case.tools.is_empty() {
        return body;
    }
    let tool = |tool: &Tool| match (function(tool, "parameters"), grammar(&tool.takes)) {
        (Some(mut function), _) => {
            function["type"] = json!("function");
            function
        }
        (None, None) => json!({ "type": "custom", "name": tool.name }),
        (None, Some(mut grammar)) => {
            grammar["type"] = json!("grammar");
            json!({ "type": "custom", "name": tool.name, "format": grammar })
        }
    };
    let named = |tool: usize| json!({ "type": kind(&case.tools[tool]), "name": case.tools[tool].name });
    body["tools"] = case.tools.iter().map(tool).collect();
    body["parallel_tool_calls"] = json!(case.parallel);
    body["tool_choice"] = match case.choice {
        Choice::Auto => json!("auto"),
        Choice::None => json!("none"),
        Choice::Required => json!("required"),
        Choice::Named(tool) => named(tool),
        Choice::Allowed { tool, required } => {
            json!({ "type": "allowed_tools", "mode": mode(required), "tools": [named(tool)] })
        }
    };
    body
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What is last in an answer that was cut may be a part; what comes before is whole.
fn end(reason: &Value, [answered, called, cut]: [&str; 3]) -> End {
    match reason.as_str().unwrap_or_default() {
        reason if reason == answered => End::Answered,
        reason if reason == called => End::Called,
        reason if reason == cut => End::Cut,
        other => panic!("it ended with {other:?}"),
    }
}

fn heard_chat(choice: &Value) -> Heard {
    let end = end(&choice["finish_reason"], ["stop", "tool_calls", "length"]);
    let calls = choice["message"]["tool_calls"].as_array().cloned().unwrap_or_default();
    let count = calls.len();
    let call = |(index, call): (usize, Value)| {
        let is_whole = end != End::Cut || index + 1 < count;
        let (name, input) = match call["type"].as_str() {
            Some("function") => (&call["function"]["name"], &call["function"]["arguments"]),
            _ => (&call["custom"]["name"], &call["custom"]["input"]),
        };
        (text(name), text(input), is_whole)
    };
    let calls = calls.into_iter().enumerate().map(call).collect();
    let content = choice["message"]["content"].as_str().filter(|_| end == End::Answered);
    Heard { answer: content.map(|content| (content.to_owned(), true)), calls, end }
}

fn heard_message(message: &Value) -> Heard {
    let end = end(&message["stop_reason"], ["end_turn", "tool_use", "max_tokens"]);
    let content = message["content"].as_array().unwrap();
    let calls: Vec<&Value> = content.iter().filter(|block| block["type"] == "tool_use").collect();
    let count = calls.len();
    let call = |(index, call): (usize, &Value)| {
        (text(&call["name"]), call["input"].to_string(), end != End::Cut || index + 1 < count)
    };
    let calls = calls.into_iter().enumerate().map(call).collect();
    let answer = content.iter().rfind(|block| block["type"] == "text").filter(|_| end == End::Answered);
    Heard { answer: answer.map(|block| (text(&block["text"]), true)), calls, end }
}

/// Items say themselves whether they are whole.
fn heard_response(response: &Value) -> Heard {
    let is_whole = |item: &Value| item["status"] == "completed";
    let output = response["output"].as_array().unwrap();
    let call = |item: &Value| {
        let input = match item["type"].as_str() {
            Some("function_call") => &item["arguments"],
            Some("custom_tool_call") => &item["input"],
            _ => return None,
        };
        Some((text(&item["name"]), text(input), is_whole(item)))
    };
    let calls: Vec<(String, String, bool)> = output.iter().filter_map(call).collect();
    let answers: Vec<&Value> = output.iter().filter(|item| item["phase"] == "final_answer").collect();
    assert!(answers.len() <= 1, "{response:#}");
    let answer = answers.first().map(|item| (text(&item["content"][0]["text"]), is_whole(item)));
    let end = match response["status"].as_str().unwrap() {
        "completed" if calls.is_empty() => End::Answered,
        "completed" => End::Called,
        "incomplete" => {
            assert_eq!(response["incomplete_details"]["reason"], "max_output_tokens");
            End::Cut
        }
        other => panic!("it is {other}: {response:#}"),
    };
    if end != End::Cut {
        assert!(output.iter().all(is_whole), "{response:#}");
    }
    Heard { answer, calls, end }
}
