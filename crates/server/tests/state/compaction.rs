//! Conversations made short, and handed in again.

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{Api, answering, said};

#[tokio::test]
async fn a_compacted_conversation_is_remembered() {
    let (agent, prompts) = answering(
        |prompt| if prompt.contains("Write a note") { said("They like green tea.") } else { said("yes") },
        || {},
    );
    let api = Api::new(agent).await;
    let long = "long output ".repeat(1000);
    let input = json!([
        { "role": "user", "content": "I like tea." },
        { "role": "assistant", "content": "Which?" },
        { "role": "user", "content": "Look at my shelf." },
        { "type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}" },
        { "type": "function_call_output", "call_id": "call_1", "output": long },
    ]);
    let compacted = api.post("/v1/responses/compact", json!({ "model": "tiny", "input": input })).await;
    assert_eq!(compacted["object"], "response.compaction");
    assert!(compacted["usage"]["output_tokens"].as_i64() > Some(0) && compacted["created_at"].is_i64());
    if let Some(published) = crate::published_schema::published() {
        published.check("CompactResource", &compacted);
    }
    let item = compacted["output"][0].clone();
    assert_eq!(item["type"], "compaction");
    let sealed = item["encrypted_content"].as_str().unwrap();
    // Three letters may stand in a seal by chance, a sentence cannot.
    assert!(sealed.len() < long.len() && !sealed.contains("I like tea.") && !sealed.contains("assistant"));
    let input = json!([item, { "role": "user", "content": "Well?" }]);
    let first = api.ask(json!({ "input": input })).await;
    let seen = |prompt: String| {
        for said in
            ["I like tea.", "They like green tea.", "Look at my shelf.", "functions.look", "letters left out", "Well?"]
        {
            assert!(prompt.contains(said), "{said}: {prompt}");
        }
        assert!(!prompt.contains("Which?"), "what was answered is in the note only");
    };
    seen(prompts.last());
    // Stored with the response, and in a conversation.
    api.ask(json!({ "input": "And?", "previous_response_id": first["id"] })).await;
    seen(prompts.last());
    let made = api.post("/v1/conversations", json!({ "items": input })).await;
    api.ask(json!({ "input": "So?", "conversation": made["id"] })).await;
    seen(prompts.last());
    let again = json!({ "model": "tiny", "previous_response_id": first["id"] });
    assert_eq!(api.post("/v1/responses/compact", again).await["output"][0]["type"], "compaction");
}

#[tokio::test]
async fn without_a_note_everything_but_thoughts_is_kept_shortened() {
    let (agent, prompts) = answering(|_| said(""), || {});
    let api = Api::new(agent).await;
    let input = json!([
        { "role": "user", "content": "Which is it?" },
        { "type": "reasoning", "summary": [], "content": [{ "type": "reasoning_text", "text": "a secret" }] },
        { "role": "assistant", "content": "The green one." },
    ]);
    let compacted = api.post("/v1/responses/compact", json!({ "model": "tiny", "input": input })).await;
    api.ask(json!({ "input": [compacted["output"][0], { "role": "user", "content": "Well?" }] })).await;
    let prompt = prompts.last();
    assert!(
        prompt.contains("Which is it?") && prompt.contains("The green one.") && !prompt.contains("secret"),
        "{prompt}"
    );
}

#[tokio::test]
async fn only_our_own_seals_are_opened() {
    let (agent, _) = answering(|_| said("yes"), || {});
    let api = Api::new(agent).await;
    let body = |content: &str| -> Value {
        json!({ "model": "tiny", "input": [{ "type": "compaction", "encrypted_content": content }] })
    };
    let compacted = api.post("/v1/responses/compact", json!({ "model": "tiny", "input": "hello" })).await;
    let sealed = compacted["output"][0]["encrypted_content"].as_str().unwrap().to_owned();
    api.post("/v1/responses", body(&sealed)).await;
    let mut changed = sealed.clone();
    changed.replace_range(40..41, if &sealed[40..41] == "A" { "B" } else { "A" });
    for content in ["", "x", "not base64 !", &changed, &sealed[..sealed.len() - 1]] {
        let refused = api.refused(Method::POST, "/v1/responses", Some(body(content))).await;
        assert_eq!(refused.0, 400, "{content}");
    }
    let (agent, _) = answering(|_| said("yes"), || {});
    let other = Api::new(agent).await;
    let refused = other.refused(Method::POST, "/v1/responses", Some(body(&sealed))).await;
    assert_eq!((refused.0, refused.1.as_str()), (400, "invalid_encrypted_content"));
    for (body, param) in [
        (json!({ "input": "a" }), "model"),
        (json!({ "model": "tiny", "input": "a", "stream": true }), "stream"),
        (json!({ "model": "tiny" }), "input"),
    ] {
        let refused = api.refused(Method::POST, "/v1/responses/compact", Some(body)).await;
        assert_eq!((refused.0, refused.2.as_str()), (400, param));
    }
}
