//! JSON Schema to the TypeScript notation the model was trained on, quirks included: every space counts.

use serde_json::Value;

use super::json_text::json_text;

/// The type of a schema. Lines after the first begin with `indent`.
pub(super) fn type_text(schema: &Value, indent: &str) -> String {
    if let Some(variants) = list(schema, "oneOf") {
        return variants.iter().map(|variant| format!("\n{indent} | {}", variant_text(variant, indent))).collect();
    }
    if let Some(types) = list(schema, "type") {
        let names: Vec<&str> = types
            .iter()
            .filter_map(Value::as_str)
            .map(|name| if name == "integer" { "number" } else { name })
            .collect();
        if !names.is_empty() {
            return names.join(" | ");
        }
    }
    match string(schema, "type") {
        Some("object") => object_text(schema, indent),
        Some("string") => string_text(schema),
        Some("number" | "integer") => "number".to_owned(),
        Some("boolean") => "boolean".to_owned(),
        Some("array") => match schema.get("items") {
            Some(items) => format!("{}[]", type_text(items, indent)),
            None => "Array<any>".to_owned(),
        },
        _ => "any".to_owned(),
    }
}

fn list<'a>(schema: &'a Value, key: &str) -> Option<&'a Vec<Value>> {
    schema.get(key)?.as_array()
}

fn string<'a>(schema: &'a Value, key: &str) -> Option<&'a str> {
    schema.get(key)?.as_str()
}

fn string_text(schema: &Value) -> String {
    let values = list(schema, "enum").into_iter().flatten().filter_map(Value::as_str);
    let values: Vec<String> = values.map(|value| format!("\"{value}\"")).collect();
    if values.is_empty() { "string".to_owned() } else { values.join(" | ") }
}

fn object_text(schema: &Value, indent: &str) -> String {
    let mut text = String::new();
    if let Some(description) = string(schema, "description") {
        text.push_str(&format!("{indent}// {description}\n"));
    }
    text.push_str("{\n");
    let required: Vec<&str> = list(schema, "required").into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let mark = if required.contains(&name.as_str()) { "" } else { "?" };
        property_text(&format!("{name}{mark}"), property, indent, &mut text);
    }
    text.push_str(&format!("{indent}}}"));
    text
}

fn property_text(name: &str, property: &Value, indent: &str, text: &mut String) {
    if let Some(title) = string(property, "title") {
        text.push_str(&format!("{indent}// {title}\n{indent}//\n"));
    }
    let has_variants = property.get("oneOf").is_some();
    if let Some(description) = string(property, "description").filter(|_| !has_variants) {
        text.push_str(&format!("{indent}// {description}\n"));
    }
    if let Some(examples) = list(property, "examples").filter(|examples| !examples.is_empty()) {
        text.push_str(&format!("{indent}// Examples:\n"));
        for example in examples.iter().filter_map(Value::as_str) {
            text.push_str(&format!("{indent}// - \"{example}\"\n"));
        }
    }
    if let Some(variants) = list(property, "oneOf") {
        return variants_text(name, property, variants, indent, text);
    }
    let nested = format!("{indent}    ");
    text.push_str(&format!("{indent}{name}: {},", nullable_text(property, &nested)));
    if let Some(default) = default_text(property).filter(|_| !has_variants) {
        text.push_str(&format!(" // {default}"));
    }
    text.push('\n');
}

/// A property that is one of several: a line for each. A description shared with the first variant is written once.
fn variants_text(name: &str, property: &Value, variants: &[Value], indent: &str, text: &mut String) {
    let description = string(property, "description");
    let of_first = variants.first().and_then(|variant| string(variant, "description"));
    let above = description.filter(|description| Some(*description) != of_first);
    if let Some(description) = above {
        text.push_str(&format!("{indent}// {description}\n"));
    }
    if let Some(default) = default_text(property) {
        text.push_str(&format!("{indent}// {default}\n"));
    }
    text.push_str(&format!("{indent}{name}:\n"));
    let nested = format!("{indent}   ");
    for (index, variant) in variants.iter().enumerate() {
        text.push_str(&format!("{indent} | {}", nullable_text(variant, &nested)));
        let own = string(variant, "description").filter(|own| Some(*own) != description);
        let own = own.filter(|_| index > 0 || above.is_none()).map(str::to_owned);
        push_comment(own, default_text(variant), text);
        text.push('\n');
    }
    text.push_str(&format!("{indent},\n"));
}

/// A variant outside of a property. Here the library quotes the default of an enumeration too.
fn variant_text(variant: &Value, indent: &str) -> String {
    let mut text = nullable_text(variant, &format!("{indent}   "));
    let default = match variant.get("default") {
        Some(Value::String(_)) if !is_enumeration(variant) => default_text(variant),
        default => default.map(|default| format!("default: {}", json_text(default))),
    };
    push_comment(string(variant, "description").map(str::to_owned), default, &mut text);
    text
}

fn push_comment(description: Option<String>, default: Option<String>, text: &mut String) {
    let parts: Vec<String> = [description, default].into_iter().flatten().collect();
    if !parts.is_empty() {
        text.push_str(&format!(" // {}", parts.join(" ")));
    }
}

fn nullable_text(schema: &Value, indent: &str) -> String {
    let text = type_text(schema, indent);
    let nullable = schema.get("nullable").and_then(Value::as_bool) == Some(true);
    if nullable && !text.contains("null") { format!("{text} | null") } else { text }
}

/// Strings are quoted unless they are one of an enumeration; everything else is compact JSON.
fn default_text(schema: &Value) -> Option<String> {
    Some(match schema.get("default")? {
        Value::String(default) if is_enumeration(schema) => format!("default: {default}"),
        Value::String(default) => format!("default: \"{default}\""),
        default @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            format!("default: {}", json_text(default))
        }
    })
}

fn is_enumeration(schema: &Value) -> bool {
    list(schema, "enum").is_some_and(|values| !values.is_empty())
}
