//! Puts a JSON Schema in the terms that have a TypeScript rendering: the official library writes `any` for references,
//! `anyOf`, `allOf` and `const`, and a model that is told `any` guesses. Only the prompt is rewritten: what a tool's
//! arguments are checked against stays the schema as given.

use serde_json::{Map, Value, json};

/// A schema nests at most so deep, references followed; below stands `any`.
const DEPTH_MAX: usize = 48;

/// A resolved schema has at most so many subschemas: references can multiply without being cyclic.
const SCHEMAS_MAX: usize = 4096;

/// Bytes of what references bring in; what is beyond is `any`. Prompts are shorter by far.
const COPIED_BYTES_MAX: usize = 4 << 20;

/// The schema without references, `anyOf`, `allOf` and `const`, as far as they can be put otherwise.
pub(super) fn resolve(schema: &Value) -> Value {
    let mut resolver = Resolver { root: schema, schemas_left: SCHEMAS_MAX, bytes_left: COPIED_BYTES_MAX };
    resolver.resolve(schema, &mut Vec::new(), 0)
}

struct Resolver<'a> {
    root: &'a Value,
    schemas_left: usize,
    /// What references may still bring in.
    bytes_left: usize,
}

impl<'a> Resolver<'a> {
    /// `trail` holds the references being followed, so that a cycle is seen.
    fn resolve(&mut self, schema: &'a Value, trail: &mut Vec<&'a str>, depth: usize) -> Value {
        let Value::Object(fields) = schema else { return schema.clone() };
        if !trail.is_empty() {
            // What stands in a schema once may be referred to thousands of times.
            let Some(left) = self.bytes_left.checked_sub(own_bytes(fields)) else { return Value::Object(Map::new()) };
            self.bytes_left = left;
        }
        if depth > DEPTH_MAX || self.schemas_left == 0 {
            return described_any(fields);
        }
        self.schemas_left -= 1;
        let mut resolved = match fields.get("$ref") {
            Some(reference) => match self.follow(reference, trail, depth) {
                Some(target) => target,
                None => return described_any(fields),
            },
            None => Map::new(),
        };
        for (key, value) in fields {
            match (key.as_str(), value) {
                ("$ref" | "allOf" | "anyOf" | "const" | "$defs" | "definitions", _) => {}
                ("properties", Value::Object(properties)) => {
                    let own = properties
                        .iter()
                        .map(|(name, property)| (name.clone(), self.resolve(property, trail, depth + 1)));
                    let own: Map<String, Value> = own.collect();
                    merge_properties(&mut resolved, own);
                }
                ("items", items) => _ = resolved.insert(key.clone(), self.resolve(items, trail, depth + 1)),
                ("oneOf", Value::Array(variants)) => {
                    let variants = self.resolve_all(variants, trail, depth);
                    resolved.insert(key.clone(), Value::Array(variants));
                }
                _ => _ = resolved.insert(key.clone(), value.clone()),
            }
        }
        if let Some(Value::Array(parts)) = fields.get("allOf") {
            let parts = self.resolve_all(parts, trail, depth);
            merge_all(&mut resolved, parts);
        }
        if let Some(Value::Array(variants)) = fields.get("anyOf")
            && !resolved.contains_key("oneOf")
        {
            let variants = self.resolve_all(variants, trail, depth);
            one_of(&mut resolved, variants);
        }
        if let Some(value) = fields.get("const") {
            resolved.insert("enum".to_owned(), json!([value]));
        }
        name_type(&mut resolved);
        Value::Object(resolved)
    }

    fn resolve_all(&mut self, schemas: &'a [Value], trail: &mut Vec<&'a str>, depth: usize) -> Vec<Value> {
        schemas.iter().map(|schema| self.resolve(schema, trail, depth + 1)).collect()
    }

    /// What a reference within the schema stands for; nothing if it is cyclic, leads outside or nowhere.
    fn follow(&mut self, reference: &'a Value, trail: &mut Vec<&'a str>, depth: usize) -> Option<Map<String, Value>> {
        let reference = reference.as_str()?;
        if trail.contains(&reference) {
            return None;
        }
        let target = self.root.pointer(reference.strip_prefix('#')?).filter(|target| target.is_object())?;
        trail.push(reference);
        let resolved = self.resolve(target, trail, depth + 1);
        trail.pop();
        match resolved {
            Value::Object(fields) => Some(fields),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
        }
    }
}

