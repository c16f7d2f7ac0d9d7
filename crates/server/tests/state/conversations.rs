//! Conversations: their notes, their items, and responses that are made in them.

use axum::http::Method;
use serde_json::{Value, json};

use crate::published_schema::published;
use crate::support::{Api, answering, ids, paced, said, text};

fn check(name: &str, value: &Value) {
    if let Some(published) = published() {
        published.check(name, value);
    }
}

fn user(text: &str) -> Value {
    json!({ "type": "message", "role": "user", "content": text })
}

#[tokio::test]
async fn a_conversation_lives() {
    let (agent, _) = answering(|_| said("yes"), || {});
    let api = Api::new(agent).await;
    let made = api.post("/v1/conversations", json!({ "metadata": { "a": "b" }, "items": [user("hello")] })).await;
    let path = format!("/v1/conversations/{}", made["id"].as_str().unwrap());
    assert_eq!((&made["object"], &made["metadata"]), (&json!("conversation"), &json!({ "a": "b" })));
    assert!(made["id"].as_str().unwrap().starts_with("conv_") && made["created_at"].is_i64());
    check("ConversationResource", &made);
    let changed = api.post(&path, json!({ "metadata": { "c": "d" } })).await;
    assert_eq!(changed["metadata"], json!({ "c": "d" }));
    assert_eq!(api.get(&path).await, changed);
    let added = api.post(&format!("{path}/items"), json!({ "items": [user("one"), user("two")] })).await;
    let listed = api.get(&format!("{path}/items?order=asc")).await;
    check("ConversationItemList", &listed);
    check("ConversationItemList", &added);
    assert_eq!(ids(&listed)[1..], ids(&added));
    assert_eq!(listed["data"][0]["content"], json!([{ "type": "input_text", "text": "hello" }]));
    assert_eq!((&listed["data"][0]["role"], &listed["data"][0]["status"]), (&json!("user"), &json!("completed")));
    let newest = api.get(&format!("{path}/items?limit=1")).await;
    assert_eq!((ids(&newest), &newest["has_more"]), (vec![ids(&added)[1].clone()], &json!(true)));
    let item = format!("{path}/items/{}", ids(&added)[0]);
    check("ConversationItem", &added["data"][0]);
    assert_eq!(api.get(&item).await, added["data"][0]);
    assert_eq!(api.delete(&item).await, changed);
    assert_eq!(api.refused(Method::GET, &item, None).await.0, 404);
    assert_eq!(api.refused(Method::DELETE, &item, None).await.0, 404);
    assert_eq!(ids(&api.get(&format!("{path}/items")).await).len(), 2);
    let deleted = api.delete(&path).await;
    assert_eq!(deleted, json!({ "id": made["id"], "object": "conversation.deleted", "deleted": true }));
    check("DeletedConversationResource", &deleted);
    for (method, path) in [(Method::GET, path.clone()), (Method::GET, format!("{path}/items")), (Method::DELETE, path)]
    {
        assert_eq!(api.refused(method, &path, None).await.0, 404);
    }
}

#[tokio::test]
async fn wrong_requests_are_refused_by_name() {
    let (agent, _) = answering(|_| said("yes"), || {});
    let api = Api::new(agent).await;
    let made = api.post("/v1/conversations", json!({})).await;
    let path = format!("/v1/conversations/{}", made["id"].as_str().unwrap());
    let many: Vec<Value> = (0..21).map(|_| user("x")).collect();
    let cases = [
        ("/v1/conversations".to_owned(), json!({ "items": many }), "items"),
        ("/v1/conversations".to_owned(), json!({ "metadata": { "a": 1 } }), "metadata.a"),
        ("/v1/conversations".to_owned(), json!({ "name": "x" }), "name"),
        (path.clone(), json!({}), "metadata"),
        (format!("{path}/items"), json!({}), "items"),
        (format!("{path}/items"), json!({ "items": [{ "type": "strange" }] }), "items[0].type"),
        (format!("{path}/items"), json!({ "items": [user("x")], "more": 1 }), "more"),
    ];
    for (path, body, param) in cases {
        let refused = api.refused(Method::POST, &path, Some(body.clone())).await;
        assert_eq!((refused.0, refused.2.as_str()), (400, param), "{path} {body}");
    }
    let twice = json!({ "items": [{ "id": "msg_1", "role": "user", "content": "x" }] });
    api.post(&format!("{path}/items"), twice.clone()).await;
    assert_eq!(api.refused(Method::POST, &format!("{path}/items"), Some(twice)).await.0, 409);
}

