//! JSON Schema, keyword by keyword: what must fit, what must not, and random texts that another reader of schemas judges.

use super::{vocabulary, walks};
use grammar::{Error, Grammar, Limits, Mode, Source, Tokens};
use serde_json::{Value, json};

pub(super) fn compile(schema: &Value, mode: Mode) -> Result<Grammar, Error> {
    Tokens::new(&vocabulary(), Limits::default()).compile(&Source::JsonSchema { schema: schema.clone() }, mode)
}

fn fits(grammar: &Grammar, text: &str) -> bool {
    let mut matcher = grammar.matcher();
    vocabulary().encode(text).into_iter().all(|id| matcher.push(id).is_ok()) && matcher.is_complete()
}

/// Texts that fit and texts that do not, and random ones that fit for another reader too.
pub(super) fn check(schema: Value, good: &[&str], bad: &[&str]) {
    let grammar = compile(&schema, Mode::Strict).unwrap_or_else(|error| panic!("{schema}: {error}"));
    let validator =
        jsonschema::options().should_validate_formats(true).build(&schema).expect("another reader takes the schema");
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

#[test]
fn values_that_are_named() {
    check(
        json!({"enum": ["a", "b\n", 1, 1.5, null, true, [1, {"x": 2}], {}]}),
        &["\"a\"", "\"b\\n\"", "[1, {\"x\":2}]", "{ }", "1.5"],
        &["\"c\"", "false", "2", "[1]"],
    );
    check(json!({"const": {"b": 1, "a": [null]}}), &["{\"b\":1,\"a\":[null]}"], &["{\"b\":1}"]);
    check(json!({"enum": ["a", "bb", 3], "type": "string", "minLength": 2}), &["\"bb\""], &["\"a\"", "3"]);
    check(json!({"enum": [1, 2, 3], "not": {"const": 2}}), &["1", "3"], &["2"]);
    check(
        json!({"type": "string", "not": {"enum": ["a", "b"]}, "maxLength": 2}),
        &["\"c\"", "\"aa\""],
        &["\"a\"", "\"b\""],
    );
    check(json!({"type": "integer", "not": {"const": 5}, "minimum": 4, "maximum": 6}), &["4", "6"], &["5"]);
    check(
        json!({"type": "number", "not": {"enum": [5, 0.5]}, "minimum": 0}),
        &["5.5", "50"],
        &["5", "5.0", "0.5", "0.50"],
    );
}

#[test]
fn numbers() {
    check(json!({"type": "integer", "minimum": -3, "exclusiveMaximum": 12}), &["-3", "0", "11"], &["-4", "12", "1.0"]);
    check(
        json!({"type": "number", "exclusiveMinimum": 0, "maximum": 1.5}),
        &["0.1", "1.5", "1.50", "1"],
        &["0", "0.0", "1.51", "-1", "2"],
    );
    check(
        json!({"$schema": "http://json-schema.org/draft-04/schema#", "type": "number", "minimum": 1, "exclusiveMinimum": true}),
        &["1.1"],
        &["1", "1.0"],
    );
    check(
        json!({"type": "integer", "multipleOf": 7, "minimum": 10, "maximum": 30}),
        &["14", "21", "28"],
        &["7", "35", "15"],
    );
    check(json!({"type": "number", "multipleOf": 0.5}), &["-1.5", "2", "0.5"], &["0.3", "1.25"]);
    check(
        json!({"type": "integer", "minimum": 0}),
        &["0", "123456789012345678"],
        &["-1", "1e3", "1234567890123456789012"],
    );
    check(
        json!({"type": "integer", "minimum": 9_000_000_000_000_000_000_u64}),
        &["9000000000000000001"],
        &["8999999999999999999"],
    );
    check(json!({"not": {"type": "integer"}, "type": "number", "minimum": 0, "maximum": 2}), &["0.5"], &["1", "1.0"]);
}

#[test]
fn strings() {
    check(
        json!({"type": "string", "minLength": 2, "maxLength": 3}),
        &["\"ab\"", "\"é👍x\"", "\"\\n\\n\""],
        &["\"a\"", "\"abcd\""],
    );
    check(json!({"type": "string", "pattern": "^a+b?$"}), &["\"aab\""], &["\"b\"", "\"aabb\""]);
    check(json!({"type": "string", "pattern": "x\\d"}), &["\"ax1b\""], &["\"x\""]);
    check(
        json!({"type": "string", "pattern": "^a", "not": {"pattern": "b"}, "maxLength": 5}),
        &["\"ac\""],
        &["\"ab\"", "\"c\""],
    );
    check(json!({"type": "string", "pattern": "^\\w+ \\S.$|^\\s$", "maxLength": 9}), &["\"a b!\""], &["\"a  !\""]);
    for (format, good, bad) in [
        ("date", "2024-02-29", "2023-02-29"),
        ("date-time", "2023-11-28T09:00:00Z", "2023-11-28 09:00:00"),
        ("time", "23:59:59.5+01:00", "24:00:00Z"),
        ("duration", "P1Y2M3DT4H", "P"),
        ("email", "a.b@example.org", "a@"),
        ("hostname", "www.example.org", "-a"),
        ("ipv4", "192.168.0.1", "256.1.1.1"),
        ("ipv6", "fe80::1", "1::2::3"),
        ("uri", "https://example.org/a?b=%20#c", "no uri"),
        ("uri-reference", "../a/b", "a b"),
        ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123"),
        ("json-pointer", "/a/~0b", "a"),
        ("regex", "abc", "("),
        ("idn-email", "a@b.org", "@"),
        ("iri", "https://example.org", "x y"),
        ("uri-template", "/a/b", "{"),
        ("relative-json-pointer", "1/a", "x"),
    ] {
        check(json!({"type": "string", "format": format}), &[&format!("\"{good}\"")], &[&format!("\"{bad}\"")]);
    }
    check(json!({"type": "string", "format": "a-format-of-mine", "maxLength": 1}), &["\"x\""], &["\"xy\""]);
}

#[test]
fn arrays() {
    check(
        json!({"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2}),
        &["[1]", "[1,2]"],
        &["[]", "[1,2,3]", "[\"a\"]"],
    );
    check(
        json!({"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "items": false}),
        &["[]", "[1]", "[1,2]"],
        &["[2]", "[1,2,3]"],
    );
    let old = "http://json-schema.org/draft-07/schema#";
    check(
        json!({"$schema": old, "type": "array", "items": [{"const": 1}], "additionalItems": {"const": 9}, "minItems": 2}),
        &["[1,9,9]"],
        &["[1]", "[9,9]"],
    );
    check(
        json!({"type": "array", "minItems": 70, "maxItems": 75, "items": {"type": "null"}}),
        &[&format!("[{}null]", "null,".repeat(72))],
        &["[null]"],
    );
    check(
        json!({"type": "array", "contains": {"const": 3}, "items": {"type": "integer"}, "maxItems": 4}),
        &["[3]", "[3, 4]"],
        &["[]", "[4]"],
    );
    check(
        json!({"type": "array", "contains": {"type": "string"}, "minContains": 2, "maxContains": 2}),
        &["[\"a\",\"b\",1]"],
        &["[\"a\"]", "[\"a\",\"b\",\"c\"]"],
    );
    check(
        json!({"type": "array", "uniqueItems": true, "items": {"enum": ["a", "b", "c"]}, "minItems": 2}),
        &["[\"c\",\"a\"]", "[\"a\",\"b\",\"c\"]"],
        &["[\"a\",\"a\"]", "[\"a\"]"],
    );
    check(
        json!({"type": "array", "uniqueItems": true, "items": {"enum": (0..20).collect::<Vec<_>>()}, "maxItems": 3}),
        &["[1,5]", "[]"],
        &["[1,1]", "[1,2,3,4]"],
    );
    check(json!({"type": "array", "uniqueItems": true, "maxItems": 1}), &["[[]]"], &["[1,2]"]);
    check(json!({"type": "array", "not": {"items": {"type": "string"}}}), &["[1]"], &["[]", "[\"a\"]"]);
}

#[test]
fn objects() {
    let two = json!({"a": {"type": "integer"}, "b": {"type": "null"}});
    check(
        json!({"type": "object", "properties": two, "required": ["b"], "additionalProperties": false}),
        &["{\"b\":null}", "{\"a\":1,\"b\":null}"],
        &["{}", "{\"a\":1}", "{\"b\":null,\"c\":1}", "{\"b\":null,\"a\":1}"],
    );
    check(
        json!({"type": "object", "properties": two, "additionalProperties": {"type": "string"}}),
        &["{}", "{\"a\":1,\"z\":\"\"}"],
        &["{\"z\":1}", "{\"a\":\"x\"}", "{\"\\u0061\":\"x\"}"],
    );
    check(
        json!({"type": "object", "patternProperties": {"^n": {"type": "integer"}, "x$": {"minimum": 5}}, "additionalProperties": false}),
        &["{\"n\":1}", "{\"nx\":6}"],
        &["{\"nx\":1}", "{\"a\":1}"],
    );
    check(
        json!({"type": "object", "properties": {"nx": {"type": "integer"}}, "patternProperties": {"^n": {"maximum": 3}}, "required": ["nx"]}),
        &["{\"nx\":3}"],
        &["{\"nx\":4}", "{}"],
    );
    check(
        json!({"type": "object", "propertyNames": {"pattern": "^[a-c]{1,2}$"}}),
        &["{\"ab\":1}"],
        &["{\"d\":1}", "{\"abc\":1}"],
    );
    check(
        json!({"type": "object", "propertyNames": {"enum": ["a", "b"]}, "properties": {"b": {"type": "null"}, "c": true}}),
        &["{\"b\":null}", "{\"a\":1}"],
        &["{\"c\":1}"],
    );
    let three = json!({"a": {"const": 1}, "b": {"const": 1}, "c": {"const": 1}});
    check(
        json!({"type": "object", "properties": three, "minProperties": 2, "additionalProperties": false}),
        &["{\"a\":1,\"c\":1}"],
        &["{\"a\":1}", "{}"],
    );
    check(
        json!({"type": "object", "properties": three, "maxProperties": 1}),
        &["{}", "{\"b\":1}", "{\"z\":[]}"],
        &["{\"a\":1,\"b\":1}", "{\"a\":1,\"z\":1}"],
    );
    check(json!({"type": "object", "minProperties": 1}), &["{\"k\":1}"], &["{}"]);
    check(
        json!({"type": "object", "properties": three, "dependentRequired": {"a": ["b"]}, "additionalProperties": false}),
        &["{}", "{\"a\":1,\"b\":1}", "{\"c\":1}"],
        &["{\"a\":1}"],
    );
    check(
        json!({"type": "object", "properties": three, "dependentSchemas": {"a": {"required": ["c"]}}}),
        &["{\"a\":1,\"c\":1}"],
        &["{\"a\":1}"],
    );
    check(
        json!({"type": "object", "properties": {"a": {"const": 1}}, "allOf": [{"properties": {"b": {"const": 2}}, "required": ["b"]}], "unevaluatedProperties": false}),
        &["{\"a\":1,\"b\":2}"],
        &["{\"b\":2,\"z\":1}"],
    );
}

#[test]
fn schemas_of_schemas() {
    check(
        json!({"type": "object", "properties": {"a": {"type": "integer"}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}),
        &["{\"a\":1}", "{\"b\":[]}"],
        &["{}", "{\"a\":\"\"}"],
    );
    check(json!({"allOf": [{"type": "integer", "minimum": 2}, {"maximum": 4}]}), &["3"], &["1", "5"]);
    check(json!({"oneOf": [{"type": "integer"}, {"type": "number", "minimum": 10}]}), &["3", "10.5"], &["10", "9.5"]);
    check(
        json!({"oneOf": [{"type": "object", "properties": {"k": {"const": "a"}}, "required": ["k"]}, {"type": "object", "properties": {"k": {"const": "b"}}, "required": ["k"]}]}),
        &["{\"k\":\"a\"}", "{\"k\":\"b\"}"],
        &["{\"k\":\"c\"}"],
    );
    check(
        json!({"type": "object", "oneOf": [{"properties": {"n": {"type": "string"}}, "additionalProperties": false}, {"properties": {"p": {"type": "string"}}, "additionalProperties": false}]}),
        &["{\"n\":\"\"}", "{\"p\":\"\"}"],
        &["{}", "{\"n\":\"\",\"p\":\"\"}"],
    );
    check(
        json!({"type": "object", "properties": {"t": {"enum": ["x", "y"]}, "v": true}, "required": ["t", "v"], "if": {"properties": {"t": {"const": "x"}}}, "then": {"properties": {"v": {"type": "integer"}}}, "else": {"properties": {"v": {"type": "null"}}}, "additionalProperties": false}),
        &["{\"t\":\"x\",\"v\":1}", "{\"t\":\"y\",\"v\":null}"],
        &["{\"t\":\"x\",\"v\":null}", "{\"t\":\"y\",\"v\":1}"],
    );
    check(json!({"not": {"type": ["object", "array", "string"]}}), &["1", "null"], &["{}", "\"\"", "[]"]);
    check(
        json!({"not": {"anyOf": [{"type": "null"}, {"minLength": 1}, {"type": ["number", "boolean", "array", "object"]}]}}),
        &["\"\""],
        &["\"a\"", "null", "1"],
    );
    check(
        json!({"$ref": "#/$defs/tree", "$defs": {"tree": {"type": "object", "properties": {"v": {"type": "integer"}, "next": {"$ref": "#/$defs/tree"}}, "required": ["v"], "additionalProperties": false}}}),
        &["{\"v\":1,\"next\":{\"v\":2}}"],
        &["{\"v\":1,\"next\":{}}"],
    );
    check(
        json!({"$defs": {"a~/b c": {"$anchor": "here", "type": "null"}}, "anyOf": [{"$ref": "#/$defs/a~0~1b%20c"}, {"type": "array", "items": {"$ref": "#here"}, "maxItems": 1}]}),
        &["null", "[null]"],
        &["1", "[1]"],
    );
    check(
        json!({"$id": "https://example.org/root", "type": "array", "maxItems": 1, "items": {"$ref": "other"}, "$defs": {"o": {"$id": "other", "$ref": "#/$defs/x", "$defs": {"x": {"type": "null"}}}}}),
        &["[null]"],
        &["[1]"],
    );
    check(
        json!({"properties": {"child": {"$ref": "#"}}, "type": "object", "additionalProperties": false}),
        &["{\"child\":{\"child\":{}}}"],
        &["{\"child\":1}"],
    );
}

#[test]
fn what_cannot_be_enforced_is_refused_where_it_stands_or_left_out_where_that_was_asked() {
    let place = |schema: &Value| compile(schema, Mode::Strict).map(|_| ()).unwrap_err().path().unwrap_or_default();
    let tags = json!({"type": "object", "properties": {"tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": true}}, "required": ["tags"]});
    assert_eq!(place(&tags), "properties.tags.uniqueItems");
    let relaxed = compile(&tags, Mode::Relaxed).unwrap();
    assert!(fits(&relaxed, "{\"tags\":[\"a\",\"a\"]}") && !fits(&relaxed, "{\"tags\":[1]}") && !fits(&relaxed, "{}"));
    let pattern = json!({"items": {"type": "string", "pattern": "(?!a)b", "maxLength": 2}, "type": "array"});
    assert_eq!(place(&pattern), "items.pattern");
    let relaxed = compile(&pattern, Mode::Relaxed).unwrap();
    assert!(fits(&relaxed, "[\"ab\"]") && !fits(&relaxed, "[\"abc\"]"));
    assert_eq!(place(&json!({"$ref": "https://example.org/far.json"})), "$ref");
    assert_eq!(place(&json!({"anyOf": [{"$ref": "#/$defs/missing"}]})), "anyOf.0.$ref");
    assert_eq!(place(&json!({"type": "object", "minProperties": 3})), "minProperties");
    assert_eq!(place(&json!({"properties": {"a": {"type": "text"}}})), "properties.a.type");
    assert!(fits(
        &compile(&json!({"anyOf": [{"$ref": "#/$defs/missing"}, {"type": "null"}]}), Mode::Relaxed).unwrap(),
        "1"
    ));
}

#[test]
fn relaxed_schemas_keep_their_outer_sort_whatever_is_in_them() {
    let properties: Value =
        (0..3_000).map(|index| (format!("p{index}"), json!({}))).collect::<serde_json::Map<_, _>>().into();
    let large = json!({"type": "object", "properties": properties});
    assert!(matches!(compile(&large, Mode::Strict), Err(Error::Limit { .. })));
    let relaxed = compile(&large, Mode::Relaxed).unwrap();
    assert!(fits(&relaxed, "{\"p1\":1}") && !fits(&relaxed, "1"));
    let wrong = json!({"type": "object", "properties": {"a": {"type": "float", "maximum": 1}}, "required": ["a"]});
    let relaxed = compile(&wrong, Mode::Relaxed).unwrap();
    assert!(fits(&relaxed, "{\"a\":0.5}") && !fits(&relaxed, "{\"a\":2}") && !fits(&relaxed, "{}"));
}

#[test]
fn schemas_that_nothing_fits_are_refused() {
    for (schema, path) in [
        (json!(false), ""),
        (json!({"enum": []}), ""),
        (json!({"type": "object", "properties": {"a": false}, "required": ["a"]}), "properties.a"),
        (json!({"type": "array", "minItems": 2, "maxItems": 1}), ""),
        (json!({"type": "string", "minLength": 2, "maxLength": 1}), ""),
        (json!({"type": "string", "pattern": "^a", "allOf": [{"pattern": "^b"}]}), ""),
        (json!({"$ref": "#"}), ""),
        (json!({"anyOf": [{"$ref": "#"}, {"type": "null"}]}), ""),
        (json!({"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}), "properties.next"),
        (json!({"type": "integer", "minimum": 1, "maximum": 2, "multipleOf": 5}), ""),
        (json!({"allOf": [{"type": "string"}, {"type": "null"}]}), ""),
    ] {
        match compile(&schema, Mode::Strict) {
            Err(Error::Unsatisfiable { path: found, .. }) => {
                assert!(found == path || path == "properties.next", "{schema}: {found}")
            }
            other => panic!("{schema}: {other:?}"),
        }
    }
}
