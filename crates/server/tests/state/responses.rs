//! Stored responses: chains, branches, retrieving, deleting, listing the input.

use axum::http::Method;
use serde_json::json;

use crate::support::{Api, answering, ids, said, text, thought};

#[tokio::test]
async fn a_chain_remembers_and_branches_and_inherits_no_instructions() {
    let (agent, prompts) =
        answering(|prompt| thought("hm", &format!("answer {}", prompt.matches("<|start|>user").count())), || {});
    let api = Api::new(agent).await;
    let first = api.ask(json!({ "input": "one", "instructions": "Speak Latin." })).await;
    assert_eq!(text(&first), "answer 1");
    assert!(prompts.last().contains("Speak Latin."));
    let second = api.ask(json!({ "input": "two", "previous_response_id": first["id"] })).await;
    assert_eq!((text(&second).as_str(), &second["previous_response_id"]), ("answer 2", &first["id"]));
    let prompt = prompts.last();
    assert!(prompt.contains("one") && prompt.contains("answer 1") && prompt.contains("two"), "{prompt}");
    assert!(!prompt.contains("Speak Latin."), "instructions are not inherited: {prompt}");
    let branch = api.ask(json!({ "input": "other", "previous_response_id": first["id"] })).await;
    assert_eq!(text(&branch), "answer 2");
    assert!(!prompts.last().contains("two"), "a branch does not see its neighbour");
    let third = api.ask(json!({ "input": "three", "previous_response_id": second["id"] })).await;
    assert_eq!(text(&third), "answer 3");
}

#[tokio::test]
async fn what_is_not_stored_is_not_there() {
    let (agent, _) = answering(|_| said("yes"), || {});
    let api = Api::new(agent).await;
    let kept = api.ask(json!({ "input": "a" })).await;
    let id = kept["id"].as_str().unwrap();
    assert_eq!(api.get(&format!("/v1/responses/{id}")).await, kept);
    assert_eq!(api.get(&format!("/responses/{id}")).await, kept, "without /v1 too");
    let passing = api.ask(json!({ "input": "a", "store": false })).await;
    for id in [passing["id"].as_str().unwrap(), "resp_nothing", &"x".repeat(400), "%00"] {
        for (method, path) in
            [(Method::GET, ""), (Method::DELETE, ""), (Method::POST, "/cancel"), (Method::GET, "/input_items")]
        {
            let refused = api.refused(method, &format!("/v1/responses/{id}{path}"), None).await;
            assert_eq!((refused.0, refused.1.as_str()), (404, "not_found"), "{id}{path}");
        }
        let body = json!({ "model": "tiny", "input": "b", "previous_response_id": id });
        let refused = api.refused(Method::POST, "/v1/responses", Some(body)).await;
        let expected = (400, "previous_response_not_found".to_owned(), "previous_response_id".to_owned());
        assert_eq!(refused, expected);
    }
    let deleted = api.delete(&format!("/v1/responses/{id}")).await;
    assert_eq!(deleted, json!({ "id": id, "object": "response", "deleted": true }));
    assert_eq!(api.refused(Method::GET, &format!("/v1/responses/{id}"), None).await.0, 404);
    assert_eq!(api.refused(Method::DELETE, &format!("/v1/responses/{id}"), None).await.0, 404);
}

#[tokio::test]
async fn input_is_listed_page_by_page_newest_first() {
    let (agent, _) = answering(|_| said("yes"), || {});
    let api = Api::new(agent).await;
    let input: Vec<_> =
        (0..5).map(|number| json!({ "role": "user", "content": format!("message {number}") })).collect();
    let response = api.ask(json!({ "input": input })).await;
    let path = format!("/v1/responses/{}/input_items", response["id"].as_str().unwrap());
    let list = api.get(&path).await;
    if let Some(published) = crate::published_schema::published() {
        published.check("ResponseItemList", &list);
    }
    let newest = ids(&list);
    assert_eq!((newest.len(), &list["object"], &list["has_more"]), (5, &json!("list"), &json!(false)));
    assert_eq!(list["data"][0]["content"][0]["text"], "message 4");
    assert_eq!((list["first_id"].as_str(), list["last_id"].as_str()), (Some(&*newest[0]), Some(&*newest[4])));
    let oldest: Vec<String> = newest.iter().rev().cloned().collect();
    assert_eq!(ids(&api.get(&format!("{path}?order=asc")).await), oldest);
    let page = api.get(&format!("{path}?limit=2&after={}", newest[1])).await;
    assert_eq!((ids(&page), &page["has_more"]), (newest[2..4].to_vec(), &json!(true)));
    for (query, param) in
        [("limit=0", "limit"), ("after=msg_x", "after"), ("order=up", "order"), ("include=x", "include")]
    {
        let refused = api.refused(Method::GET, &format!("{path}?{query}"), None).await;
        assert_eq!((refused.0, refused.2.as_str()), (400, param));
    }
}

#[tokio::test]
async fn sealed_thoughts_are_shown_where_they_are_asked_for() {
    let (agent, _) = answering(|_| thought("because", "yes"), || {});
    let api = Api::new(agent).await;
    let response = api.ask(json!({ "input": "a" })).await;
    assert_eq!(response["output"][0]["type"], "reasoning");
    assert!(response["output"][0].get("encrypted_content").is_none());
    let path = format!("/v1/responses/{}", response["id"].as_str().unwrap());
    let shown = api.get(&format!("{path}?include[]=reasoning.encrypted_content")).await;
    assert!(shown["output"][0]["encrypted_content"].is_string(), "{shown}");
    // What was sealed means the same when it is handed back.
    let mut input = shown["output"].as_array().unwrap().clone();
    input[0]["content"] = json!([]);
    input.push(json!({ "role": "user", "content": "and?" }));
    api.ask(json!({ "input": input, "reasoning": { "context": "all_turns" } })).await;
}

#[tokio::test]
async fn a_foreground_response_can_be_neither_cancelled_nor_streamed_again() {
    let (agent, _) = answering(|_| said("yes"), || {});
    let api = Api::new(agent).await;
    let response = api.ask(json!({ "input": "a" })).await;
    let path = format!("/v1/responses/{}", response["id"].as_str().unwrap());
    assert_eq!(api.refused(Method::POST, &format!("{path}/cancel"), None).await.1, "not_background");
    assert_eq!(api.refused(Method::GET, &format!("{path}?stream=true"), None).await.2, "stream");
    assert_eq!(api.refused(Method::GET, &format!("{path}?starting_after=3"), None).await.2, "starting_after");
}
