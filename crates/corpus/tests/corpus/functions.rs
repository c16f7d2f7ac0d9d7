//! Calls fit the declared schemas, their values stand in the user's words, and there is none where none should be.

use corpus::{Item, Skill};
use harmony::{Content, ToolDescription};
use serde_json::Value;

use crate::drawn::{answer, asked, assert_effort_shows, calls, items, thought};

pub(crate) fn declared(item: &Item) -> Vec<ToolDescription> {
    let parts = item.conversation.messages.iter().flat_map(|message| &message.content);
    let developer = parts.filter_map(|part| match part {
        Content::Developer(content) => content.tools.as_ref(),
        Content::System(_) | Content::Text { .. } => None,
    });
    developer.flat_map(|tools| tools["functions"].tools.clone()).collect()
}

/// Whether the value is of the schema's type, and one of its choices.
pub(crate) fn assert_fits(value: &Value, schema: &Value) {
    let fits = match schema["type"].as_str().unwrap() {
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => {
            value.as_array().unwrap().iter().for_each(|element| assert_fits(element, &schema["items"]));
            true
        }
        "object" => {
            let (properties, fields) = (schema["properties"].as_object().unwrap(), value.as_object().unwrap());
            let order: Vec<usize> =
                fields.keys().map(|key| properties.keys().position(|known| known == key).unwrap()).collect();
            assert!(order.is_sorted(), "{value} is not in the order of {schema}");
            fields.iter().for_each(|(key, field)| assert_fits(field, &properties[key]));
            let required = schema["required"].as_array().unwrap();
            required.iter().all(|key| fields.contains_key(key.as_str().unwrap()))
        }
        other => panic!("{other}"),
    };
    let is_choice = schema["enum"].as_array().is_none_or(|choices| choices.contains(value));
    assert!(fits && is_choice, "{value} does not fit {schema}");
}

/// The leaves of a value as the user may have written them.
pub(crate) fn assert_told(value: &Value, text: &str) {
    let text = text.to_lowercase();
    match value {
        Value::Array(values) => values.iter().for_each(|value| assert_told(value, &text)),
        Value::Object(fields) => fields.values().for_each(|value| assert_told(value, &text)),
        Value::String(leaf) => assert!(text.contains(&leaf.to_lowercase()), "{leaf} is not in: {text}"),
        Value::Bool(leaf) => {
            let words = if *leaf { ["yes", "true"] } else { ["no", "false"] };
            assert!(words.iter().any(|word| text.contains(word)), "{leaf} is not in: {text}");
        }
        Value::Number(leaf) => assert!(text.contains(&leaf.to_string()), "{leaf} is not in: {text}"),
        Value::Null => panic!("nothing is null"),
    }
}

/// The names of the fields that a thought repeats from the declaration.
fn repeated(thought: &str, name: &str) -> Vec<String> {
    let opening = format!("{name} = (_: {{\n");
    let Some((_, rest)) = thought.split_once(&opening) else { return Vec::new() };
    let (fields, _) = rest.split_once("\n})").expect("the declaration is closed");
    let name = |line: &str| line.split_once(": ").unwrap().0.trim_end_matches('?').to_owned();
    fields.lines().map(name).collect()
}

fn properties(function: &ToolDescription) -> Vec<String> {
    let schema = function.parameters.as_ref();
    let properties = schema.and_then(|schema| schema["properties"].as_object());
    properties.map(|properties| properties.keys().cloned().collect()).unwrap_or_default()
}

#[test]
fn arguments_fit_and_were_told() {
    let mut seen = 0;
    for item in items(Skill::Functions, 4_000).chain(items(Skill::Preamble, 2_000)) {
        for call in calls(&item.conversation) {
            let Some(name) = call.recipient.as_deref().unwrap().strip_prefix("functions.") else { continue };
            assert_eq!(call.channel.as_deref(), Some("commentary"));
            assert_eq!(call.content_type.as_deref(), Some("<|constrain|>json"));
            let declared = declared(&item);
            let function = declared.iter().find(|function| function.name == name).unwrap();
            let arguments: Value = serde_json::from_str(&call.text()).unwrap();
            assert_eq!(arguments.to_string(), call.text(), "compact");
            match &function.parameters {
                Some(schema) => assert_fits(&arguments, schema),
                None => assert_eq!(call.text(), "{}"),
            }
            assert_told(&arguments, &asked(&item.conversation));
            let thought = thought(&item.conversation);
            assert!(thought.contains(name), "{thought}");
            let properties = properties(function);
            assert_eq!(repeated(&thought, name), properties, "{thought}");
            assert!(!properties.is_empty() || thought.contains(&format!("\n{name} = ()")), "{thought}");
            for (key, value) in arguments.as_object().unwrap() {
                let value = value.to_string();
                let is_told = thought.lines().any(|line| {
                    line.starts_with(&**key) && line.split_once(" = ").is_some_and(|(_, told)| told == value)
                });
                assert!(is_told, "{key} {value}: {thought}");
            }
            seen += 1;
        }
    }
    assert!(seen > 3_500, "{seen}");
}

#[test]
fn names_differ_within_an_item() {
    for item in items(Skill::Functions, 2_000) {
        let mut names: Vec<String> = declared(&item).into_iter().map(|function| function.name).collect();
        names.sort();
        let count = names.len();
        names.dedup();
        assert!((1..=3).contains(&count) && names.len() == count, "{names:?}");
    }
}

#[test]
fn what_is_asked_for_is_missing() {
    let mut seen = 0;
    for item in items(Skill::Functions, 3_000).filter(|item| calls(&item.conversation).is_empty()) {
        let answer = answer(&item.conversation).unwrap();
        let Some(rest) = answer.strip_prefix("What is the ") else { continue };
        let spoken = rest.split('?').next().unwrap();
        let question = asked(&item.conversation).to_lowercase();
        assert!(!question.contains(&format!("{} is", spoken.to_lowercase())), "{question}: {answer}");
        seen += 1;
    }
    assert!(seen > 150, "{seen}");
}

#[test]
fn turns_end_in_calls_and_in_answers_and_some_have_no_call() {
    let items: Vec<Item> = items(Skill::Functions, 2_000).collect();
    let direct = items.iter().filter(|item| calls(&item.conversation).is_empty()).count();
    let open = items.iter().filter(|item| answer(&item.conversation).is_none()).count();
    assert!((300..700).contains(&direct) && (500..1_000).contains(&open), "{direct} {open}");
}

#[test]
fn effort_shows() {
    assert_effort_shows(Skill::Functions);
}
