//! Structured answers are JSON of the declared form, filled with what the user told.

use corpus::{Check, Skill};
use harmony::{Content, ResponseFormat};
use serde_json::Value;

use crate::drawn::{answer, asked, assert_effort_shows, items, thought};
use crate::functions::{assert_fits, assert_told};

#[test]
fn answers_fit_their_schema_and_the_text() {
    for item in items(Skill::Structured, 4_000) {
        let parts = item.conversation.messages.iter().flat_map(|message| &message.content);
        let formats: Vec<&ResponseFormat> = parts
            .filter_map(|part| match part {
                Content::Developer(content) => Some(&content.response_formats),
                Content::System(_) | Content::Text { .. } => None,
            })
            .flatten()
            .collect();
        assert_eq!(formats.len(), 1);
        let text = answer(&item.conversation).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value.to_string(), text, "compact");
        assert_fits(&value, &formats[0].schema);
        assert_told(&value, &asked(&item.conversation));
        assert_eq!(item.checks, [Check::Json(value)]);
    }
}

#[test]
fn fields_left_out_were_not_told() {
    let mut seen = 0;
    for item in items(Skill::Structured, 4_000) {
        let developer = item.conversation.messages[1].content.first();
        let Some(Content::Developer(content)) = developer else { panic!("{item:?}") };
        let value: Value = serde_json::from_str(&answer(&item.conversation).unwrap()).unwrap();
        let properties = content.response_formats[0].schema["properties"].as_object().unwrap();
        for key in properties.keys().filter(|key| value.get(key.as_str()).is_none()) {
            let question = asked(&item.conversation);
            assert!(!question.contains(&format!("{key}:")) && !question.contains(&format!("{key}=")), "{question}");
            seen += 1;
        }
    }
    assert!(seen > 200, "{seen}");
}

#[test]
fn thoughts_list_every_field_with_its_value_or_none() {
    for item in items(Skill::Structured, 2_000) {
        let developer = item.conversation.messages[1].content.first();
        let Some(Content::Developer(content)) = developer else { panic!("{item:?}") };
        let value: Value = serde_json::from_str(&answer(&item.conversation).unwrap()).unwrap();
        let thought = thought(&item.conversation);
        let mut rest = thought.as_str();
        for key in content.response_formats[0].schema["properties"].as_object().unwrap().keys() {
            let told = value.get(key).map_or_else(|| "none".to_owned(), Value::to_string);
            let written = [format!("{key} {told}"), format!("{key}: {told}")];
            let place = written.iter().find_map(|written| rest.find(written).map(|at| at + written.len()));
            rest = &rest[place.unwrap_or_else(|| panic!("{key} {told}: {thought}"))..];
        }
    }
}

#[test]
fn effort_shows() {
    assert_effort_shows(Skill::Structured);
}
