//! Models, and text to tokens and back.

use agent::testing::{CONTEXT_TOKENS, vocabulary};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::{Api, check};

#[tokio::test]
async fn models_are_listed_and_found() {
    let api = Api::saying("<|return|>").await;
    let list = api.get("/v1/models").await;
    check::<Value>("ListModelsResponse", &list);
    assert_eq!(list["data"][0]["id"], "gpt-oss-20b");
    for name in ["gpt-oss-20b", "openai/gpt-oss-20b"] {
        let model = api.get(&format!("/v1/models/{name}")).await;
        check::<Value>("Model", &model);
        assert_eq!((&model["id"], &model["max_model_len"]), (&json!(name), &json!(CONTEXT_TOKENS)));
    }
    let (status, text) = api.send(Method::GET, "/v1/models/x", &Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(text.contains("model_not_found") && text.contains("gpt-oss-20b"));
}

#[tokio::test]
async fn text_becomes_tokens_and_text_again() {
    let api = Api::saying("<|return|>").await;
    let text = "Good <|end|> day, grüße 🙂";
    let answer = api.post("/tokenize", &json!({ "prompt": text, "return_token_strs": true })).await;
    assert_eq!(answer["tokens"], json!(vocabulary().encode(text)));
    assert_eq!(answer["count"], answer["tokens"].as_array().unwrap().len());
    assert_eq!(answer["max_model_len"], CONTEXT_TOKENS);
    let back = api.post("/v1/detokenize", &json!({ "tokens": answer["tokens"] })).await;
    assert_eq!(back["prompt"], text);
    let special = api.post("/tokenize", &json!({ "content": text, "parse_special": true })).await;
    assert!(special["count"].as_u64() < answer["count"].as_u64());
    let chat = json!({ "messages": [{ "role": "user", "content": "ASK" }], "add_generation_prompt": true });
    let chat = api.post("/tokenize", &chat).await;
    let text =
        api.post("/detokenize", &json!({ "tokens": chat["tokens"] })).await["prompt"].as_str().unwrap().to_owned();
    assert!(text.starts_with("<|start|>system") && text.ends_with("ASK<|end|><|start|>assistant"), "{text}");
    let refused = [
        ("/detokenize", json!({ "tokens": [99_999_999] })),
        ("/detokenize", json!({})),
        ("/tokenize", json!({})),
        ("/tokenize", json!({ "messages": [], "x": 1 })),
        ("/tokenize", json!({ "messages": [{ "role": "user", "content": "" }], "add_generation_prompt": false })),
    ];
    for (path, body) in refused {
        assert_eq!(api.refused(path, &body).await.0, 400, "{body}");
    }
}
