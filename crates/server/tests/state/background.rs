//! Responses that nobody waits for: queued, streamed and resumed from the log, cancelled, deleted, refused.

use axum::http::Method;
use serde_json::{Value, json};

use crate::published_schema::{check_events, check_response};
use crate::support::{Api, answering, events, paced, said, text, thought};

fn check_stream(events: &[Value], response: &Value) {
    let told = check_events(events);
    assert_eq!(&told, response, "the last event is the stored object");
    check_response(response);
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[..3], ["response.created", "response.queued", "response.in_progress"]);
    let statuses: Vec<&str> = events[..3].iter().map(|event| event["response"]["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["queued", "queued", "in_progress"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_background_response_is_queued_told_and_kept() {
    let (agent, _, go_on) = paced(thought("let me see", "the answer"));
    let api = Api::new(agent).await;
    let queued = api.ask(json!({ "input": "a", "background": true })).await;
    let path = format!("/v1/responses/{}", queued["id"].as_str().unwrap());
    assert_eq!(
        (&queued["status"], &queued["background"], &queued["output"]),
        (&json!("queued"), &json!(true), &json!([]))
    );
    let shown = api.get(&path).await;
    assert!(matches!(shown["status"].as_str(), Some("queued" | "in_progress")), "{shown}");
    drop(go_on);
    let response = api.ended(queued["id"].as_str().unwrap()).await;
    assert_eq!((response["status"].as_str(), text(&response).as_str()), (Some("completed"), "the answer"));
    assert_eq!((&response["id"], &response["created_at"]), (&queued["id"], &queued["created_at"]));
    assert!(response["usage"]["output_tokens"].as_i64() > Some(0));
    let whole = api.events(&format!("{path}?stream=true")).await;
    check_stream(&whole, &response);
    for after in [0, 2, whole.len() - 2] {
        let rest = api.events(&format!("{path}?stream=true&starting_after={after}")).await;
        assert_eq!(rest, whole[after + 1..]);
    }
    assert!(api.events(&format!("{path}?stream=true&starting_after=10000")).await.is_empty());
    let padded = api.events(&format!("{path}?stream=true&include_obfuscation=true")).await;
    assert!(padded.iter().all(|event| event["delta"].is_string() == event["obfuscation"].is_string()));
    assert_eq!(api.events(&format!("{path}?stream=true&include_obfuscation=false")).await, whole);
    let next = api.ask(json!({ "input": "b", "previous_response_id": queued["id"] })).await;
    assert_eq!(next["status"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_creates_may_stream_at_once_and_hang_up() {
    let (agent, _, go_on) = paced(said("one two three four five six seven eight"));
    let api = std::sync::Arc::new(Api::new(agent).await);
    let body = json!({ "model": "tiny", "input": "a", "background": true, "stream": true });
    let streaming = tokio::spawn({
        let (api, body) = (api.clone(), body.clone());
        async move { api.raw(Method::POST, "/v1/responses", Some(&body)).await }
    });
    for _ in 0..5 {
        go_on.send(()).unwrap();
    }
    streaming.abort();
    let _ = streaming.await;
    drop(go_on);
    // Whoever hung up has ended nothing: what was created, if anything was, goes on.
    let (status, stream) = api.raw(Method::POST, "/v1/responses", Some(&body)).await;
    assert_eq!(status, 200);
    let events = events(&stream);
    let response = api.get(&format!("/v1/responses/{}", events[0]["response"]["id"].as_str().unwrap())).await;
    check_stream(&events, &response);
    assert_eq!(text(&response), "one two three four five six seven eight");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_ends_it_once() {
    let (agent, prompts, go_on) = paced(said("one two three four five six seven eight"));
    let api = Api::new(agent).await;
    let queued = api.ask(json!({ "input": "a", "background": true })).await;
    let path = format!("/v1/responses/{}", queued["id"].as_str().unwrap());
    for _ in 0..8 {
        go_on.send(()).unwrap();
    }
    while prompts.count() == 0 {
        tokio::task::yield_now().await;
    }
    // The model waits for a signal in its thread; the turn ends without it.
    let cancelled = api.post(&format!("{path}/cancel"), json!({})).await;
    assert_eq!((&cancelled["status"], &cancelled["id"]), (&json!("cancelled"), &queued["id"]));
    assert_eq!(api.post(&format!("{path}/cancel"), json!({})).await, cancelled, "again changes nothing");
    assert_eq!(api.get(&path).await, cancelled);
    drop(go_on);
    let events = api.events(&format!("{path}?stream=true")).await;
    check_stream(&events, &cancelled);
    assert_eq!(events.last().unwrap()["type"], "response.incomplete");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_response_is_cancelled_before_it_begins() {
    let (agent, prompts, go_on) = paced(said("yes"));
    let store = store::Store::open("sqlite::memory:", store::Settings::default()).await.unwrap();
    let settings = server::Settings { background_workers: 1, ..server::Settings::default() };
    let api = Api::over(agent, store, settings).await;
    let first = api.ask(json!({ "input": "a", "background": true })).await;
    go_on.send(()).unwrap();
    while prompts.count() == 0 {
        tokio::task::yield_now().await;
    }
    let second = api.ask(json!({ "input": "b", "background": true })).await;
    let path = format!("/v1/responses/{}", second["id"].as_str().unwrap());
    let cancelled = api.post(&format!("{path}/cancel"), json!({})).await;
    assert_eq!(cancelled["status"], "cancelled");
    let events = api.events(&format!("{path}?stream=true")).await;
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["response.created", "response.queued", "response.incomplete"]);
    drop(go_on);
    assert_eq!(api.ended(first["id"].as_str().unwrap()).await["status"], "completed");
    let third = api.ask(json!({ "input": "c", "background": true })).await;
    assert_eq!(api.ended(third["id"].as_str().unwrap()).await["status"], "completed");
    assert_eq!(prompts.count(), 2, "the model never heard of the second");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_is_deleted_stops() {
    let (agent, prompts, go_on) = paced(said("one two three"));
    let api = Api::new(agent).await;
    let queued = api.ask(json!({ "input": "a", "background": true })).await;
    let path = format!("/v1/responses/{}", queued["id"].as_str().unwrap());
    go_on.send(()).unwrap();
    while prompts.count() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(api.delete(&path).await["deleted"], true);
    assert_eq!(api.refused(Method::GET, &path, None).await.0, 404);
    drop(go_on);
    let next = api.ask(json!({ "input": "b", "background": true })).await;
    assert_eq!(api.ended(next["id"].as_str().unwrap()).await["status"], "completed");
    assert_eq!(api.refused(Method::GET, &path, None).await.0, 404, "it does not come back");
}

#[tokio::test(flavor = "multi_thread")]
async fn background_needs_a_store_and_a_sound_request() {
    let (agent, _) = answering(|_| said("yes"), || {});
    let api = Api::new(agent).await;
    let cases = [
        (json!({ "background": true, "store": false }), "background"),
        (json!({ "background": true, "previous_response_id": "resp_none" }), "previous_response_id"),
        (json!({ "background": true, "temperature": 9 }), "temperature"),
    ];
    for (body, param) in cases {
        let mut request = json!({ "model": "tiny", "input": "a" });
        request.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let refused = api.refused(Method::POST, "/v1/responses", Some(request)).await;
        assert_eq!((refused.0, refused.2.as_str()), (400, param), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_conversation_it_keeps_the_place() {
    let (agent, _, go_on) = paced(said("yes"));
    let api = Api::new(agent).await;
    let made = api.post("/v1/conversations", json!({})).await;
    let body = json!({ "input": "a", "background": true, "conversation": made["id"] });
    let queued = api.ask(body.clone()).await;
    let mut request = json!({ "model": "tiny" });
    request.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    let refused = api.refused(Method::POST, "/v1/responses", Some(request)).await;
    assert_eq!((refused.0, refused.1.as_str()), (409, "conversation_locked"));
    drop(go_on);
    let response = api.ended(queued["id"].as_str().unwrap()).await;
    assert_eq!(text(&response), "yes");
    let items = api.get(&format!("/v1/conversations/{}/items?order=asc", made["id"].as_str().unwrap())).await;
    let roles: Vec<&str> =
        items["data"].as_array().unwrap().iter().map(|item| item["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant"]);
    let again = api.ask(body).await;
    assert_eq!(api.ended(again["id"].as_str().unwrap()).await["status"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_leaves_its_work_to_the_next() {
    let (agent, prompts, go_on) = paced(thought("let me see", "one two three"));
    let folder = tempfile::tempdir().unwrap();
    let address = format!("sqlite:{}", folder.path().join("store.db").display());
    let open = || store::Store::open(&address, store::Settings::default());
    let mut api = Api::over(agent, open().await.unwrap(), server::Settings::default()).await;
    let queued = api.ask(json!({ "input": "a", "background": true })).await;
    for _ in 0..6 {
        go_on.send(()).unwrap();
    }
    while prompts.count() == 0 {
        tokio::task::yield_now().await;
    }
    let stopping = tokio::spawn(api.workers.take().unwrap().stop());
    stopping.await.unwrap();
    let path = format!("/v1/responses/{}", queued["id"].as_str().unwrap());
    assert_eq!(api.get(&path).await["status"], "in_progress");
    drop((go_on, api));
    let (agent, _) = answering(|_| thought("let me see", "one two three"), || {});
    let next = Api::over(agent, open().await.unwrap(), server::Settings::default()).await;
    let response = next.ended(queued["id"].as_str().unwrap()).await;
    assert_eq!((response["status"].as_str(), text(&response).as_str()), (Some("completed"), "one two three"));
    check_stream(&next.events(&format!("{path}?stream=true")).await, &response);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_computes_any_more_is_cancelled_where_it_stands() {
    // Nothing repeats, so that nothing is guessed: a guess takes signals too.
    let numbers: String = (1..200).map(|number| format!("{} ", number * 7919 % 1009)).collect();
    let (agent, _, go_on) = paced(thought("let me see", &numbers));
    let mut api = Api::new(agent).await;
    let queued = api.ask(json!({ "input": "a", "background": true })).await;
    let path = format!("/v1/responses/{}", queued["id"].as_str().unwrap());
    // The thought is over, the message has begun; all of it is in the log once the workers have stopped. Guesses take signals, too.
    for _ in 0..150 {
        go_on.send(()).unwrap();
    }
    let id = queued["id"].as_str().unwrap();
    let log = || api.store.events("response", "default", id, -1, 100);
    while !log().await.unwrap().iter().any(|(_, event)| event.contains("response.output_text.delta")) {
        tokio::task::yield_now().await;
    }
    api.workers.take().unwrap().stop().await;
    let cancelled = api.post(&format!("{path}/cancel"), json!({})).await;
    assert_eq!(cancelled["status"], "cancelled");
    let events = api.events(&format!("{path}?stream=true")).await;
    check_stream(&events, &cancelled);
    assert!(!cancelled["output"].as_array().unwrap().is_empty(), "what was said is kept: {cancelled}");
    drop(go_on);
}
