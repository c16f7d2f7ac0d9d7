//! What a response repeats of its request: every field of the object, with the values that are in effect. It must not know events.

use agent::{Effort, Format, ReasoningContext, ToolKind, Truncation};
use serde_json::{Map, Value, json};

use crate::history::Source;
use crate::wire::decoding::Decoding;
use crate::wire::form::Form;
use crate::wire::responses::{
    Cache, CallerTool, Chosen, CreateResponse, Reasoning, Retention, Text, ToolChoice, ToolEntry,
};

/// What is known of a response before it begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ResponseHead {
    /// Its name, `resp_…`.
    pub(crate) id: String,
    /// Unix seconds.
    pub(crate) created_at: i64,
    /// All other fields that do not change while it is made.
    pub(crate) echoed: Map<String, Value>,
}

/// What is in effect where the request leaves it to the server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Defaults<'a> {
    /// The model's name.
    pub(crate) model: &'a str,
    /// How long it thinks.
    pub(crate) effort: Effort,
    /// How random it is.
    pub(crate) temperature: f64,
}

impl ResponseHead {
    /// The head of a response to this request.
    pub(crate) fn new(id: String, created_at: i64, request: &CreateResponse, defaults: &Defaults<'_>) -> Self {
        let mut echoed = Map::new();
        let mut put = |name: &str, value: Value| echoed.insert(name.to_owned(), value);
        let Decoding {
            temperature,
            top_p,
            top_k: _,
            min_p: _,
            presence_penalty,
            frequency_penalty,
            repetition_penalty: _,
            logit_bias: _,
            seed: _,
        } = &request.decoding;
        put("background", json!(request.background));
        put(
            "conversation",
            match &request.source {
                Source::Conversation(id) => json!({ "id": id }),
                Source::Nothing | Source::Response(_) => Value::Null,
            },
        );
        put("frequency_penalty", json!(frequency_penalty.unwrap_or(0.0)));
        put("instructions", json!(request.instructions));
        put("max_output_tokens", json!(request.max_output_tokens));
        put("max_tool_calls", json!(request.max_tool_calls));
        put("metadata", Value::Object(request.metadata.clone()));
        put("model", json!(request.model.as_deref().unwrap_or(defaults.model)));
        put("parallel_tool_calls", json!(request.parallel_tool_calls));
        put("presence_penalty", json!(presence_penalty.unwrap_or(0.0)));
        put(
            "previous_response_id",
            match &request.source {
                Source::Response(id) => json!(id),
                Source::Nothing | Source::Conversation(_) => Value::Null,
            },
        );
        put("reasoning", reasoning(&request.reasoning, defaults));
        put("safety_identifier", json!(request.safety_identifier));
        put("service_tier", json!("default"));
        put("store", json!(request.store));
        put("temperature", json!(temperature.unwrap_or(defaults.temperature)));
        put("text", text(&request.text));
        put("tool_choice", tool_choice(&request.tool_choice));
        put("tools", request.tools.iter().filter_map(tool).collect());
        put("top_logprobs", json!(request.top_logprobs.unwrap_or(0)));
        put("top_p", json!(top_p.unwrap_or(1.0)));
        put(
            "truncation",
            match request.truncation {
                Truncation::Auto => json!("auto"),
                Truncation::Disabled => json!("disabled"),
            },
        );
        if let Some(user) = &request.user {
            put("user", json!(user));
        }
        echo_cache(&request.cache, put);
        Self { id, created_at, echoed }
    }
}

fn echo_cache(cache: &Cache, mut put: impl FnMut(&str, Value) -> Option<Value>) {
    let Cache { key, salt: _, retention, options } = cache;
    put("prompt_cache_key", json!(key));
    put(
        "prompt_cache_retention",
        match retention {
            None => Value::Null,
            Some(Retention::InMemory) => json!("in_memory"),
            Some(Retention::Day) => json!("24h"),
        },
    );
    if *options {
        put("prompt_cache_options", json!({ "mode": "implicit", "ttl": "30m" }));
    }
}

fn reasoning(reasoning: &Reasoning, defaults: &Defaults<'_>) -> Value {
    let Reasoning { effort, summary, context } = reasoning;
    let effort = match effort.unwrap_or(defaults.effort) {
        Effort::None => "none",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
    };
    let context = match context {
        ReasoningContext::CurrentTurn => "current_turn",
        ReasoningContext::AllTurns => "all_turns",
    };
    json!({ "effort": effort, "summary": summary.map(|summary| summary.name()), "context": context })
}

fn text(text: &Text) -> Value {
    let Text { form: Form { format, path: _, value }, verbosity } = text;
    let format = match format {
        Format::Text => json!({ "type": "text" }),
        Format::JsonObject => json!({ "type": "json_object" }),
        Format::JsonSchema { name, description, schema, strict } if value["type"] == "json_schema" => {
            let mut format = json!({ "type": "json_schema", "name": name, "schema": schema, "strict": strict });
            if let Some(description) = description {
                format["description"] = json!(description);
            }
            format
        }
        Format::JsonSchema { .. } | Format::Grammar(_) | Format::Choice(_) => value.clone(),
    };
    json!({ "format": format, "verbosity": verbosity.map_or("medium", |verbosity| verbosity.name()) })
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(tool) => chosen(tool),
        ToolChoice::Allowed { tools, required } => json!({
            "type": "allowed_tools",
            "mode": if *required { "required" } else { "auto" },
            "tools": tools.iter().map(chosen).collect::<Vec<_>>(),
        }),
    }
}

fn chosen(tool: &Chosen) -> Value {
    let Chosen { path: _, kind, namespace, name } = tool;
    let mut value = json!({ "type": kind });
    if !name.is_empty() {
        value["name"] = json!(name);
    }
    if let Some(namespace) = namespace {
        value["namespace"] = json!(namespace);
    }
    value
}

/// A tool that is in effect, with what it must have; `None` for those that were passed over.
fn tool(entry: &ToolEntry) -> Option<Value> {
    let ToolEntry { path: _, value, tool } = entry;
    let CallerTool::Own(tools) = tool else { return None };
    let mut value = value.clone();
    if value["type"] == "function"
        && let [agent::Tool { kind: ToolKind::Function { parameters, strict }, description, .. }] = &tools[..]
    {
        value["description"] = if description.is_empty() { Value::Null } else { json!(description) };
        value["parameters"] = json!(parameters);
        value["strict"] = json!(strict);
    }
    if value["type"] == "custom" && value["format"].is_null() {
        value["format"] = json!({ "type": "text" });
    }
    Some(value)
}
