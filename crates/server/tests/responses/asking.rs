//! What a client asks for and gets.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use server::Settings;
use store::Store;

use crate::published_schema::{check_events, check_response};
use crate::support::{Api, answering, events, said, text, thought};

/// A thought and a call as the model writes them.
pub(crate) fn call(thought: &str, tool: &str, arguments: &str) -> String {
    format!(
        "<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant<|channel|>commentary to=functions.{tool} <|constrain|>json<|message|>{arguments}<|call|>"
    )
}

pub(crate) fn weather() -> Value {
    json!({ "type": "function", "name": "weather", "parameters": { "type": "object", "properties": { "city": { "type": "string" } } } })
}

/// The events of a streamed response.
pub(crate) async fn stream(api: &Api, mut body: Value) -> Vec<Value> {
    body["stream"] = json!(true);
    let (status, text) = api.raw(Method::POST, "/v1/responses", Some(&body)).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    events(&text)
}

#[tokio::test]
async fn a_whole_response_is_complete() {
    let (agent, prompts) = answering(|_| thought("They greet.", "Good day."), || {});
    let api = Api::new(agent).await;
    let response = api.ask(json!({ "input": "Hello", "instructions": "Be kind.", "metadata": { "a": "b" } })).await;
    check_response(&response);
    assert_eq!((text(&response).as_str(), &response["status"]), ("Good day.", &json!("completed")));
    assert_eq!((&response["model"], &response["metadata"]), (&json!("tiny"), &json!({ "a": "b" })));
    let usage = &response["usage"];
    assert!(usage["output_tokens_details"]["reasoning_tokens"].as_u64().unwrap() > 0, "{usage}");
    assert_eq!(
        usage["total_tokens"].as_u64(),
        Some(usage["input_tokens"].as_u64().unwrap() + usage["output_tokens"].as_u64().unwrap())
    );
    assert!(prompts.last().contains("Be kind."));
    let ids: Vec<&str> =
        response["output"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert!(
        response["id"].as_str().unwrap().starts_with("resp_")
            && ids[0].starts_with("rs_")
            && ids[1].starts_with("msg_")
    );
}

#[tokio::test]
async fn a_stream_tells_the_same_as_the_whole() {
    let (agent, _) = answering(|_| call("Look.", "weather", r#"{"city": "Bonn"}"#), || {});
    let api = Api::new(agent).await;
    let told =
        stream(&api, json!({ "input": "Hello", "tools": [weather()], "include": ["reasoning.encrypted_content"] }))
            .await;
    let response = check_events(&told);
    check_response(&response);
    let call = &response["output"][1];
    assert_eq!((&call["name"], &call["arguments"]), (&json!("weather"), &json!(r#"{"city": "Bonn"}"#)));
    assert!(call["call_id"].as_str().unwrap().starts_with("call_") && call["id"].as_str().unwrap().starts_with("fc_"));
    assert!(response["output"][0]["encrypted_content"].as_str().unwrap().len() > 20);
    let kept = api.get(&format!("/v1/responses/{}", response["id"].as_str().unwrap())).await;
    assert_eq!(kept["output"][1], response["output"][1]);
}

#[tokio::test]
async fn a_limit_leaves_a_response_incomplete() {
    let (agent, _) = answering(|_| said("one two three four five six seven eight nine ten"), || {});
    let api = Api::new(agent).await;
    let told = stream(&api, json!({ "input": "Count", "max_output_tokens": 8 })).await;
    let response = check_events(&told);
    assert_eq!(told.last().unwrap()["type"], "response.incomplete");
    assert_eq!(response["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(response["output"][0]["status"], "incomplete");
    assert_eq!(response["usage"]["output_tokens"], 8);
}

#[tokio::test]
async fn a_form_that_is_cut_is_not_called_whole() {
    let (agent, _) = answering(|_| said(r#"{"a": 1, "b": [1, 2, 3, 4, 5, 6, 7, 8]}"#), || {});
    let api = Api::new(agent).await;
    let format = json!({ "type": "json_schema", "name": "a", "schema": { "type": "object" }, "strict": true });
    let told = stream(&api, json!({ "input": "Go", "max_output_tokens": 9, "text": { "format": format } })).await;
    let response = check_events(&told);
    assert_eq!((&response["status"], &response["output"][0]["status"]), (&json!("incomplete"), &json!("incomplete")));
    assert_eq!(response["incomplete_details"]["reason"], "max_output_tokens");
    let cut = text(&response);
    assert!(cut.starts_with('{') && serde_json::from_str::<Value>(&cut).is_err(), "{cut}");
}

#[tokio::test]
async fn forms_are_echoed_as_they_were_sent() {
    let (agent, _) = answering(|_| said("a"), || {});
    let api = Api::new(agent).await;
    for format in [
        json!({ "type": "grammar", "grammar": "start: \"a\"" }),
        json!({ "type": "grammar", "grammar": "start: \"a\"", "syntax": "lark" }),
        json!({ "type": "grammar", "grammar": "a", "syntax": "regex" }),
        json!({ "type": "regex", "pattern": "a" }),
        json!({ "type": "choice", "choices": ["a", "b"] }),
        json!({ "type": "json_object", "schema": { "type": "object" } }),
    ] {
        let response = api.ask(json!({ "input": "Go", "text": { "format": format } })).await;
        assert_eq!((text(&response).as_str(), &response["text"]["format"]), ("a", &format));
    }
}

#[tokio::test]
async fn log_probabilities_come_with_the_text() {
    let (agent, _) = answering(|_| said("Good day."), || {});
    let api = Api::new(agent).await;
    for asked in
        [json!({ "include": ["message.output_text.logprobs"], "top_logprobs": 2 }), json!({ "top_logprobs": 2 })]
    {
        let mut body = asked;
        body["input"] = json!("Hello");
        let told = stream(&api, body).await;
        let response = check_events(&told);
        let part = &response["output"][0]["content"][0];
        let tokens = part["logprobs"].as_array().unwrap();
        let spelled: String = tokens.iter().map(|token| token["token"].as_str().unwrap()).collect();
        assert_eq!(spelled, "Good day.");
        assert_eq!(tokens[0]["top_logprobs"].as_array().unwrap().len(), 2);
    }
    let plain = api.ask(json!({ "input": "Hello" })).await;
    assert_eq!(plain["output"][0]["content"][0]["logprobs"], json!([]));
}

#[tokio::test]
async fn counting_gives_what_asking_takes() {
    let (agent, _) = answering(|_| said("Yes."), || {});
    let api = Api::new(agent).await;
    let body = json!({ "model": "tiny", "input": "Hello", "tools": [weather()], "instructions": "Be kind." });
    let counted = api.post("/v1/responses/input_tokens", body.clone()).await;
    let response = api.ask(body).await;
    assert_eq!(
        counted,
        json!({ "object": "response.input_tokens", "input_tokens": response["usage"]["input_tokens"] })
    );
    assert!(api.post("/v1/responses/input_tokens", json!({})).await["input_tokens"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn what_is_in_effect_is_told() {
    let (agent, prompts) = answering(|_| said("Yes."), || {});
    let api = Api::new(agent).await;
    let response = api
        .ask(json!({
            "input": [{ "role": "system", "content": "Speak German." }, { "role": "user", "content": "Hello" }],
            "instructions": "Be kind.", "reasoning": { "effort": "minimal" }, "text": { "verbosity": "low" }, "top_p": 0.5,
        }))
        .await;
    check_response(&response);
    assert_eq!(response["reasoning"]["effort"], "low");
    assert_eq!(response["text"]["verbosity"], "low");
    assert_eq!((&response["top_p"], &response["temperature"]), (&json!(0.5), &json!(1.0)));
    let settings = Settings { default_temperature: 0.3, ..Settings::default() };
    let store = Store::open("sqlite::memory:", store::Settings::default()).await.unwrap();
    let cool = Api::over(answering(|_| said("Yes."), || {}).0, store, settings).await;
    assert_eq!(cool.ask(json!({ "input": "Hello" })).await["temperature"], json!(0.3), "as the operator wrote it");
    let prompt = prompts.last();
    assert!(prompt.contains("Be kind.\n\nSpeak German.\n\nKeep your answers short."), "{prompt}");
    assert!(prompt.contains("Reasoning: low"), "{prompt}");
}

#[tokio::test]
async fn an_extract_is_told_where_a_summary_is_asked_for() {
    let (agent, _) = answering(|_| thought("They greet me.", "Good day."), || {});
    let api = Api::new(agent).await;
    let told = stream(&api, json!({ "input": "Hello", "reasoning": { "summary": "auto" } })).await;
    let response = check_events(&told);
    assert_eq!(response["output"][0]["summary"][0]["text"], "**Extract of the reasoning**\n\nThey greet me.");
}
