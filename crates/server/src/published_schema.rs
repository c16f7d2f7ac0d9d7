//! Holds what we say against OpenAI's published document, and against the types that a client library reads it with. For tests only;
//! the document belongs to others and lies where `GLOSSA_SUITES` says. It must not know how anything is made.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Mutex, OnceLock};

use jsonschema::Validator;
use serde_json::{Value, json};

/// Names the folder with the document.
const FOLDER: &str = "GLOSSA_SUITES";

/// The document, and the checkers made from it so far.
pub(crate) struct Published {
    components: Value,
    checkers: Mutex<HashMap<String, &'static Validator>>,
    /// Schemas of events by their `type`.
    events: HashMap<String, String>,
}

/// The document; `None`, said once, where there is none.
pub(crate) fn published() -> Option<&'static Published> {
    static PUBLISHED: OnceLock<Option<Published>> = OnceLock::new();
    PUBLISHED
        .get_or_init(|| {
            let Some(folder) = std::env::var_os(FOLDER) else {
                // A test that checks less than it could must say so.
                let told = format!(
                    "SKIPPED in part: {FOLDER} is not set, so nothing is held against OpenAI's published schema"
                );
                let _ = writeln!(std::io::stderr(), "{told}");
                return None;
            };
            let path = std::path::Path::new(&folder).join("openai-openapi.json");
            let text = std::fs::read_to_string(&path).expect("the folder of suites holds the document");
            Some(Published::new(serde_json::from_str(&text).expect("the document is JSON")))
        })
        .as_ref()
}

impl Published {
    fn new(mut document: Value) -> Self {
        let components = document["components"].take();
        let schemas = &components["schemas"];
        let references = schemas["ResponseStreamEvent"]["anyOf"].as_array().expect("the events are listed");
        let named = |reference: &Value| {
            let name = reference["$ref"].as_str().expect("a reference").rsplit('/').next().expect("a name").to_owned();
            (schemas[&name]["properties"]["type"]["enum"][0].as_str().expect("a type").to_owned(), name)
        };
        let events = references.iter().map(named).collect();
        Self { components: json!({ "schemas": schemas }), checkers: Mutex::default(), events }
    }

    /// Checks an event of the Responses API.
    pub(crate) fn check_event(&self, event: &Value) {
        let kind = event["type"].as_str().expect("an event has a type");
        let name = self.events.get(kind).unwrap_or_else(|| panic!("there is no event {kind:?}"));
        self.check(name, event);
    }

    /// Checks any object against the schema of this name.
    pub(crate) fn check(&self, name: &str, value: &Value) {
        let mut value = value.clone();
        forgive(&mut value);
        let errors: Vec<String> =
            self.checker(name).iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{value:#} is no {name}: {}", errors.join("; "));
    }

    fn checker(&self, name: &str) -> &'static Validator {
        let mut checkers = self.checkers.lock().expect("no test panics while it holds this");
        checkers.entry(name.to_owned()).or_insert_with(|| {
            let schema = json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "$ref": format!("#/components/schemas/{name}"),
                "components": self.components,
            });
            // Few, and for as long as the tests run.
            Box::leak(Box::new(jsonschema::validator_for(&schema).expect("the document has schemas")))
        })
    }
}

/// The document forbids a null that OpenAI itself sends: the usage of a response that has not ended.
fn forgive(value: &mut Value) {
    let usage = |object: &mut Value| {
        if object["object"] == "response" && object["usage"].is_null() {
            object.as_object_mut().expect("an object").remove("usage");
        }
    };
    usage(value);
    if value["response"].is_object() {
        usage(&mut value["response"]);
    }
}

/// Checks events of the Responses API, and that they are in a valid order: numbers, items and parts closed, deltas and `done` alike.
/// Gives the response that they end with.
pub(crate) fn check_events(events: &[Value]) -> Value {
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number, "{event}");
        if let Some(published) = published() {
            published.check_event(event);
        }
        check_readable::<async_openai::types::responses::ResponseStreamEvent>(event);
    }
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(kinds[0], "response.created");
    assert!(matches!(kinds[1], "response.in_progress" | "response.queued"), "{kinds:?}");
    let last = kinds.last().expect("events");
    assert!(matches!(*last, "response.completed" | "response.incomplete" | "response.failed"), "{kinds:?}");
    let response = events.last().expect("events")["response"].clone();
    let output = reassembled(events);
    assert_eq!(response["output"], Value::Array(output), "the stream, put together, is the object");
    response
}

/// The items that the events tell, put together from deltas where there are some.
fn reassembled(events: &[Value]) -> Vec<Value> {
    let mut items: Vec<Value> = Vec::new();
    let mut open: Option<(Value, HashMap<String, String>)> = None;
    for event in events {
        let kind = event["type"].as_str().unwrap_or_default();
        match kind {
            "response.output_item.added" => {
                assert!(open.is_none(), "one item at a time: {event}");
                assert_eq!(event["output_index"], items.len(), "{event}");
                open = Some((event["item"].clone(), HashMap::new()));
            }
            "response.output_item.done" => {
                let (added, texts) = open.take().expect("what ends has begun");
                assert!(texts.is_empty(), "every text is closed: {texts:?}");
                assert_eq!(added["id"], event["item"]["id"], "{event}");
                assert_eq!(added["call_id"], event["item"]["call_id"], "{event}");
                assert_eq!(event["output_index"], items.len(), "{event}");
                items.push(event["item"].clone());
            }
            _ if event.get("output_index").is_some() => {
                let (item, texts) = open.as_mut().expect("everything belongs to an item");
                assert_eq!(event["output_index"], items.len(), "{event}");
                let has_id = !kind.starts_with("response.shell_call_command");
                assert_eq!(event.get("item_id"), has_id.then_some(&item["id"]), "{event}");
                gather(kind, event, texts);
            }
            _ => assert!(open.is_none(), "no item is left open: {event}"),
        }
    }
    items
}

/// Deltas between `added` and `done` are the text of `done`.
fn gather(kind: &str, event: &Value, texts: &mut HashMap<String, String>) {
    let (name, step) = kind.rsplit_once('.').expect("names of events have parts");
    match step {
        "delta" => {
            let delta = event["delta"].as_str().or_else(|| event["delta"]["stdout"].as_str()).expect("a text");
            texts.entry(name.to_owned()).or_default().push_str(delta);
        }
        "done" => {
            let gathered = texts.remove(name).unwrap_or_default();
            let fields = ["text", "arguments", "input", "code", "refusal", "command"];
            let whole = fields.iter().find_map(|field| event[*field].as_str());
            let whole = whole.or_else(|| event["output"][0]["stdout"].as_str());
            if let Some(whole) = whole {
                assert_eq!(gathered, whole, "{event}");
            }
        }
        _ => {}
    }
}

/// Checks a whole response.
pub(crate) fn check_response(response: &Value) {
    if let Some(published) = published() {
        published.check("Response", response);
    }
    check_readable::<async_openai::types::responses::Response>(response);
}

/// Checks that a client library can read a value.
fn check_readable<T: serde::de::DeserializeOwned>(value: &Value) {
    // The library looks for a shell's outcome one level higher than the published schema has it.
    if value.to_string().contains("\"outcome\":") {
        return;
    }
    let read = serde_json::from_value::<T>(value.clone());
    assert!(read.is_ok(), "a client cannot read {value:#}: {}", read.err().expect("an error"));
}
