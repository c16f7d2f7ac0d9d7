//! The description is true: its endpoints are those that there are, its fields those that are read. It must not know more of them.

use std::collections::BTreeSet;
use std::path::Path;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{ENDPOINTS, FIELDS, document};
use crate::app::App;
use crate::wire::batches::CreateBatch;
use crate::wire::chat::ChatRequest;
use crate::wire::completions::CompletionRequest;
use crate::wire::conversations::{self, CreateConversation};
use crate::wire::fields::asked_names;
use crate::wire::generate::GenerateRequest;
use crate::wire::messages::MessagesRequest;
use crate::wire::responses::CreateResponse;
use crate::wire::tokenize::{DetokenizeRequest, TokenizeRequest};

/// Top-level names that a reader asks for.
fn asked<T, E: std::fmt::Debug>(body: &Value, read: impl FnOnce(&Value) -> Result<T, E>) -> BTreeSet<String> {
    let (outcome, names) = asked_names::of(|| read(body));
    assert!(outcome.is_ok(), "{body}: {:?}", outcome.err());
    names.into_iter().filter(|name| !name.contains(['.', '['])).collect()
}

#[test]
fn the_documented_fields_are_those_that_are_read() {
    let response = json!({ "model": "m", "input": "x" });
    let chat = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }] });
    let message = json!({ "model": "m", "max_tokens": 5, "messages": [{ "role": "user", "content": "x" }] });
    let batch = json!({ "input_file_id": "f", "endpoint": "/v1/responses", "completion_window": "24h" });
    let names = ["m".to_owned()];
    let read = [
        ("CreateResponse", asked(&response, CreateResponse::read)),
        ("CountResponse", asked(&response, CreateResponse::read_to_count)),
        ("CreateConversation", asked(&json!({}), CreateConversation::read)),
        ("Update", asked(&json!({ "metadata": {} }), conversations::read_update)),
        ("AddItems", asked(&json!({ "items": [] }), conversations::read_items)),
        ("CreateChatCompletion", asked(&chat, ChatRequest::read)),
        ("CreateCompletion", asked(&json!({ "model": "m", "prompt": "x" }), CompletionRequest::read)),
        ("Generate", asked(&json!({ "input_ids": [1] }), GenerateRequest::read)),
        ("CreateMessage", asked(&message, MessagesRequest::read)),
        ("CountMessage", asked(&message, MessagesRequest::read_to_count)),
        ("Tokenize", asked(&json!({ "prompt": "x" }), |body| TokenizeRequest::read(body, &names))),
        ("Detokenize", asked(&json!({ "tokens": [1] }), DetokenizeRequest::read)),
        ("CreateBatch", asked(&batch, CreateBatch::read)),
    ];
    let document = document();
    let mut wrong = Vec::new();
    for (request, read) in read {
        let properties = &document["components"]["schemas"][request]["properties"];
        let told: BTreeSet<String> =
            properties.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
        if told != read {
            let missing: Vec<_> = read.difference(&told).collect();
            let too_many: Vec<_> = told.difference(&read).collect();
            wrong.push(format!("{request}: missing {missing:?}, never read {too_many:?}"));
        }
    }
    assert!(wrong.is_empty(), "openapi/fields.json: {}", wrong.join("\n"));
}

#[test]
fn every_field_has_a_schema() {
    let fields: Value = serde_json::from_str(FIELDS).unwrap();
    for (request, parts) in fields["requests"].as_object().unwrap() {
        for name in parts["fields"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()) {
            let is_told = fields["fields"].get(name).is_some() || parts["own"].get(name).is_some();
            assert!(is_told, "{request}: {name} has no schema");
        }
    }
}

/// Methods and paths in the source of the routes.
fn routed() -> BTreeSet<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/routes");
    let mut routed = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for part in text.split(".route(").skip(1) {
            let (path, rest) = part.split_once('"').unwrap().1.split_once('"').unwrap();
            let rest = rest.split("\n}").next().unwrap();
            for method in ["get", "post", "delete", "put", "patch"] {
                if rest.contains(&format!(" {method}(")) || rest.contains(&format!(".{method}(")) {
                    routed.insert((method.to_owned(), format!("/v1{}", path.replace("{*", "{"))));
                }
            }
        }
    }
    routed
}

#[test]
fn the_documented_endpoints_are_those_that_are_routed() {
    let told: BTreeSet<_> = ENDPOINTS.iter().map(|each| (each.method.to_owned(), each.path.to_owned())).collect();
    let routed = routed();
    let (missing, too_many): (Vec<_>, Vec<_>) =
        (routed.difference(&told).collect(), told.difference(&routed).collect());
    assert!(missing.is_empty() && too_many.is_empty(), "missing {missing:?}, not routed {too_many:?}");
    assert_eq!(told.len(), ENDPOINTS.len(), "none is told twice");
}

#[tokio::test]
async fn documented_endpoints_answer() {
    let router = crate::router(App::idle().await);
    for endpoint in ENDPOINTS {
        for path in [endpoint.path, endpoint.path.strip_prefix("/v1").unwrap()] {
            let path = path.replace('{', "x").replace('}', "y");
            let request = Request::builder().method(endpoint.method.to_uppercase().as_str()).uri(&path);
            let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            let status = response.status();
            let text = to_bytes(response.into_body(), usize::MAX).await.unwrap();
            let text = String::from_utf8_lossy(&text);
            assert!(!text.contains("unknown_url") && status != StatusCode::METHOD_NOT_ALLOWED, "{path}: {text}");
            assert!(!status.is_server_error(), "{path}: {text}");
        }
    }
}

/// The document is what it was. When a change is meant, this writes it beside the tests' other output and says where, to be read and
/// copied.
#[test]
fn the_document_is_as_kept() {
    let kept: Value = serde_json::from_str(include_str!("document.json")).unwrap();
    if kept != document() {
        let path = std::env::temp_dir().join("document.json");
        std::fs::write(&path, format!("{:#}\n", document())).unwrap();
        panic!("copy {} to src/openapi/ if the change is meant", path.display());
    }
}
