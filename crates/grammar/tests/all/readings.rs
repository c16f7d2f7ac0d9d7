//! Schemas that readers take for different things, and spellings of values that models like: outputs fit under every reading.

use super::schemas::{check, compile};
use super::vocabulary;
use grammar::{Error, Limits, Mode, Source, Tokens};
use serde_json::{Value, json};

const SEVEN: &str = "http://json-schema.org/draft-07/schema#";

fn is_refused(schema: &Value) -> bool {
    matches!(compile(schema, Mode::Strict), Err(Error::Unenforceable { .. } | Error::Unsatisfiable { .. }))
}

#[test]
fn classes_without_quotes_let_none_in() {
    check(json!({"pattern": "^[^\"]*$", "type": "string"}), &[r#""a\\b""#, r#""\n\u0001""#], &[r#""a\"b""#, r#""\"""#]);
    check(json!({"pattern": r"^[^\\]*$", "type": "string"}), &[r#""a\"b""#], &[r#""a\\b""#]);
    check(json!({"pattern": r#"^[^\\/:*?"<>|]+$"#, "type": "string"}), &[r#""a.b""#], &[r#""a\"""#, r#""\\""#]);
    check(json!({"pattern": r"^[\x00-\x1f]+$", "type": "string"}), &[r#""\n\u0001""#], &[r#""\"""#, r#""a""#]);
    check(
        json!({"type": "object", "propertyNames": {"pattern": "^[^\"]+$"}}),
        &[r#"{"a":1}"#],
        &[r#"{"a\"":1}"#, r#"{"\"":1}"#],
    );
}

#[test]
fn free_strings_have_every_spelling() {
    let texts = [r#""caf\u00e9""#, r#""\ud83d\ude00""#, r#""a\/b""#, "\"é\u{7f}\""];
    let halves = [r#""\ud800""#, r#""\ude00""#, r#""\ud83dx""#, r#""\ud83d\u00e9""#, "\"\n\"", r#""\x""#];
    check(json!({"type": "string"}), &texts, &halves);
    // Two units are one character.
    check(
        json!({"type": "string", "minLength": 2, "maxLength": 2}),
        &[r#""\ud83d\ude00\u00e9""#],
        &[r#""\ud83d\ude00""#],
    );
    // What is told apart by its text has one spelling.
    check(json!({"type": "string", "not": {"const": "a"}}), &["\"b\""], &[r#""\u0061""#]);
    check(json!({"type": "object", "properties": {"a": {"type": "null"}}}), &["{\"a\":null}"], &[r#"{"\u0061":1}"#]);
}

#[test]
fn addresses_have_many_parts() {
    check(
        json!({"type": "string", "format": "email"}),
        &["\"first.middle.last@x.de\"", "\"a@one.two.example.co.uk\""],
        &["\"a..b@x.de\"", "\"a@x..de\""],
    );
    let long = format!("\"{}@x.de\"", ["a"; 64].join("."));
    check(json!({"type": "string", "format": "email"}), &[], &[&long, &long.replace('.', "")]);
    let pattern = r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$";
    check(
        json!({"type": "string", "format": "email", "pattern": pattern}),
        &["\"first.last@x.de\""],
        &["\".a@x.de\"", "\"a..b@x.de\""],
    );
    check(json!({"type": "string", "not": {"pattern": "^(?!a)b"}}), &["\"a\"", "\"ab\""], &["\"b\"", "\"bc\""]);
    check(json!({"type": "string", "pattern": "^(?!ab)(?=.*c)[a-c]+$"}), &["\"ac\"", "\"c\""], &["\"abc\"", "\"a\""]);
}

#[test]
fn identifiers_are_not_cut_short() {
    check(json!({"type": "integer"}), &["1790000000000000000"], &["9990000000000000000"]);
    check(json!({"type": "integer", "minimum": 0}), &["1790000000000000000"], &[]);
    check(json!({"type": "number"}), &["12345678901234567890", "0.30000000000000004"], &[]);
}

#[test]
fn what_stands_beside_a_reference_is_not_relied_on_to_fail() {
    let definitions = json!({"x": {"type": ["string", "integer"]}});
    let beside = json!({"$ref": "#/definitions/x", "type": "integer"});
    check(json!({"$schema": SEVEN, "definitions": definitions, "not": beside}), &["null"], &["1", "\"a\""]);
    check(
        json!({"$schema": SEVEN, "definitions": definitions, "oneOf": [beside, {"type": "string"}]}),
        &["1"],
        &["\"a\""],
    );
}

#[test]
fn keywords_that_a_draft_does_not_know() {
    let items = json!({"type": ["string", "integer"]});
    check(
        json!({"$schema": SEVEN, "type": "array", "items": items, "contains": {"type": "string"}, "minContains": 0}),
        &["[\"a\"]"],
        &["[]", "[1]"],
    );
    check(
        json!({"$schema": SEVEN, "type": "array", "prefixItems": [{"minimum": 3}], "items": {"type": "integer"}}),
        &["[3, 1]"],
        &["[\"a\"]"],
    );
}

#[test]
fn values_are_taken_only_where_it_is_sure() {
    // Readers that take formats for annotations say that each value fits both.
    let formats = json!({"enum": ["abc", "2020-01-01"], "oneOf": [{"format": "date"}, {"type": "string"}]});
    assert!(is_refused(&formats));
    assert!(is_refused(&json!({"enum": [["abc", "2020-01-01"]], "contains": {"format": "date"}, "maxContains": 1})));
    let inner = json!({"properties": {"a": {"type": "string"}}, "anyOf": [{"properties": {"b": true}}], "unevaluatedProperties": false});
    assert!(is_refused(&json!({"enum": [{"a": "x", "b": 1}], "not": inner})));
    check(json!({"enum": ["2020-01-01", "x"], "format": "date"}), &["\"2020-01-01\""], &["\"x\""]);
    check(
        json!({"enum": ["12", "ab", "a1"], "oneOf": [{"pattern": r"^\d+$"}, {"pattern": "^[a-z]+$"}]}),
        &["\"12\"", "\"ab\""],
        &["\"a1\""],
    );
}

#[test]
fn names_belong_to_their_resource() {
    let definition = |inner: &str, outer: &str| {
        json!({
            "$id": "http://x/r", "$ref": "a", "$defs": {
                "s": {"$anchor": "s", "type": outer},
                "a": {"$id": "http://x/a", "type": "array", "items": {"$ref": "http://x/r#s"},
                      "$defs": {"s": {"$anchor": "s", "type": inner}}}
            }
        })
    };
    check(definition("string", "integer"), &["[1]"], &["[\"a\"]"]);
    let across = json!({
        "$id": "http://x/r", "$ref": "#/$defs/a/properties/p", "$defs": {
            "s": {"type": "integer"},
            "a": {"$id": "http://x/a", "properties": {"p": {"$ref": "#/$defs/s"}}, "$defs": {"s": {"type": "string"}}}
        }
    });
    check(across, &["\"a\""], &["1"]);
    let list = json!({"$id": "list", "type": "array", "items": {"$dynamicRef": "#items"}, "$defs": {"items": {"$dynamicAnchor": "items"}}});
    let dynamic = json!({
        "$id": "http://x/root", "$ref": "list",
        "$defs": {"foo": {"$dynamicAnchor": "items", "type": "string"}, "list": list}
    });
    assert!(is_refused(&dynamic));
}

#[test]
fn text_that_is_certain_is_found_a_little_at_a_time() {
    // 8^8 times 20,000 characters, none of them in doubt.
    let mut grammar = format!("start: {}\n", "a ".repeat(8));
    for (one, next) in ["a", "b", "c", "d", "e", "f", "g"].iter().zip(["b", "c", "d", "e", "f", "g", "h"]) {
        grammar.push_str(&format!("{one}: {}\n", format!("{next} ").repeat(8)));
    }
    grammar.push_str("h: /x{20000}/\n");
    let tokens = Tokens::new(&vocabulary(), Limits::default());
    let mut matcher = tokens.compile(&Source::Lark(grammar), Mode::Strict).unwrap().matcher();
    assert!(matcher.forced().is_empty() && matcher.mask().unwrap().count() > 0);
    // What was found is told until something else comes.
    let text = "ab ".repeat(1_000);
    let mut matcher = tokens.compile(&Source::Choice(vec![text.clone()]), Mode::Strict).unwrap().matcher();
    let mut written = Vec::new();
    while !matcher.is_over() {
        let forced = matcher.forced();
        let next = forced.first().copied().or_else(|| matcher.mask().unwrap().ids().next()).unwrap();
        matcher.push(next).unwrap();
        written.push(next);
    }
    assert_eq!(vocabulary().decode(&written), text);
}