#[tokio::test]
async fn responses_add_to_their_conversation() {
    let (agent, prompts) =
        answering(|prompt| said(&format!("answer {}", prompt.matches("<|start|>user").count())), || {});
    let api = Api::new(agent).await;
    let made = api.post("/v1/conversations", json!({ "items": [user("before")] })).await;
    let id = made["id"].as_str().unwrap();
    let first = api.ask(json!({ "input": "one", "conversation": id })).await;
    assert_eq!((text(&first).as_str(), &first["conversation"]), ("answer 2", &json!({ "id": id })));
    let second = api.ask(json!({ "input": "two", "conversation": { "id": id }, "store": false })).await;
    assert_eq!(text(&second), "answer 3");
    assert!(prompts.last().contains("answer 2"));
    let items = api.get(&format!("/v1/conversations/{id}/items?order=asc")).await;
    let texts: Vec<&str> =
        items["data"].as_array().unwrap().iter().map(|item| item["content"][0]["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["before", "one", "answer 2", "two", "answer 3"]);
    // A chain may leave the conversation where a response stood in it.
    let left = api.ask(json!({ "input": "three", "previous_response_id": first["id"] })).await;
    assert_eq!(text(&left), "answer 3");
    assert!(!prompts.last().contains("two"));
    let body = json!({ "model": "tiny", "input": "x", "conversation": "conv_none" });
    assert_eq!(api.refused(Method::POST, "/v1/responses", Some(body)).await.0, 404);
}

#[tokio::test]
async fn outputs_without_their_call_stay_out_of_a_conversation() {
    let (agent, prompts) = answering(|_| said("yes"), || {});
    let api = Api::new(agent).await;
    let call = json!({ "type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}" });
    let output = |call: &str| json!({ "type": "function_call_output", "call_id": call, "output": "four" });
    let orphan = |items: Value, param: &str| {
        let (api, param) = (&api, param.to_owned());
        async move {
            let refused = api.refused(Method::POST, "/v1/conversations", Some(json!({ "items": items }))).await;
            assert_eq!(refused, (400, "unknown_call_id".to_owned(), param));
        }
    };
    orphan(json!([user("x"), output("call_1")]), "items[1].call_id").await;
    orphan(json!([output("call_1"), call]), "items[0].call_id").await;
    let made = api.post("/v1/conversations", json!({ "items": [call] })).await;
    let path = format!("/v1/conversations/{}/items", made["id"].as_str().unwrap());
    let refused = api.refused(Method::POST, &path, Some(json!({ "items": [output("call_2")] }))).await;
    assert_eq!(refused, (400, "unknown_call_id".to_owned(), "items[0].call_id".to_owned()));
    api.post(&path, json!({ "items": [output("call_1")] })).await;
    let asked = json!({ "input": "and", "conversation": made["id"] });
    assert_eq!(text(&api.ask(asked.clone()).await), "yes");
    assert!(prompts.last().contains("four"));
    let body = json!({ "model": "tiny", "input": [output("call_3")], "conversation": made["id"] });
    let refused = api.refused(Method::POST, "/v1/responses", Some(body)).await;
    assert_eq!(refused, (400, "unknown_call_id".to_owned(), "input[0].call_id".to_owned()));
    // Whoever deletes a call leaves its output behind; the conversation goes on.
    let first = ids(&api.get(&format!("{path}?order=asc")).await)[0].clone();
    api.delete(&format!("{path}/{first}")).await;
    assert_eq!(text(&api.ask(asked).await), "yes");
    assert!(!prompts.last().contains("four"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_response_at_a_time_is_made_in_a_conversation() {
    let (agent, prompts, go_on) = paced(said("yes"));
    let api = std::sync::Arc::new(Api::new(agent).await);
    let made = api.post("/v1/conversations", json!({})).await;
    let body = json!({ "model": "tiny", "input": "x", "conversation": made["id"] });
    let first = tokio::spawn({
        let (api, body) = (api.clone(), body.clone());
        async move { api.post("/v1/responses", body).await }
    });
    go_on.send(()).unwrap();
    while prompts.count() == 0 {
        tokio::task::yield_now().await;
    }
    let refused = api.refused(Method::POST, "/v1/responses", Some(body.clone())).await;
    assert_eq!(refused, (409, "conversation_locked".to_owned(), "conversation".to_owned()));
    drop(go_on);
    assert_eq!(text(&first.await.unwrap()), "yes");
    api.post("/v1/responses", body).await;
    // Whoever hangs up gives the conversation back, if not at once.
}