/// About how much memory a schema takes without those inside it, which are counted when it is their turn.
fn own_bytes(fields: &Map<String, Value>) -> usize {
    let inner = ["properties", "items", "oneOf", "allOf", "anyOf", "$defs", "definitions"];
    let of = |(key, value): (&String, &Value)| match value {
        Value::Object(schemas) if inner.contains(&key.as_str()) => schemas.keys().map(String::len).sum(),
        Value::Array(_) if inner.contains(&key.as_str()) => 0,
        value => bytes(value),
    };
    fields.iter().map(of).sum()
}

fn bytes(value: &Value) -> usize {
    let inner = match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(bytes).sum(),
        Value::Object(fields) => fields.iter().map(|(key, value)| key.len() + bytes(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    inner + size_of::<Value>()
}

/// What is left of a schema that can not be followed: it may be anything, and its comments.
fn described_any(fields: &Map<String, Value>) -> Value {
    let kept = ["title", "description", "default"];
    fields
        .iter()
        .filter(|(key, _)| kept.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn merge_properties(schema: &mut Map<String, Value>, properties: Map<String, Value>) {
    match schema.get_mut("properties") {
        Some(Value::Object(present)) => present.extend(properties),
        _ => _ = schema.insert("properties".to_owned(), Value::Object(properties)),
    }
}

/// Merges the parts of `allOf` where that is plain: properties and required names are united, of any other field the
/// first wins. Parts of different types can not all hold, so they are left out.
fn merge_all(schema: &mut Map<String, Value>, parts: Vec<Value>) {
    for part in parts {
        let Value::Object(part) = part else { continue };
        if let (Some(one), Some(other)) = (schema.get("type"), part.get("type"))
            && one != other
        {
            continue;
        }
        for (key, value) in part {
            match (key.as_str(), value) {
                ("properties", Value::Object(properties)) => merge_properties(schema, properties),
                ("required", Value::Array(names)) => match schema.get_mut("required") {
                    Some(Value::Array(present)) => present.extend(names),
                    _ => _ = schema.insert(key, Value::Array(names)),
                },
                (_, value) => _ = schema.entry(key).or_insert(value),
            }
        }
    }
}

/// `anyOf` as `oneOf`; one type or null, the usual way to write an optional value, as that type with `| null`.
fn one_of(schema: &mut Map<String, Value>, variants: Vec<Value>) {
    let is_null = |variant: &Value| variant["type"] == json!(["null"]);
    let (nulls, mut others): (Vec<Value>, Vec<Value>) = variants.into_iter().partition(is_null);
    match (others.as_mut_slice(), nulls.first()) {
        ([Value::Object(only)], null) => {
            let only = std::mem::take(only);
            for (key, value) in only {
                schema.entry(key).or_insert(value);
            }
            if null.is_some() {
                schema.insert("nullable".to_owned(), Value::Bool(true));
            }
        }
        (_, null) => {
            others.extend(null.cloned());
            schema.insert("oneOf".to_owned(), Value::Array(others));
        }
    }
}

/// Gives an enumeration of one type its type, and writes the type null as the list that is rendered as `null`.
fn name_type(schema: &mut Map<String, Value>) {
    if !schema.contains_key("type")
        && let Some(Value::Array(values)) = schema.get("enum")
    {
        let name = |value: &Value| match value {
            Value::String(_) => Some("string"),
            Value::Number(_) => Some("number"),
            Value::Bool(_) => Some("boolean"),
            Value::Null => Some("null"),
            Value::Array(_) | Value::Object(_) => None,
        };
        let first = values.first().and_then(name);
        if let Some(first) = first.filter(|first| values.iter().all(|value| name(value) == Some(first))) {
            schema.insert("type".to_owned(), json!(first));
        }
    }
    if schema.get("type") == Some(&json!("null")) {
        schema.insert("type".to_owned(), json!(["null"]));
    }
}
