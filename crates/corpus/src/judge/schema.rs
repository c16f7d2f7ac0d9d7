//! Whether a value fits a JSON Schema, of which the words are known that tools' parameters are written with. It must not know
//! what the schema is for.

use serde_json::{Map, Value};

/// Whether `value` fits `schema`. Stricter than the standard in one point: where an object's properties are listed, it has no
/// others.
pub(super) fn fits(value: &Value, schema: &Value) -> bool {
    let Some(schema) = schema.as_object() else { return schema != &Value::Bool(false) };
    let of = |word: &str| schema.get(word);
    let list = |word: &str| of(word).and_then(Value::as_array);
    let nullable = value.is_null() && of("nullable") == Some(&Value::Bool(true));
    let alternatives = |word: &str| list(word).is_none_or(|options| options.iter().any(|option| fits(value, option)));
    nullable
        || (of("type").is_none_or(|kind| has_type(value, kind))
            && list("enum").is_none_or(|values| values.contains(value))
            && of("const").is_none_or(|only| only == value)
            && alternatives("anyOf")
            && alternatives("oneOf")
            && list("allOf").is_none_or(|parts| parts.iter().all(|part| fits(value, part)))
            && has_size(value, schema)
            && has_parts(value, schema))
}

/// Whether a value is of a type, or of one of a list of types.
fn has_type(value: &Value, kind: &Value) -> bool {
    match kind {
        Value::Array(kinds) => kinds.iter().any(|kind| has_type(value, kind)),
        Value::String(name) => match name.as_str() {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "string" => value.is_string(),
            "number" => value.is_number(),
            "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => false,
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

/// The limits of numbers, texts and lists.
fn has_size(value: &Value, schema: &Map<String, Value>) -> bool {
    let limit = |word: &str| schema.get(word).and_then(Value::as_f64);
    let within = |size: f64, least: &str, most: &str| {
        limit(least).is_none_or(|least| least <= size) && limit(most).is_none_or(|most| size <= most)
    };
    match value {
        Value::Number(number) => number.as_f64().is_some_and(|number| within(number, "minimum", "maximum")),
        Value::String(text) => within(text.chars().count() as f64, "minLength", "maxLength"),
        Value::Array(items) => within(items.len() as f64, "minItems", "maxItems"),
        Value::Null | Value::Bool(_) | Value::Object(_) => true,
    }
}

/// The items of a list, the properties of an object.
fn has_parts(value: &Value, schema: &Map<String, Value>) -> bool {
    match value {
        Value::Array(items) => schema.get("items").is_none_or(|schema| items.iter().all(|item| fits(item, schema))),
        Value::Object(object) => {
            let required = schema.get("required").and_then(Value::as_array);
            let has = |name: &Value| name.as_str().is_some_and(|name| object.contains_key(name));
            let properties = schema.get("properties").and_then(Value::as_object);
            let fits_its_own = |(name, value): (&String, &Value)| {
                properties.is_none_or(|properties| properties.get(name).is_some_and(|schema| fits(value, schema)))
            };
            required.is_none_or(|names| names.iter().all(has)) && object.iter().all(fits_its_own)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::fits;

    fn lamp() -> Value {
        json!({
            "type": "object",
            "properties": {
                "room": {"type": "string", "minLength": 1},
                "level": {"type": "integer", "minimum": 0, "maximum": 100},
                "mode": {"type": "string", "enum": ["day", "night"]},
                "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
                "after": {"type": ["number", "null"]},
                "on": {"type": "boolean"}
            },
            "required": ["room"]
        })
    }

    #[test]
    fn what_fits() {
        for value in [
            json!({"room": "hall"}),
            json!({"room": "hall", "level": 0, "mode": "night", "tags": [], "after": null, "on": true}),
            json!({"room": "hall", "level": 100.0, "tags": ["a", "b"], "after": 1.5}),
        ] {
            assert!(fits(&value, &lamp()), "{value}");
        }
        assert!(fits(&json!(3), &json!({"anyOf": [{"type": "string"}, {"const": 3}]})));
        assert!(fits(&json!(null), &json!({"type": "string", "nullable": true})));
        assert!(fits(&json!({"any": 1}), &json!({"type": "object"})));
    }

    #[test]
    fn what_does_not() {
        for value in [
            json!({}),
            json!([]),
            json!("hall"),
            json!({"room": 3}),
            json!({"room": ""}),
            json!({"room": "hall", "level": 101}),
            json!({"room": "hall", "level": -1}),
            json!({"room": "hall", "level": 1.5}),
            json!({"room": "hall", "level": "1"}),
            json!({"room": "hall", "mode": "dusk"}),
            json!({"room": "hall", "tags": ["a", 1]}),
            json!({"room": "hall", "tags": ["a", "b", "c"]}),
            json!({"room": "hall", "after": "1"}),
            json!({"room": "hall", "on": 1}),
            json!({"room": "hall", "colour": "red"}),
        ] {
            assert!(!fits(&value, &lamp()), "{value}");
        }
        assert!(!fits(&json!(3), &json!({"type": "unheard-of"})));
        assert!(!fits(&json!(3), &json!(false)));
    }
}
