//! The API's description, OpenAPI 3.1: endpoints from a table, fields from a file, both held to what there is by tests. It must not know
//! what endpoints do.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

/// Fields of requests: their schemas, and which request has which.
const FIELDS: &str = include_str!("openapi/fields.json");

/// An endpoint.
struct Endpoint {
    method: &'static str,
    path: &'static str,
    tag: &'static str,
    summary: &'static str,
    takes: Takes,
    gives: Gives,
}

/// What a request's body is.
enum Takes {
    Nothing,
    /// A JSON object of the file.
    Json(&'static str),
    /// A form with a file.
    Form,
}

/// What an answer is.
enum Gives {
    /// A JSON object.
    Object,
    /// A JSON object, or events when `stream` is true.
    ObjectOrEvents,
    /// Bytes.
    Bytes,
    /// Text.
    Text,
}

const fn get(path: &'static str, tag: &'static str, summary: &'static str) -> Endpoint {
    Endpoint { method: "get", path, tag, summary, takes: Takes::Nothing, gives: Gives::Object }
}

const fn delete(path: &'static str, tag: &'static str, summary: &'static str) -> Endpoint {
    Endpoint { method: "delete", ..get(path, tag, summary) }
}

const fn post(path: &'static str, tag: &'static str, summary: &'static str, takes: &'static str) -> Endpoint {
    Endpoint { method: "post", takes: Takes::Json(takes), ..get(path, tag, summary) }
}

const fn ask(path: &'static str, tag: &'static str, summary: &'static str) -> Endpoint {
    Endpoint { method: "post", ..get(path, tag, summary) }
}

const fn streaming(endpoint: Endpoint) -> Endpoint {
    Endpoint { gives: Gives::ObjectOrEvents, ..endpoint }
}

/// Every endpoint; all are also there without `/v1`.
const ENDPOINTS: &[Endpoint] = &[
    streaming(post("/v1/responses", "Responses", "Make a response", "CreateResponse")),
    get("/v1/responses", "Responses", "Open a WebSocket for responses"),
    post("/v1/responses/input_tokens", "Responses", "Count what a response would read", "CountResponse"),
    post("/v1/responses/compact", "Responses", "Make a conversation shorter", "Compact"),
    streaming(get("/v1/responses/{id}", "Responses", "Look at a response, or follow it")),
    delete("/v1/responses/{id}", "Responses", "Delete a response"),
    ask("/v1/responses/{id}/cancel", "Responses", "Cancel a response in the background"),
    get("/v1/responses/{id}/input_items", "Responses", "List what a response has read"),
    post("/v1/conversations", "Conversations", "Make a conversation", "CreateConversation"),
    get("/v1/conversations/{id}", "Conversations", "Look at a conversation"),
    post("/v1/conversations/{id}", "Conversations", "Change a conversation's notes", "Update"),
    delete("/v1/conversations/{id}", "Conversations", "Delete a conversation"),
    get("/v1/conversations/{id}/items", "Conversations", "List items"),
    post("/v1/conversations/{id}/items", "Conversations", "Add items", "AddItems"),
    get("/v1/conversations/{id}/items/{item}", "Conversations", "Look at an item"),
    delete("/v1/conversations/{id}/items/{item}", "Conversations", "Delete an item"),
    streaming(post("/v1/chat/completions", "Chat", "Make a chat completion", "CreateChatCompletion")),
    get("/v1/chat/completions", "Chat", "List kept chat completions"),
    get("/v1/chat/completions/{id}", "Chat", "Look at a chat completion"),
    post("/v1/chat/completions/{id}", "Chat", "Change a chat completion's notes", "Update"),
    delete("/v1/chat/completions/{id}", "Chat", "Delete a chat completion"),
    get("/v1/chat/completions/{id}/messages", "Chat", "List what a chat completion has read"),
    streaming(post("/v1/completions", "Completions", "Go on from a text or from token ids", "CreateCompletion")),
    streaming(post("/v1/generate", "Completions", "Token ids in, token ids out", "Generate")),
    streaming(post("/v1/messages", "Messages", "Make a message", "CreateMessage")),
    post("/v1/messages/count_tokens", "Messages", "Count what a message would read", "CountMessage"),
    get("/v1/models", "Models", "List names that the model answers to"),
    get("/v1/models/{id}", "Models", "Look at a name"),
    post("/v1/tokenize", "Tokens", "Text or messages to token ids", "Tokenize"),
    post("/v1/detokenize", "Tokens", "Token ids to text", "Detokenize"),
    get("/v1/files", "Files", "List files"),
    Endpoint { takes: Takes::Form, ..ask("/v1/files", "Files", "Upload a file") },
    get("/v1/files/{id}", "Files", "Look at a file"),
    delete("/v1/files/{id}", "Files", "Delete a file"),
    Endpoint { gives: Gives::Bytes, ..get("/v1/files/{id}/content", "Files", "Read a file") },
    get("/v1/batches", "Batches", "List batches"),
    post("/v1/batches", "Batches", "Answer the requests of a file", "CreateBatch"),
    get("/v1/batches/{id}", "Batches", "Look at a batch"),
    ask("/v1/batches/{id}/cancel", "Batches", "Cancel a batch"),
    get("/v1/health", "Operation", "Whether requests are taken"),
    get("/v1/health/ready", "Operation", "Whether requests are taken"),
    get("/v1/health/live", "Operation", "Whether the process should go on living"),
    Endpoint { gives: Gives::Text, ..get("/v1/metrics", "Operation", "Figures for Prometheus") },
    get("/v1/openapi.json", "Operation", "This document"),
];

/// The document as it is sent, made when it is first asked for: anybody may ask, and often.
pub(crate) fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());
    &TEXT
}

