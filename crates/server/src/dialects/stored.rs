//! Chat completions that are kept.

use async_openai::types::chat::{ChatCompletionDeleted, ChatCompletionList, CreateChatCompletionResponse};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::chat::asked;
use super::support::{Api, check};

const PATH: &str = "/v1/chat/completions";

#[tokio::test]
async fn a_kept_answer_is_found_changed_and_deleted() {
    let api = Api::saying("<|channel|>final<|message|>Good day.<|return|>").await;
    let kept = api.post(PATH, &asked(json!({ "store": true, "metadata": { "a": "b" } }))).await;
    let id = kept["id"].as_str().unwrap();
    let path = format!("{PATH}/{id}");
    assert_eq!(api.get(&path).await, kept);
    check::<CreateChatCompletionResponse>("CreateChatCompletionResponse", &kept);

    let messages = api.get(&format!("{path}/messages")).await;
    assert_eq!(messages["data"][0]["content"], "ASK");
    assert_eq!(messages["data"][0]["id"], format!("{id}-0"));

    let changed = api.post(&path, &json!({ "metadata": { "c": "d" } })).await;
    assert_eq!(changed["metadata"], json!({ "c": "d" }));
    assert_eq!(api.get(&path).await, changed);

    let (status, text) = api.send(Method::DELETE, &path, &Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    check::<ChatCompletionDeleted>("ChatCompletionDeleted", &serde_json::from_str(&text).unwrap());
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(api.send(method, &path, &Value::Null).await.0, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn nothing_is_kept_unless_asked_and_streams_are_kept_whole() {
    let api = Api::saying("<|channel|>final<|message|>Good day.<|return|>").await;
    let answer = api.post(PATH, &asked(json!({ "metadata": { "a": "b" } }))).await;
    let path = format!("{PATH}/{}", answer["id"].as_str().unwrap());
    assert_eq!(api.send(Method::GET, &path, &Value::Null).await.0, StatusCode::NOT_FOUND);
    assert!(answer.get("metadata").is_none());
    let chunks = api.chunks(PATH, &asked(json!({ "store": true }))).await;
    let kept = api.get(&format!("{PATH}/{}", chunks[0]["id"].as_str().unwrap())).await;
    assert_eq!(kept["choices"][0]["message"]["content"], "Good day.");
}

#[tokio::test]
async fn kept_answers_are_listed_page_by_page() {
    let api = Api::saying("<|channel|>final<|message|>Good day.<|return|>").await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let metadata = json!({ "odd": (number % 2 == 1).to_string() });
        let kept = api.post(PATH, &asked(json!({ "store": true, "metadata": metadata }))).await;
        ids.push(kept["id"].as_str().unwrap().to_owned());
    }
    let listed = |list: &Value| -> Vec<String> {
        check::<ChatCompletionList>("ChatCompletionList", list);
        list["data"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
    };
    let first = api.get(&format!("{PATH}?limit=2")).await;
    assert_eq!((listed(&first), first["has_more"].as_bool()), (ids[..2].to_vec(), Some(true)));
    let rest = api.get(&format!("{PATH}?limit=10&after={}", ids[1])).await;
    assert_eq!((listed(&rest), rest["has_more"].as_bool()), (ids[2..].to_vec(), Some(false)));
    let odd = api.get(&format!("{PATH}?metadata[odd]=true&order=desc")).await;
    assert_eq!(listed(&odd), [ids[3].clone(), ids[1].clone()]);
    assert_eq!(api.send(Method::GET, &format!("{PATH}?x=1"), &Value::Null).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(api.send(Method::GET, &format!("{PATH}?after=x"), &Value::Null).await.0, StatusCode::BAD_REQUEST);
}
