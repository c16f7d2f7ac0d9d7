//! Batches: answered line by line, told what is wrong, cancelled, and going on after a restart. It must not know how lines are answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agent::{Agent, Settings as AgentSettings};
use axum::http::StatusCode;
use serde_json::{Value, json};
use server::Settings;
use store::Store;
use tokio::sync::Notify;

use crate::support::Api;

/// Far longer than anything here takes.
const LONG: Duration = Duration::from_secs(100);

fn agent() -> Agent {
    Agent::scripted("<|channel|>final<|message|>hello<|return|>")
}

fn line(name: &str, body: &Value) -> String {
    json!({ "custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body }).to_string()
}

fn chat(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "hello" }] })
}

/// Uploads lines and begins a batch of them.
async fn begin(api: &Api, lines: &[String]) -> String {
    let (_, file) = api.upload(&[("purpose", "batch")], lines.join("\n").as_bytes()).await;
    let asked = json!({ "input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h", "metadata": { "a": "b" } });
    let (status, batch) = api.json("POST", "/v1/batches", Some(&asked)).await;
    assert_eq!((status, &batch["status"]), (StatusCode::OK, &json!("validating")), "{batch}");
    batch["id"].as_str().unwrap().to_owned()
}

/// Waits until the batch is as wanted.
async fn until(api: &Api, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let waiting = async {
        loop {
            let mut changes = api.store.watch(&store::record_channel("batch", "default", id));
            let (_, batch) = api.json("GET", &format!("/v1/batches/{id}"), None).await;
            if wanted(&batch) {
                return batch;
            }
            changes.changed(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(LONG, waiting).await.expect("the batch gets there")
}

async fn lines_of(api: &Api, id: &Value) -> Vec<Value> {
    let content = api.content(id.as_str().unwrap()).await;
    let text = String::from_utf8(content.to_vec()).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.sort_by_key(|line| line["custom_id"].as_str().unwrap().to_owned());
    lines
}

#[tokio::test]
async fn good_lines_are_answered_and_bad_ones_told() {
    let api = Api::new(agent(), Settings::default()).await;
    let id =
        begin(&api, &[line("a", &chat("tiny")), String::new(), line("b", &chat("other")), line("c", &chat("tiny"))])
            .await;
    let batch = until(&api, &id, |batch| batch["status"] == "completed").await;
    assert_eq!(batch["request_counts"], json!({ "total": 3, "completed": 2, "failed": 1 }));
    assert_eq!(batch["metadata"], json!({ "a": "b" }));
    let answers = lines_of(&api, &batch["output_file_id"]).await;
    let names: Vec<&Value> = answers.iter().map(|line| &line["custom_id"]).collect();
    assert_eq!(names, ["a", "c"]);
    for line in &answers {
        assert_eq!(line["response"]["status_code"], 200);
        assert_eq!(line["response"]["body"]["choices"][0]["message"]["content"], "hello");
    }
    let failed = lines_of(&api, &batch["error_file_id"]).await;
    assert_eq!(
        (failed.len(), &failed[0]["custom_id"], &failed[0]["response"]["status_code"]),
        (1, &json!("b"), &json!(404))
    );
    let (_, list) = api.json("GET", "/v1/batches", None).await;
    assert_eq!(list["data"], json!([batch]));
}

#[tokio::test]
async fn a_line_whose_form_cannot_be_enforced_is_refused_by_its_path() {
    let agent = Agent::noisy(&agent::testing::vocabulary(), 1, AgentSettings::default(), 4096);
    let api = Api::new(agent.clone(), Settings::default()).await;
    let properties = json!({ "a": { "type": "string", "pattern": "(?=a)b" } });
    let schema = json!({ "name": "x", "schema": { "type": "object", "properties": properties }, "strict": true });
    let mut body = chat("tiny");
    body["response_format"] = json!({ "type": "json_schema", "json_schema": schema });
    let id = begin(&api, &[line("a", &body)]).await;
    let batch = until(&api, &id, |batch| batch["status"] == "completed").await;
    assert_eq!(batch["request_counts"], json!({ "total": 1, "completed": 0, "failed": 1 }));
    let response = &lines_of(&api, &batch["error_file_id"]).await[0]["response"];
    let error = &response["body"]["error"];
    let param = "response_format.json_schema.schema.properties.a.pattern";
    assert_eq!((&response["status_code"], &error["param"]), (&json!(400), &json!(param)));
    assert_eq!(error["code"], "invalid_json_schema");
    assert_eq!(agent.engine().stats().submitted, 0, "nothing is computed");
}

#[tokio::test]
async fn a_file_with_a_wrong_line_is_not_begun() {
    let api = Api::new(agent(), Settings::default()).await;
    let stream = json!({ "model": "tiny", "messages": [], "stream": true });
    let id = begin(&api, &[line("a", &chat("tiny")), "{".into(), line("a", &chat("tiny")), line("b", &stream)]).await;
    let batch = until(&api, &id, |batch| batch["status"] == "failed").await;
    let errors: Vec<(i64, &str)> = batch["errors"]["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (error["line"].as_i64().unwrap(), error["code"].as_str().unwrap()))
        .collect();
    assert_eq!(errors, [(2, "invalid_json_line"), (3, "duplicate_custom_id"), (4, "invalid_request")]);
    assert!(batch.get("output_file_id").is_none());
    let (status, body) = api.json("POST", &format!("/v1/batches/{id}/cancel"), None).await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::CONFLICT, &json!("batch_over")));
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused() {
    let api = Api::new(agent(), Settings::default()).await;
    let (_, file) = api.upload(&[("purpose", "user_data")], b"x").await;
    let good = json!({ "input_file_id": file["id"], "endpoint": "/v1/responses", "completion_window": "24h" });
    for (name, value, status) in [
        ("input_file_id", json!("file-none"), StatusCode::NOT_FOUND),
        ("input_file_id", file["id"].clone(), StatusCode::BAD_REQUEST),
        ("endpoint", json!("/v1/embeddings"), StatusCode::BAD_REQUEST),
        ("completion_window", json!("1h"), StatusCode::BAD_REQUEST),
        ("colour", json!("red"), StatusCode::BAD_REQUEST),
    ] {
        let mut asked = good.clone();
        asked[name] = value;
        assert_eq!(api.json("POST", "/v1/batches", Some(&asked)).await.0, status, "{asked}");
    }
    assert_eq!(api.json("GET", "/v1/batches/batch_none", None).await.0, StatusCode::NOT_FOUND);
}

/// A model that answers "quick" and hardly ever ends otherwise.
fn endless() -> Agent {
    let vocabulary = agent::testing::vocabulary();
    let tokens = |text: &str| vocabulary.encode_with_specials(text);
    let (opening, asked) = (tokens("<|start|>assistant"), tokens("quick"));
    let (head, done) = (tokens("<|channel|>final<|message|>"), tokens("<|channel|>final<|message|>done<|return|>"));
    let rule = move |ids: &[u32]| {
        let is_quick = ids.windows(asked.len()).any(|window| window == asked);
        let at = ids.windows(opening.len()).rposition(|window| window == opening).unwrap_or(0);
        let behind = ids.len() - at - opening.len();
        if is_quick {
            return done[behind.min(done.len() - 1)];
        }
        // Slow enough to be found at it, whatever the machine.
        std::thread::sleep(Duration::from_millis(1));
        head.get(behind).copied().unwrap_or(asked[0])
    };
    Agent::ruled(rule, AgentSettings::unheld(), 1 << 20)
}

fn quick() -> Value {
    json!({ "model": "tiny", "messages": [{ "role": "user", "content": "quick" }] })
}

#[tokio::test]
async fn a_cancelled_batch_keeps_what_was_answered() {
    let api = Api::new(endless(), Settings::default()).await;
    let id = begin(&api, &[line("a", &quick()), line("b", &chat("tiny"))]).await;
    until(&api, &id, |batch| batch["request_counts"]["completed"] == 1).await;
    let (status, batch) = api.json("POST", &format!("/v1/batches/{id}/cancel"), None).await;
    assert_eq!((status, &batch["status"]), (StatusCode::OK, &json!("cancelling")));
    let batch = until(&api, &id, |batch| batch["status"] == "cancelled").await;
    assert_eq!(lines_of(&api, &batch["output_file_id"]).await.len(), 1);
}

#[tokio::test]
async fn a_batch_goes_on_after_a_restart_where_it_stood() {
    let first = Api::new(endless(), Settings::default()).await;
    let id = begin(&first, &[line("a", &quick()), line("b", &chat("tiny"))]).await;
    until(&first, &id, |batch| batch["request_counts"]["completed"] == 1).await;
    let Api { workers, store, router: _ } = first;
    workers.stop().await;
    let second = Api::over(agent(), Settings::default(), store).await;
    let batch = until(&second, &id, |batch| batch["status"] == "completed").await;
    assert_eq!(batch["request_counts"], json!({ "total": 2, "completed": 2, "failed": 0 }));
    let said: Vec<Value> = lines_of(&second, &batch["output_file_id"])
        .await
        .iter()
        .map(|line| line["response"]["body"]["choices"][0]["message"]["content"].clone())
        .collect();
    assert_eq!(said, ["done", "hello"], "the first line was not answered again");
}

/// A batch whose worker has gone behind the first of two lines.
async fn interrupted() -> (Store, String) {
    let api = Api::new(endless(), Settings::default()).await;
    let id = begin(&api, &[line("a", &quick()), line("b", &chat("tiny"))]).await;
    until(&api, &id, |batch| batch["request_counts"]["completed"] == 1).await;
    let Api { workers, store, router: _ } = api;
    workers.stop().await;
    (store, id)
}

#[tokio::test]
async fn lines_without_an_answer_are_told_when_the_time_is_over() {
    let (store, id) = interrupted().await;
    let record = store.get("batch", "default", &id).await.unwrap().unwrap();
    let mut body: Value = serde_json::from_str(&record.body).unwrap();
    body["moments"]["expires_at"] = json!(1);
    store.replace("batch", "default", &id, body.to_string(), None).await.unwrap();
    let api = Api::over(agent(), Settings::default(), store).await;
    let batch = until(&api, &id, |batch| batch["status"] == "expired").await;
    assert_eq!(batch["request_counts"], json!({ "total": 2, "completed": 1, "failed": 0 }));
    assert_eq!(lines_of(&api, &batch["output_file_id"]).await[0]["custom_id"], "a");
    let late = lines_of(&api, &batch["error_file_id"]).await;
    assert_eq!((late.len(), &late[0]["custom_id"], &late[0]["response"]), (1, &json!("b"), &Value::Null));
    assert_eq!(late[0]["error"]["code"], "batch_expired");
}

#[tokio::test]
async fn a_batch_whose_file_goes_away_ends_with_what_was_answered() {
    let (started, go) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
    let (told, gate) = (Arc::clone(&started), Arc::clone(&go));
    let vocabulary = agent::testing::vocabulary();
    let said = vocabulary.encode_with_specials("<|channel|>final<|message|>hello<|return|>");
    let opening = vocabulary.encode_with_specials("<|start|>assistant");
    let rule = move |ids: &[u32]| {
        told.notify_one();
        while !gate.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let at = ids.windows(opening.len()).rposition(|window| window == opening).unwrap_or(0);
        said.get(ids.len() - at - opening.len()).copied().unwrap_or(0)
    };
    let agent = Agent::ruled(rule, AgentSettings::unheld(), 1 << 16);
    let api = Api::new(agent, Settings { background_workers: 1, ..Settings::default() }).await;
    // More than is read at once.
    let id = begin(&api, &[line("a", &chat("tiny")), " ".repeat(3 << 20), line("b", &chat("tiny"))]).await;
    started.notified().await;
    let (_, batch) = api.json("GET", &format!("/v1/batches/{id}"), None).await;
    let file = batch["input_file_id"].as_str().unwrap().to_owned();
    assert_eq!(api.json("DELETE", &format!("/v1/files/{file}"), None).await.0, StatusCode::OK);
    go.store(true, Ordering::Relaxed);
    let batch = until(&api, &id, |batch| batch["status"] == "failed").await;
    assert_eq!(batch["errors"]["data"][0]["code"], "input_file_gone");
    assert_eq!(batch["request_counts"], json!({ "total": 2, "completed": 1, "failed": 0 }));
    assert_eq!(lines_of(&api, &batch["output_file_id"]).await.len(), 1);
}
