//! Random conversations as clients write them, with any text in them, in the JSON form both sides read.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

pub(crate) fn conversation() -> impl Strategy<Value = Value> {
    prop::collection::vec(message(), 0..7).prop_map(|messages| json!({ "messages": messages }))
}

/// Any text, sometimes with spelled control tokens.
pub(crate) fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        3 => any::<String>(),
        2 => "[a-zA-Z '.,\n\t0-9]{0,40}",
        1 => "[ \t\r\n\u{a0}\u{3000}]{1,9}",
        1 => "['sStTrReEvVmMlLdDſK]{1,9}",
        1 => prop::sample::select(vec!["<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|", "system", " to=f"])
            .prop_map(str::to_owned),
    ];
    prop::collection::vec(part, 0..5).prop_map(|parts| parts.concat())
}

fn line() -> impl Strategy<Value = String> {
    "[a-zA-Z é\"'.\\\\]{0,20}"
}

fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_.-]{0,12}"
}

fn message() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => plain_message(),
        2 => system_content().prop_map(|content| json!({"role": "system", "content": [content]})),
        2 => developer_content().prop_map(|content| json!({"role": "developer", "content": [content]})),
    ]
}

fn plain_message() -> impl Strategy<Value = Value> {
    let role = prop::sample::select(vec!["user", "assistant", "assistant", "assistant", "developer", "system", "tool"]);
    let recipient = prop::option::of(prop_oneof![word(), Just("all".to_owned())]);
    let channel = prop::option::of(prop::sample::select(vec!["analysis", "commentary", "final"]));
    let kind = prop::option::of(prop::sample::select(vec!["<|constrain|>json", "json", "code", "<|constrain|>"]));
    (role, prop::option::of(word()), recipient, channel, kind, prop::collection::vec(text(), 0..3)).prop_map(
        |(role, name, recipient, channel, kind, texts)| {
            let name = if role == "tool" { Some(format!("functions.{}", name.unwrap_or_default())) } else { name };
            let parts: Vec<Value> = texts.into_iter().map(|text| json!({"type": "text", "text": text})).collect();
            let mut message = json!({"role": role, "content": parts});
            let fields = [
                ("name", name),
                ("recipient", recipient),
                ("channel", channel.map(str::to_owned)),
                ("content_type", kind.map(str::to_owned)),
            ];
            for (field, value) in fields {
                if let Some(value) = value {
                    message[field] = json!(value);
                }
            }
            message
        },
    )
}

fn system_content() -> impl Strategy<Value = Value> {
    let effort = prop::option::of(prop::sample::select(vec!["Low", "Medium", "High"]));
    let channels = prop::option::of((prop::collection::vec(word(), 0..4), any::<bool>()));
    (prop::option::of(text()), effort, prop::option::of(line()), prop::option::of(line()), channels, tools()).prop_map(
        |(identity, effort, date, cutoff, channels, tools)| {
            let channels =
                channels.map(|(names, required)| json!({"valid_channels": names, "channel_required": required}));
            json!({
                "type": "system_content", "model_identity": identity, "reasoning_effort": effort,
                "conversation_start_date": date, "knowledge_cutoff": cutoff, "channel_config": channels, "tools": tools,
            })
        },
    )
}

fn developer_content() -> impl Strategy<Value = Value> {
    (prop::option::of(text()), tools()).prop_map(
        |(instructions, tools)| json!({"type": "developer_content", "instructions": instructions, "tools": tools}),
    )
}

fn tools() -> impl Strategy<Value = Value> {
    let tool = (word(), text(), prop::option::of(schema())).prop_map(
        |(name, description, parameters)| json!({"name": name, "description": description, "parameters": parameters}),
    );
    let name = prop_oneof![Just("functions".to_owned()), word()];
    let namespace =
        (name, prop::option::of(text()), prop::collection::vec(tool, 0..3)).prop_map(|(name, description, tools)| {
            (name.clone(), json!({"name": name, "description": description, "tools": tools}))
        });
    prop::option::of(prop::collection::vec(namespace, 0..3)).prop_map(|namespaces| {
        namespaces.map_or(Value::Null, |namespaces| Value::Object(namespaces.into_iter().collect()))
    })
}

/// Schemas with every word the library knows, in any combination, sensible or not.
pub(crate) fn schema() -> impl Strategy<Value = Value> {
    let leaf = (kind(), comments()).prop_map(|(kind, comments)| with(comments, [("type", kind)]));
    let schema = prop_oneof![8 => leaf, 1 => Just(json!({})), 1 => Just(json!(true))];
    schema.prop_recursive(4, 24, 4, |inner| {
        let properties = prop::collection::vec((prop_oneof![word(), line()], inner.clone()), 0..4);
        let required = prop::collection::vec(word(), 0..3);
        let object = (properties, required, comments()).prop_map(|(properties, mut required, comments)| {
            required.extend(properties.first().map(|(name, _)| name.clone()));
            let properties: Map<String, Value> = properties.into_iter().collect();
            with(
                comments,
                [("type", json!("object")), ("properties", json!(properties)), ("required", json!(required))],
            )
        });
        let array = (inner.clone(), comments())
            .prop_map(|(items, comments)| with(comments, [("type", json!("array")), ("items", items)]));
        let variants = (prop::collection::vec(inner, 0..4), comments())
            .prop_map(|(variants, comments)| with(comments, [("oneOf", json!(variants))]));
        prop_oneof![object, array, variants]
    })
}

fn kind() -> impl Strategy<Value = Value> {
    let names = || {
        prop::sample::select(vec!["string", "string", "number", "integer", "boolean", "array", "object", "null", "odd"])
    };
    prop_oneof![5 => names().prop_map(Value::from), 1 => prop::collection::vec(names(), 0..3).prop_map(Value::from)]
}

/// Fields that any schema may have. Whole numbers only: writers of JSON differ in the layout of large fractions.
fn comments() -> impl Strategy<Value = Map<String, Value>> {
    let value = || {
        prop_oneof![
            line().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            Just(Value::Null),
            Just(json!(1.5)),
            Just(json!({"b": [1], "a": "é"}))
        ]
    };
    (
        prop::option::weighted(0.3, line()),
        prop::option::weighted(0.2, line()),
        prop::option::weighted(0.3, value()),
        prop::option::weighted(0.3, prop::collection::vec(value(), 0..3)),
        prop::option::weighted(0.2, prop::collection::vec(value(), 0..3)),
        prop::option::weighted(0.2, any::<bool>()),
    )
        .prop_map(|(description, title, default, values, examples, nullable)| {
            let fields = [
                ("description", description.map(Value::from)),
                ("title", title.map(Value::from)),
                ("default", default),
                ("enum", values.map(Value::from)),
                ("examples", examples.map(Value::from)),
                ("nullable", nullable.map(Value::from)),
            ];
            fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
        })
}

fn with<const COUNT: usize>(mut fields: Map<String, Value>, more: [(&str, Value); COUNT]) -> Value {
    fields.extend(more.map(|(name, value)| (name.to_owned(), value)));
    Value::Object(fields)
}
