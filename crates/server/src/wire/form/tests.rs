//! Forms as clients ask for them, and wrong ones.

use serde_json::json;

use super::*;
use crate::wire::chat::ChatRequest;
use crate::wire::completions::CompletionRequest;
use crate::wire::messages::MessagesRequest;
use crate::wire::responses::CreateResponse;

fn chat(extra: Value) -> Result<Form, ApiError> {
    let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "Hi" }] });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    ChatRequest::read(&body).map(|request| request.form)
}

fn refused(extra: Value) -> (String, &'static str) {
    let error = chat(extra.clone()).expect_err(&extra.to_string());
    (error.param.unwrap_or_default(), error.code.unwrap_or_default())
}

fn lark_of(grammar: &str) -> Format {
    Format::Grammar(TextGrammar::Lark(grammar.to_owned()))
}

fn regex_of(pattern: &str) -> Format {
    Format::Grammar(TextGrammar::Regex(pattern.to_owned()))
}

#[test]
fn every_api_reads_every_form() {
    let schema = json!({ "type": "object", "properties": {} });
    let extensions = [
        (json!({ "type": "text" }), Format::Text, ""),
        (json!({ "type": "json_object" }), Format::JsonObject, "type"),
        (json!({ "type": "json_object", "schema": schema }), json_schema(schema.clone()), "schema"),
        (json!({ "type": "grammar", "grammar": "start: /a/" }), lark_of("start: /a/"), "grammar"),
        (json!({ "type": "grammar", "grammar": "start: /a/", "syntax": "lark" }), lark_of("start: /a/"), "grammar"),
        (json!({ "type": "grammar", "grammar": "a+", "syntax": "regex" }), regex_of("a+"), "grammar"),
        (json!({ "type": "regex", "pattern": "a+" }), regex_of("a+"), "pattern"),
        (json!({ "type": "choice", "choices": ["a", "b"] }), Format::Choice(vec!["a".into(), "b".into()]), "choices"),
    ];
    for (sent, format, field) in extensions {
        let form = |at: &str| {
            let path = if field.is_empty() { String::new() } else { format!("{at}.{field}") };
            Form { format: format.clone(), path, value: sent.clone() }
        };
        assert_eq!(chat(json!({ "response_format": sent })).unwrap(), form("response_format"));
        let response = CreateResponse::read(&json!({ "input": "x", "text": { "format": sent } })).unwrap();
        assert_eq!(response.text.form, form("text.format"));
        let message = json!({ "model": "m", "max_tokens": 5, "messages": [{ "role": "user", "content": "x" }], "output_config": { "format": sent } });
        assert_eq!(MessagesRequest::read(&message).unwrap().form, form("output_config.format"));
    }
}

#[test]
fn strict_or_not_a_schema_is_one() {
    for strict in [json!(true), json!(false), json!(null)] {
        let inner = json!({ "name": "a", "description": "d", "schema": { "type": "object" }, "strict": strict });
        let form = chat(json!({ "response_format": { "type": "json_schema", "json_schema": inner } })).unwrap();
        let expected = Format::JsonSchema {
            name: "a".into(),
            description: Some("d".into()),
            schema: json!({ "type": "object" }),
            strict: strict == true,
        };
        assert_eq!(form.format, expected);
    }
}

#[test]
fn clients_of_other_servers_are_understood() {
    let schema = json!({ "type": "array", "items": { "type": "integer" } });
    let cases = [
        (json!({ "structured_outputs": { "json": schema } }), json_schema(schema.clone()), "structured_outputs.json"),
        (
            json!({ "structured_outputs": { "json": schema.to_string(), "regex": null } }),
            json_schema(schema.clone()),
            "structured_outputs.json",
        ),
        (
            json!({ "structured_outputs": { "regex": "a", "disable_any_whitespace": false } }),
            regex_of("a"),
            "structured_outputs.regex",
        ),
        (
            json!({ "structured_outputs": { "choice": ["a"] } }),
            Format::Choice(vec!["a".into()]),
            "structured_outputs.choice",
        ),
        (
            json!({ "structured_outputs": { "grammar": "start: /a/" } }),
            lark_of("start: /a/"),
            "structured_outputs.grammar",
        ),
        (
            json!({ "structured_outputs": { "json_object": true } }),
            Format::JsonObject,
            "structured_outputs.json_object",
        ),
        (
            json!({ "guided_json": schema, "guided_decoding_backend": "xgrammar" }),
            json_schema(schema.clone()),
            "guided_json",
        ),
        (json!({ "guided_regex": "a", "guided_json": null }), regex_of("a"), "guided_regex"),
        (json!({ "guided_choice": ["a"] }), Format::Choice(vec!["a".into()]), "guided_choice"),
        (json!({ "guided_grammar": "start: /a/" }), lark_of("start: /a/"), "guided_grammar"),
        (json!({ "json_schema": schema }), json_schema(schema.clone()), "json_schema"),
        (json!({ "json_schema": schema, "response_format": { "type": "text" } }), json_schema(schema), "json_schema"),
    ];
    for (extra, format, path) in cases {
        let form = chat(extra.clone()).unwrap();
        assert_eq!((form.format, form.path.as_str()), (format, path), "{extra}");
    }
}

