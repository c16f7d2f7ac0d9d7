//! Random fields of JSON objects: a key, a type, a value, and the words that tell it. Functions' arguments and structured
//! answers are made of them. It must not know which of the two it makes.

mod stock;

use serde_json::{Map, Value, json};

use super::invented;
use super::wording::one;
use crate::draw::Draw;
pub(super) use stock::{Kind, NAMES, value};

/// One field of an object.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) key: String,
    /// The key as people say it.
    pub(super) spoken: String,
    pub(super) kind: Kind,
    pub(super) is_required: bool,
    pub(super) description: Option<String>,
}

impl Field {
    /// A field from the stock of usual ones, or with an invented key.
    pub(super) fn random(draw: &mut Draw) -> Self {
        let (key, kind) = if draw.chance(65) {
            let (key, kind) = one(draw, &stock::FIELDS);
            let owner = draw.pick(&stock::OWNERS);
            let is_owned = draw.chance(25) && !key.contains(owner);
            let key = if is_owned { format!("{owner}_{key}") } else { (*key).to_owned() };
            (key, kind.clone())
        } else {
            let key = if draw.chance(30) {
                format!("{}_{}", draw.pick(&stock::OWNERS), invented::word(draw))
            } else {
                invented::word(draw)
            };
            (key, stock::random_kind(draw))
        };
        let spoken = key.replace('_', " ");
        let key = if draw.chance(12) { camel_case(&key) } else { key };
        let description = draw.chance(45).then(|| match draw.below(3) {
            0 => format!("The {spoken}."),
            1 => format!("The {spoken} to use."),
            _ => match &kind {
                Kind::Choice(_) | Kind::InventedChoice(_) | Kind::Boolean => format!("Which {spoken}."),
                other => format!("The {spoken}, e.g. {}.", plain(&value(draw, other))),
            },
        });
        Self { key, spoken, kind, is_required: true, description }
    }

    /// Fields whose keys differ.
    pub(super) fn several(draw: &mut Draw, count: usize) -> Vec<Self> {
        let mut fields: Vec<Self> = Vec::with_capacity(count);
        while fields.len() < count {
            let field = Self::random(draw);
            if fields.iter().all(|other| !other.spoken.contains(&field.spoken) && !field.spoken.contains(&other.spoken))
            {
                fields.push(field);
            }
        }
        fields
    }

    /// The field as a declaration shows it: `size?: "small" | "large"`.
    pub(super) fn declared(&self) -> String {
        format!("{}{}: {}", self.key, if self.is_required { "" } else { "?" }, self.kind.declared())
    }

    pub(super) fn schema(&self) -> Value {
        let mut schema = self.kind.schema();
        if let Some(description) = &self.description {
            schema["description"] = json!(description);
        }
        schema
    }
}

/// The schema of an object with these fields.
pub(super) fn object_schema(fields: &[Field]) -> Value {
    let properties: Map<String, Value> = fields.iter().map(|field| (field.key.clone(), field.schema())).collect();
    let required: Vec<&str> = fields.iter().filter(|field| field.is_required).map(|field| field.key.as_str()).collect();
    json!({"type": "object", "properties": properties, "required": required})
}

/// A field's value as the JSON that an answer copies, or `none`.
pub(super) fn json_or_none(values: &Map<String, Value>, field: &Field) -> String {
    values.get(&field.key).map_or_else(|| "none".to_owned(), Value::to_string)
}

/// A value as a thought and a person write it: without quotes, lists with commas.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| format!("{key} {}", plain(value))).collect::<Vec<_>>().join(", ")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// A value in a natural text: days, languages and the like often have a capital.
pub(super) fn natural(draw: &mut Draw, kind: &Kind, value: &Value) -> String {
    let text = plain(value);
    let may_be_capital = matches!(kind, Kind::Choice(_)) && stock::PROPER.contains(&text.as_str());
    if may_be_capital && draw.chance(50) { invented::capitalized(&text) } else { text }
}

/// A value as a person says it: yes and no, and `and` before a list's last.
fn spoken(value: &Value) -> String {
    match value {
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(values) => and_list(&values.iter().map(plain).collect::<Vec<_>>()),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Object(_) => plain(value),
    }
}

/// Fields and values in one breath: `city Torvik, day monday and count 3`.
pub(super) fn listed(draw: &mut Draw, given: &[(&Field, &Value)]) -> String {
    let style = draw.below(5);
    let parts: Vec<String> = given
        .iter()
        .map(|(field, value)| {
            let (name, said) = (&field.spoken, spoken(value));
            match (style, *value) {
                (0 | 1, Value::Array(_)) => format!("{name}: {said}"),
                (0, _) => format!("{name} {said}"),
                (1, Value::String(text)) => format!("{name} \"{text}\""),
                (1, _) => format!("{name} {said}"),
                (2, _) => format!("{name}: {said}"),
                (3, _) => format!("{}: {}", field.key, plain(value)),
                (_, Value::String(text)) => format!("{}=\"{text}\"", field.key),
                _ => format!("{}={}", field.key, plain(value)),
            }
        })
        .collect();
    let has_list = given.iter().any(|(_, value)| value.is_array());
    match style {
        0 | 1 if !has_list => and_list(&parts),
        _ if has_list => parts.join("; "),
        _ => parts.join(", "),
    }
}

/// Fields and values as sentences: `The city is Torvik. The day is monday.`
pub(super) fn told(draw: &mut Draw, given: &[(&Field, &Value)]) -> String {
    let sentences: Vec<String> = given
        .iter()
        .map(|(field, value)| {
            let (name, said) = (&field.spoken, spoken(value));
            match (*value, draw.below(4)) {
                (Value::Bool(_), _) => format!("{}: {said}.", invented::capitalized(name)),
                (Value::Array(_), _) => format!("The {name} are {said}."),
                (Value::String(text), 0) => format!("The {name} is \"{text}\"."),
                (_, 1) => format!("{}: {said}.", invented::capitalized(name)),
                (_, 2) => format!("Take {said} for the {name}."),
                _ => format!("The {name} is {said}."),
            }
        })
        .collect();
    sentences.join(" ")
}

/// `red, green and blue`.
pub(super) fn and_list(values: &[String]) -> String {
    match values {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

fn camel_case(key: &str) -> String {
    let mut words = key.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |text, word| text + &invented::capitalized(word))
}