/// The document.
fn document() -> Value {
    let fields: Value = serde_json::from_str(FIELDS).expect("the file is JSON, as a test says");
    let mut paths = Map::new();
    for endpoint in ENDPOINTS {
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        path[endpoint.method] = operation(endpoint);
    }
    let mut schemas = Map::new();
    for (name, request) in fields["requests"].as_object().into_iter().flatten() {
        schemas.insert(name.clone(), schema(request, &fields["fields"]));
    }
    schemas.insert("Error".to_owned(), error());
    let keys = json!({
        "bearer": { "type": "http", "scheme": "bearer" },
        "header": { "type": "apiKey", "in": "header", "name": "x-api-key" },
    });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Glossa",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "OpenAI's Responses, Conversations, Chat Completions, Completions, Files and Batches, Anthropic's Messages, and what operators need. Unknown parameters are refused.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "security": [{ "bearer": [] }, { "header": [] }, {}],
        "paths": paths,
        "components": { "schemas": schemas, "securitySchemes": keys },
    })
}

fn operation(endpoint: &Endpoint) -> Value {
    let Endpoint { method, path, tag, summary, takes, gives } = endpoint;
    let inside = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameters: Vec<Value> = inside
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    let id = format!("{method}{}", path.replace("/v1", "").replace(['/', '{', '}', '.'], "_"));
    let object = json!({ "schema": { "type": "object" } });
    let content = match gives {
        Gives::Object => json!({ "application/json": object }),
        Gives::ObjectOrEvents => {
            json!({ "application/json": object, "text/event-stream": { "schema": { "type": "string" } } })
        }
        Gives::Bytes => json!({ "application/octet-stream": {} }),
        Gives::Text => json!({ "application/openmetrics-text": { "schema": { "type": "string" } } }),
    };
    let refused = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } });
    let mut operation = json!({
        "operationId": id,
        "tags": [tag],
        "summary": summary,
        "parameters": parameters,
        "responses": {
            "200": { "description": "Done", "content": content },
            "default": { "description": "Refused, or failed", "content": refused },
        },
    });
    let body = match takes {
        Takes::Nothing => return operation,
        Takes::Json(name) => {
            json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{name}") } } })
        }
        Takes::Form => json!({ "multipart/form-data": { "schema": { "$ref": "#/components/schemas/UploadFile" } } }),
    };
    operation["requestBody"] = json!({ "required": true, "content": body });
    operation
}

/// A request as a schema.
fn schema(request: &Value, fields: &Value) -> Value {
    let mut properties = Map::new();
    for name in request["fields"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let own = request["own"].get(name).or_else(|| fields.get(name));
        properties.insert(name.to_owned(), own.cloned().unwrap_or_else(|| json!({})));
    }
    json!({
        "type": "object",
        "required": request["required"],
        "properties": properties,
        "additionalProperties": false,
    })
}

fn error() -> Value {
    let text = json!({ "type": ["string", "null"] });
    let inner = json!({
        "type": "object",
        "required": ["message", "type"],
        "properties": { "message": { "type": "string" }, "type": { "type": "string" }, "param": text, "code": text },
    });
    json!({ "type": "object", "required": ["error"], "properties": { "error": inner } })
}

#[cfg(test)]
mod tests;
