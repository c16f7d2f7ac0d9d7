//! Completions of text and tokens, and `/generate`.

use agent::testing::vocabulary;
use async_openai::types::completions::CreateCompletionResponse;
use serde_json::{Value, json};

use super::support::{Api, check, saying_behind_ask, without_names};

const PATH: &str = "/v1/completions";
const PROMPT: &str = "ASK<|end|><|start|>assistant";

async fn api(said: &str) -> Api {
    Api::over(saying_behind_ask(vocabulary().encode_with_specials(said))).await
}

fn asked(extra: Value) -> Value {
    let mut body = json!({ "model": "gpt-oss-20b", "prompt": PROMPT, "parse_special": true, "max_tokens": 50 });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

pub(super) async fn both(api: &Api, body: &Value) -> Value {
    let object = api.post(PATH, body).await;
    check::<CreateCompletionResponse>("CreateCompletionResponse", &object);
    let mut streamed = body.clone();
    streamed["stream_options"] = json!({ "include_usage": true });
    let mut chunks = api.chunks(PATH, &streamed).await;
    let last = chunks.pop().unwrap();
    assert_eq!(without_names(last["usage"].clone()), without_names(object["usage"].clone()));
    let mut choices: Vec<Value> = Vec::new();
    for chunk in &chunks {
        check::<CreateCompletionResponse>("CreateCompletionResponse", chunk);
        let told = &chunk["choices"][0];
        let index = told["index"].as_u64().unwrap() as usize;
        let none = json!({ "tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": [] });
        let logprobs = if body["logprobs"].is_null() { Value::Null } else { none };
        let empty = json!({ "text": "", "token_ids": [], "logprobs": logprobs, "finish_reason": null });
        choices.resize(choices.len().max(index + 1), empty);
        let choice = &mut choices[index];
        choice["text"] = json!(format!("{}{}", choice["text"].as_str().unwrap(), told["text"].as_str().unwrap()));
        choice["finish_reason"] = told["finish_reason"].clone();
        let ids = told["token_ids"].as_array().cloned().unwrap_or_default();
        choice["token_ids"].as_array_mut().unwrap().extend(ids);
        for (name, list) in told["logprobs"].as_object().into_iter().flatten() {
            let before = choice["logprobs"][name].as_array().cloned().unwrap_or_default();
            choice["logprobs"][name] = before.into_iter().chain(list.as_array().unwrap().clone()).collect();
        }
    }
    for (streamed, whole) in choices.iter().zip(object["choices"].as_array().unwrap()) {
        for name in ["text", "logprobs", "finish_reason"] {
            assert_eq!(streamed[name], whole[name], "{name} of {streamed:#} and {whole:#}");
        }
        if whole.get("token_ids").is_some() {
            assert_eq!(streamed["token_ids"], whole["token_ids"]);
        }
    }
    object
}

#[tokio::test]
async fn text_is_gone_on_with() {
    let api = api("<|channel|>final<|message|>Good day.<|return|>").await;
    let answer = both(&api, &asked(json!({}))).await;
    let choice = &answer["choices"][0];
    assert_eq!((&choice["text"], &choice["finish_reason"]), (&json!("finalGood day."), &json!("stop")));
    let whole = both(&api, &asked(json!({ "skip_special_tokens": false }))).await;
    assert_eq!(whole["choices"][0]["text"], "<|channel|>final<|message|>Good day.");
    let cut = both(&api, &asked(json!({ "max_tokens": 2 }))).await;
    assert_eq!(cut["choices"][0]["finish_reason"], "length");
    let stopped = both(&api, &asked(json!({ "stop": "day" }))).await;
    assert_eq!(stopped["choices"][0]["text"], "finalGood ");
    assert_eq!(stopped["choices"][0]["stop_reason"], "day");
    let echoed = both(&api, &asked(json!({ "echo": true, "n": 2 }))).await;
    assert_eq!(echoed["choices"][1]["text"], format!("{PROMPT}finalGood day."));
}

#[tokio::test]
async fn tokens_come_in_and_go_out() {
    let vocabulary = vocabulary();
    let said = vocabulary.encode_with_specials("<|channel|>final<|message|>Good day.<|return|>");
    let api = Api::over(saying_behind_ask(said.clone())).await;
    let ids = vocabulary.encode_with_specials(PROMPT);
    let body = asked(json!({ "prompt": [ids, ids], "return_token_ids": true }));
    let answer = both(&api, &body).await;
    for choice in answer["choices"].as_array().unwrap() {
        assert_eq!(choice["token_ids"], json!(said));
        assert_eq!(choice["prompt_token_ids"], json!(ids));
    }
    assert_eq!(answer["usage"]["prompt_tokens"], 2 * ids.len());
    let plain = vocabulary.encode(PROMPT);
    assert_ne!(plain, ids, "a text spells no control token unless that is asked for");
    let answer = api.post(PATH, &asked(json!({ "parse_special": false, "return_token_ids": true }))).await;
    assert_eq!(answer["choices"][0]["prompt_token_ids"], json!(plain));
    let last = said.len() - 2;
    let stops = json!({ "stop_token_ids": [said[last]], "skip_special_tokens": false, "return_token_ids": true });
    let stopped = both(&api, &asked(stops)).await;
    let choice = &stopped["choices"][0];
    assert_eq!((&choice["stop_reason"], &choice["finish_reason"]), (&json!(said[last]), &json!("stop")));
    assert_eq!(
        (&choice["text"], &choice["token_ids"]),
        (&json!(vocabulary.decode(&said[..last])), &json!(said[..=last]))
    );
}

#[tokio::test]
async fn log_probabilities_of_prompt_and_answer() {
    let api = api("<|channel|>final<|message|>Good day.<|return|>").await;
    let answer = both(&api, &asked(json!({ "logprobs": 2, "skip_special_tokens": false }))).await;
    let lists = &answer["choices"][0]["logprobs"];
    let tokens = lists["tokens"].as_array().unwrap();
    assert_eq!(
        tokens.iter().map(|token| token.as_str().unwrap()).collect::<String>(),
        "<|channel|>final<|message|>Good day."
    );
    assert_eq!(lists["text_offset"][0], PROMPT.chars().count());
    assert_eq!(lists["text_offset"][1], PROMPT.chars().count() + "<|channel|>".len());

    for echo in [false, true] {
        let answer = api.post(PATH, &asked(json!({ "logprobs": 0, "echo": echo }))).await;
        let choice = &answer["choices"][0];
        let text: Vec<char> = choice["text"].as_str().unwrap().chars().collect();
        let begin = if echo { 0 } else { PROMPT.chars().count() };
        let lists = &choice["logprobs"];
        let tokens = lists["tokens"].as_array().unwrap().iter().zip(lists["text_offset"].as_array().unwrap());
        for (token, offset) in tokens {
            let (token, at) = (token.as_str().unwrap(), offset.as_u64().unwrap() as usize - begin);
            let stands: String = text[at..].iter().take(token.chars().count()).collect();
            assert!(
                stands == token || (token.starts_with("<|") && !stands.starts_with("<|")),
                "{token} at {at}: {answer}"
            );
        }
    }

    let body = asked(json!({ "logprobs": 0, "echo": true, "max_tokens": 0 }));
    let answer = api.post(PATH, &body).await;
    check::<CreateCompletionResponse>("CreateCompletionResponse", &answer);
    let lists = &answer["choices"][0]["logprobs"];
    let length = vocabulary().encode_with_specials(PROMPT).len();
    for name in ["tokens", "token_logprobs", "top_logprobs", "text_offset"] {
        assert_eq!(lists[name].as_array().unwrap().len(), length, "{name}");
    }
    assert!(lists["token_logprobs"][0].is_null() && lists["token_logprobs"][1].is_number());
    assert_eq!(answer["choices"][0]["text"], PROMPT);
    assert_eq!(answer["usage"]["completion_tokens"], 0);
}

#[tokio::test]
async fn refusals_name_what_is_wrong() {
    let api = api("<|return|>").await;
    let cases = [
        (json!({ "prompt": [99_999_999] }), "prompt"),
        (json!({ "prompt": "" }), "prompt"),
        (json!({ "suffix": "x" }), "suffix"),
    ];
    for (extra, param) in cases {
        let (status, refusal) = api.refused(PATH, &asked(extra)).await;
        assert_eq!((status, refusal["error"]["param"].as_str()), (400, Some(param)), "{refusal}");
    }
    let long = asked(json!({ "prompt": vec![1; 20_000] }));
    assert_eq!(api.refused(PATH, &long).await.1["error"]["code"], "context_length_exceeded");
}

#[tokio::test]
async fn routers_generate() {
    let said = "<|channel|>final<|message|>Good day.<|return|>";
    let api = api(said).await;
    let vocabulary = vocabulary();
    let ids = vocabulary.encode_with_specials(PROMPT);
    let body = json!({
        "input_ids": ids, "sampling_params": { "max_new_tokens": 50, "temperature": 0 }, "return_logprob": true,
        "top_logprobs_num": 1, "logprob_start_len": 0, "rid": "r1",
    });
    let answer = api.post("/generate", &body).await;
    assert_eq!(answer["text"], "finalGood day.");
    assert_eq!(answer["output_ids"], json!(vocabulary.encode_with_specials(said)));
    let meta = &answer["meta_info"];
    let end = vocabulary.encode_with_specials("<|return|>")[0];
    assert_eq!(meta["finish_reason"], json!({ "type": "stop", "matched": end }));
    assert_eq!((&meta["id"], &meta["prompt_tokens"]), (&json!("r1"), &json!(ids.len())));
    assert_eq!(meta["input_token_logprobs"].as_array().unwrap().len(), ids.len());
    assert_eq!(meta["output_token_logprobs"].as_array().unwrap().len(), answer["output_ids"].as_array().unwrap().len());
    let chunks = api.chunks("/generate", &body).await;
    assert_eq!(without_names(chunks.last().unwrap().clone()), without_names(answer));
    let told: Vec<usize> = chunks.iter().map(|chunk| chunk["output_ids"].as_array().unwrap().len()).collect();
    assert!(told.len() > 2 && told.is_sorted(), "each piece repeats what came before: {told:?}");
    let batch =
        api.post("/generate", &json!({ "text": [PROMPT, PROMPT], "sampling_params": { "max_new_tokens": 1 } })).await;
    assert_eq!(batch.as_array().unwrap().len(), 2);
    assert_eq!(batch[1]["meta_info"]["finish_reason"], json!({ "type": "length", "length": 1 }));
    assert_eq!(api.refused("/generate", &json!({})).await.0, 400);
}
