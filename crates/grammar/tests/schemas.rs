//! JSON Schema, keyword by keyword: what must fit, what must not, and random texts that another reader of schemas judges.

mod walks;

use grammar::{Error, Grammar, Limits, Mode, Source, Tokens};
use harmony::Vocabulary;
use serde_json::{Value, json};

fn vocabulary() -> Vocabulary {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/glossa-tiny/tokenizer.json");
    Vocabulary::from_tokenizer_json(&std::fs::read(file).unwrap()).unwrap()
}

fn compile(schema: &Value, mode: Mode) -> Result<Grammar, Error> {
    Tokens::new(&vocabulary(), Limits::default()).compile(&Source::JsonSchema { schema: schema.clone() }, mode)
}

fn fits(grammar: &Grammar, text: &str) -> bool {
    let mut matcher = grammar.matcher();
    vocabulary().encode(text).into_iter().all(|id| matcher.push(id).is_ok()) && matcher.is_complete()
}

/// Texts that fit and texts that do not, and random ones that fit for another reader too.
fn check(schema: Value, good: &[&str], bad: &[&str]) {
    let grammar = compile(&schema, Mode::Strict).unwrap_or_else(|error| panic!("{schema}: {error}"));
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    good.iter().for_each(|text| assert!(fits(&grammar, text), "{text} fits {schema}"));
    bad.iter().for_each(|text| assert!(!fits(&grammar, text), "{text} does not fit {schema}"));
    let mut dice = walks::Dice(schema.to_string().len() as u64);
    for round in 0..6 {
        let walk = walks::walk(&grammar, &vocabulary(), &mut dice, 10 + 10 * round)
            .unwrap_or_else(|error| panic!("{schema}: {error}"));
        if walk.is_complete {
            assert_eq!(walks::complaint(&validator, &walk.text), None, "{schema}");
        }
    }
}

#[test]
fn sorts_of_values() {
    check(
        json!(true),
        &["null", "[1, {\"a\": \"b\"}]", "-1.5e3", "\"\\u0007é\""],
        &["", "01", "\"\\ud800\"", "1e999", "-", "nul"],
    );
    check(
        json!({"type": ["integer", "null"]}),
        &["1", "null", "-20"],
        &["1.5", "\"1\"", "-0", "12345678901234567890123"],
    );
    check(json!({"type": "object"}), &["{}", "{\"a\": 1}", "{\n  \"a\" : [ ]\n}"], &["[]", "{\"a\"}", "{,}"]);
    check(json!({"type": "object"}), &[], &[&format!("{{{}}}", " ".repeat(100)), "{\n\n\n}"]);
}
