//! Whether a JSON Schema is one: every keyword that is known has the form that it must have. It must not know what schemas are for.

use serde_json::Value;

use crate::error::ApiError;
use crate::wire::fields::At;

/// Schemas inside schemas.
const DEPTH_MAX: usize = 64;
/// The names of JSON's types.
const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "object", "array", "null"];

/// What is malformed in a schema of an answer.
const ANSWER: &str = "invalid_json_schema";
/// What is malformed in a schema of what a function takes.
const FUNCTION: &str = "invalid_function_parameters";

/// A schema of an answer, which may be a list or a text as well as an object.
///
/// # Errors
/// The first keyword that is malformed, with its path.
pub(crate) fn of_answer(at: At<'_>) -> Result<Value, ApiError> {
    let read = if at.value.is_object() { read_schema(at) } else { read_object_schema(at) };
    read.map_err(|error| ApiError { code: Some(ANSWER), ..error })
}

/// A schema of what a function takes.
///
/// # Errors
/// The first keyword that is malformed, with its path.
pub(crate) fn of_function(at: At<'_>) -> Result<Value, ApiError> {
    read_object_schema(at).map_err(|error| ApiError { code: Some(FUNCTION), ..error })
}

fn read_object_schema(at: At<'_>) -> Result<Value, ApiError> {
    let value = at.value.clone();
    let Some(object) = value.as_object() else { return Err(refused(&at, "an object that is a JSON Schema")) };
    if object.get("type").is_some_and(|kind| kind.is_string() && kind != "object") {
        let kind = At { value: &object["type"], path: format!("{}.type", at.path) };
        return Err(refused(&kind, "\"object\""));
    }
    check(&at, 0)?;
    Ok(value)
}

/// A schema of any kind.
///
/// # Errors
/// The first keyword that is malformed, with its path.
pub(crate) fn read_schema(at: At<'_>) -> Result<Value, ApiError> {
    check(&at, 0)?;
    Ok(at.value.clone())
}

fn check(at: &At<'_>, depth: usize) -> Result<(), ApiError> {
    if at.value.is_boolean() {
        return Ok(());
    }
    let Some(object) = at.value.as_object() else { return Err(refused(at, "an object or a boolean")) };
    if depth == DEPTH_MAX {
        return Err(refused(at, &format!("at most {DEPTH_MAX} schemas inside each other")));
    }
    for (keyword, value) in object {
        let inner = At { value, path: format!("{}.{keyword}", at.path) };
        check_keyword(keyword, &inner, depth + 1)?;
    }
    Ok(())
}

fn check_keyword(keyword: &str, at: &At<'_>, depth: usize) -> Result<(), ApiError> {
    match keyword {
        "type" => check_type(at),
        "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => {
            let Some(schemas) = at.value.as_object() else { return Err(refused(at, "an object of schemas")) };
            let named = |(name, value)| check(&At { value, path: format!("{}.{name}", at.path) }, depth);
            schemas.iter().try_for_each(named)
        }
        "anyOf" | "oneOf" | "allOf" | "prefixItems" => {
            if at.value.as_array().is_none_or(Vec::is_empty) {
                return Err(refused(at, "an array of schemas, one at least"));
            }
            check_each(at, depth)
        }
        // Before 2020 an array here meant what `prefixItems` means now.
        "items" if at.value.is_array() => check_each(at, depth),
        "items"
        | "additionalProperties"
        | "additionalItems"
        | "not"
        | "if"
        | "then"
        | "else"
        | "contains"
        | "propertyNames"
        | "unevaluatedItems"
        | "unevaluatedProperties" => check(at, depth),
        "required" => {
            let names = at.value.as_array().filter(|names| names.iter().all(Value::is_string));
            names.map(|_| ()).ok_or_else(|| refused(at, "an array of names"))
        }
        "enum" => at.value.as_array().map(|_| ()).ok_or_else(|| refused(at, "an array of values")),
        "$ref" | "pattern" | "$anchor" | "$dynamicRef" => {
            at.value.as_str().map(|_| ()).ok_or_else(|| refused(at, "a string"))
        }
        "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" | "minContains"
        | "maxContains" => {
            let whole = at.value.as_f64().filter(|number| *number >= 0.0 && number.fract() == 0.0);
            whole.map(|_| ()).ok_or_else(|| refused(at, "an integer from 0"))
        }
        "minimum" | "maximum" | "multipleOf" => at.value.as_f64().map(|_| ()).ok_or_else(|| refused(at, "a number")),
        _ => Ok(()),
    }
}

fn check_each(at: &At<'_>, depth: usize) -> Result<(), ApiError> {
    at.clone().array()?.try_for_each(|element| check(&element, depth))
}

fn check_type(at: &At<'_>) -> Result<(), ApiError> {
    let known = |kind: &Value| kind.as_str().is_some_and(|kind| TYPES.contains(&kind));
    let good = known(at.value) || at.value.as_array().is_some_and(|kinds| !kinds.is_empty() && kinds.iter().all(known));
    if good { Ok(()) } else { Err(refused(at, &format!("one of {}, or an array of them", TYPES.join(", ")))) }
}

fn refused(at: &At<'_>, what: &str) -> ApiError {
    ApiError { code: Some("invalid_schema"), ..at.expected(what) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(schema: &Value) -> String {
        read_object_schema(At { value: schema, path: "parameters".to_owned() }).unwrap_err().param.unwrap()
    }

    #[test]
    fn good_schemas_pass_unchanged() {
        let schema = json!({
            "type": "object",
            "properties": {
                "city": { "type": ["string", "null"], "minLength": 1 },
                "rows": { "type": "array", "items": { "$ref": "#/$defs/row" } },
                "type": { "enum": [1, "a", null] },
            },
            "required": ["city"], "additionalProperties": false,
            "$defs": { "row": { "anyOf": [true, { "const": 3 }] } }, "x-ours": 7,
        });
        assert_eq!(read_object_schema(At { value: &schema, path: String::new() }).unwrap(), schema);
        assert!(read_object_schema(At { value: &json!({}), path: String::new() }).is_ok());
    }

    #[test]
    fn the_path_of_what_is_malformed_is_told() {
        assert_eq!(refusal(&json!([])), "parameters");
        assert_eq!(refusal(&json!({ "type": "array" })), "parameters.type");
        assert_eq!(refusal(&json!({ "type": "objekt" })), "parameters.type");
        assert_eq!(refusal(&json!({ "properties": { "a": { "type": "text" } } })), "parameters.properties.a.type");
        assert_eq!(refusal(&json!({ "anyOf": [{ "items": 3 }] })), "parameters.anyOf[0].items");
        assert_eq!(refusal(&json!({ "required": ["a", 1] })), "parameters.required");
        assert_eq!(refusal(&json!({ "properties": [] })), "parameters.properties");
    }

    #[test]
    fn endless_nesting_ends() {
        let mut schema = json!({});
        for _ in 0..DEPTH_MAX + 1 {
            schema = json!({ "not": schema });
        }
        assert!(refusal(&schema).ends_with(".not"));
    }
}