#[test]
fn whatever_is_wrong_is_named() {
    let object = json!({ "type": "json_object" });
    let gbnf = "root ::= \"yes\" | \"no\"";
    let custom = json!({ "type": "grammar", "grammar": { "syntax": "lark", "definition": gbnf } });
    let cases = [
        (json!({ "guided_json": {}, "guided_regex": "a" }), "guided_regex", "invalid_value"),
        (json!({ "guided_json": {}, "response_format": object }), "guided_json", "invalid_value"),
        (
            json!({ "structured_outputs": { "regex": "a" }, "response_format": object }),
            "structured_outputs",
            "invalid_value",
        ),
        (json!({ "structured_outputs": { "regex": "a" }, "guided_regex": "a" }), "guided_regex", "invalid_value"),
        (
            json!({ "structured_outputs": { "regex": "a", "choice": ["a"] } }),
            "structured_outputs.choice",
            "invalid_value",
        ),
        (json!({ "structured_outputs": {} }), "structured_outputs", "invalid_value"),
        (
            json!({ "structured_outputs": { "structural_tag": "x" } }),
            "structured_outputs.structural_tag",
            "unknown_parameter",
        ),
        (
            json!({ "structured_outputs": { "regex": "a", "disable_any_whitespace": true } }),
            "structured_outputs.disable_any_whitespace",
            "unsupported_value",
        ),
        (json!({ "guided_json": "{" }), "guided_json", "invalid_json_schema"),
        (json!({ "guided_json": 3 }), "guided_json", "invalid_json_schema"),
        (json!({ "guided_json": { "type": "objekt" } }), "guided_json.type", "invalid_json_schema"),
        (json!({ "guided_choice": [] }), "guided_choice", "invalid_type"),
        (json!({ "guided_choice": ["a", 1] }), "guided_choice[1]", "invalid_type"),
        (json!({ "guided_regex": 1 }), "guided_regex", "invalid_type"),
        (json!({ "guided_grammar": gbnf }), "guided_grammar", "invalid_grammar"),
        (json!({ "grammar": gbnf }), "grammar", "invalid_grammar"),
        (
            json!({ "tools": [{ "type": "custom", "custom": { "name": "c", "format": custom } }] }),
            "tools[0].custom.format.grammar.definition",
            "invalid_grammar",
        ),
        (json!({ "response_format": { "type": "yaml" } }), "response_format.type", "invalid_value"),
        (json!({ "response_format": { "type": "grammar" } }), "response_format.grammar", "missing_required_parameter"),
        (
            json!({ "response_format": { "type": "grammar", "grammar": "a", "syntax": "gbnf" } }),
            "response_format.syntax",
            "invalid_value",
        ),
        (
            json!({ "response_format": { "type": "regex", "pattern": "a", "x": 1 } }),
            "response_format.x",
            "unknown_parameter",
        ),
        (json!({ "response_format": { "type": "choice", "choices": "a" } }), "response_format.choices", "invalid_type"),
    ];
    for (extra, path, code) in cases {
        assert_eq!(refused(extra.clone()), (path.to_owned(), code), "{extra}");
    }
    assert!(chat(json!({ "grammar": gbnf })).unwrap_err().message.contains("expected Lark"));
    assert!(chat(json!({ "guided_grammar": "start: \"::=\"" })).is_ok(), "only where a rule begins");
}

#[test]
fn texts_that_go_on_have_no_form() {
    let read = |extra: Value| {
        let mut body = json!({ "model": "m", "prompt": "a" });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        CompletionRequest::read(&body)
    };
    for name in [
        "response_format",
        "structured_outputs",
        "guided_json",
        "guided_regex",
        "guided_choice",
        "guided_grammar",
        "json_schema",
        "grammar",
    ] {
        let mut extra = json!({});
        extra[name] = json!({ "type": "json_object" });
        let refused = read(extra).unwrap_err();
        assert_eq!((refused.param.as_deref(), refused.code), (Some(name), Some("unsupported_value")));
        assert!(refused.message.contains("/v1/chat/completions"), "{}", refused.message);
    }
    assert!(read(json!({ "guided_json": null, "response_format": { "type": "text" }, "grammar": "" })).is_ok());
}
