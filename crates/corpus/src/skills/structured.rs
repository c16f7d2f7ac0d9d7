//! A final answer that is JSON in the form of a random schema, filled from the user's words. It must not know how a model is
//! judged beyond the item's checks.

mod forms;

use harmony::{Conversation, DeveloperContent, ReasoningEffort, ResponseFormat};
use serde_json::{Map, Value, json};

use super::fields::{Field, Kind, and_list, json_or_none, listed, natural, object_schema, plain, told, value};
use super::{effort, invented, system};
use crate::draw::Draw;
use crate::item::{Check, Item, Skill};

pub(super) fn draw(draw: &mut Draw) -> Item {
    let effort = effort(draw);
    let case = if draw.chance(30) { forms::case(draw) } else { random_case(draw) };
    let format = ResponseFormat {
        name: case.name.clone(),
        description: draw.chance(40).then(|| draw.pick(&DESCRIPTIONS).to_owned()),
        schema: schema(draw, &case.fields),
    };
    let developer = DeveloperContent::default().with_response_format(format);
    let developer = if draw.chance(50) { developer.with_instructions(draw.pick(&INSTRUCTIONS)) } else { developer };
    let answer = Value::Object(case.values.clone());
    let conversation = Conversation::default()
        .with_system(system(draw, effort))
        .with_developer(developer)
        .with_user(case.text.clone())
        .with_assistant("analysis", case.thought(effort))
        .with_assistant("final", answer.to_string());
    Item { skill: Skill::Structured, effort, conversation, checks: vec![Check::Json(answer)] }
}

/// A form, and a text that fills it.
struct Case {
    name: String,
    fields: Vec<Field>,
    /// In the order of the fields; optional ones may be absent.
    values: Map<String, Value>,
    text: String,
}

impl Case {
    fn thought(&self, effort: ReasoningEffort) -> String {
        // Every field of the form in its order, so that none is forgotten or invented; the values as JSON already, so that the
        // answer copies them.
        let filled = |between: &str, after: &str| {
            let one = |field: &Field| format!("{}{between}{}", field.key, json_or_none(&self.values, field));
            self.fields.iter().map(one).collect::<Vec<_>>().join(after)
        };
        let absent: Vec<&str> = self
            .fields
            .iter()
            .filter(|field| !self.values.contains_key(&field.key))
            .map(|field| field.key.as_str())
            .collect();
        let absent = if absent.is_empty() { "nothing".to_owned() } else { absent.join(", ") };
        match effort {
            ReasoningEffort::Low => format!("{}.", filled(" ", ", ")),
            ReasoningEffort::Medium => format!("I fill in {} as JSON.\n{}", self.name, filled(": ", "\n")),
            ReasoningEffort::High => {
                let kinds: Vec<String> = self
                    .fields
                    .iter()
                    .filter(|field| self.values.contains_key(&field.key))
                    .map(|field| format!("{} is {}", field.key, kind_name(&field.kind)))
                    .collect();
                format!(
                    "I fill in {} as JSON.\n{}\nCheck: {}. Left out: {absent}.",
                    self.name,
                    filled(": ", "\n"),
                    kinds.join(", ")
                )
            }
        }
    }
}

const INSTRUCTIONS: [&str; 7] = [
    "Answer in JSON.",
    "Answer only with JSON in the form below.",
    "Read the text of the user and fill in the form.",
    "Put the facts into the form.",
    "You turn text into JSON.",
    "You are a helpful assistant.",
    "Write no other text than JSON.",
];

const DESCRIPTIONS: [&str; 4] =
    ["What the text says.", "The facts of the text.", "One entry.", "The form of the answer."];

fn random_case(draw: &mut Draw) -> Case {
    let count = draw.between(2, 5) as usize;
    let mut fields = Field::several(draw, count);
    if draw.chance(12) {
        let inner = Field::several(draw, 2).into_iter().map(|field| Field { description: None, ..field }).collect();
        let key = invented::word(draw);
        fields.push(Field {
            spoken: key.clone(),
            key,
            kind: Kind::Object(inner),
            is_required: true,
            description: None,
        });
    }
    if draw.chance(15) {
        let last = fields.len() - 1;
        fields[last].is_required = false;
    }
    let values: Vec<Value> = fields.iter().map(|field| value(draw, &field.kind)).collect();
    let is_given: Vec<bool> = fields.iter().map(|field| field.is_required || draw.chance(40)).collect();
    let mut given: Vec<(&Field, &Value)> =
        fields.iter().zip(&values).zip(&is_given).filter(|(_, is_given)| **is_given).map(|(pair, _)| pair).collect();
    let values = given.iter().map(|(field, value)| (field.key.clone(), (*value).clone())).collect();
    draw.shuffle(&mut given);
    let name = if draw.chance(50) { draw.pick(&NAMES).to_owned() } else { invented::word(draw) };
    let text = text(draw, &name, &given);
    Case { name, fields, values, text }
}

const NAMES: [&str; 10] =
    ["entry", "report", "person", "order", "answer", "result", "record", "thing", "facts", "data"];

fn text(draw: &mut Draw, name: &str, given: &[(&Field, &Value)]) -> String {
    let (flat, nested): (Vec<_>, Vec<_>) = given.iter().partition(|(_, value)| !value.is_object());
    let mut text = match draw.below(6) {
        0 => format!("Here are the facts: {}.", listed(draw, &flat)),
        1 => format!("New {name}: {}.", listed(draw, &flat)),
        2 => format!("Please fill in the {name}. {}", told(draw, &flat)),
        3 => format!("{} Write it as JSON.", told(draw, &flat)),
        4 => format!("I have a new {name}. {}", told(draw, &flat)),
        _ => told(draw, &flat),
    };
    for (field, value) in nested {
        let Kind::Object(inner) = &field.kind else { unreachable!("an object's kind has its fields") };
        let pairs: Vec<(&Field, &Value)> = inner.iter().map(|inner| (inner, &value[&inner.key])).collect();
        let telling = match draw.below(2) {
            0 => format!(" The {} has: {}.", field.spoken, listed(draw, &pairs)),
            _ => format!(" About the {}: {}", field.spoken, told(draw, &pairs)),
        };
        text.push_str(&telling);
    }
    text
}

/// Some interfaces close their schemas, others do not.
fn schema(draw: &mut Draw, fields: &[Field]) -> Value {
    let mut schema = object_schema(fields);
    if draw.chance(50) {
        schema["additionalProperties"] = json!(false);
    }
    schema
}

fn kind_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Name | Kind::Place | Kind::Code | Kind::Words | Kind::Message => "text",
        Kind::Integer(..) => "a whole number",
        Kind::Number => "a number",
        Kind::Boolean => "true or false",
        Kind::Choice(_) | Kind::InventedChoice(_) => "one of the choices",
        Kind::Names | Kind::Integers => "a list",
        Kind::Object(_) => "an object",
    }
}

/// A text of a usual form: its places are filled by the fields' keys, and what has no place is not given.
fn filled(draw: &mut Draw, name: &str, fields: Vec<Field>, texts: &[&'static str]) -> Case {
    let template = draw.pick(texts);
    let (mut text, mut values) = (template.to_owned(), Map::new());
    for field in &fields {
        let place = format!("{{{}}}", field.key);
        if !template.contains(&place) {
            continue;
        }
        let value = value(draw, &field.kind);
        let told = match &value {
            Value::Array(values) => and_list(&values.iter().map(plain).collect::<Vec<_>>()),
            _ => natural(draw, &field.kind, &value),
        };
        text = text.replace(&place, &told);
        values.insert(field.key.clone(), value);
    }
    Case { name: name.to_owned(), fields, values, text }
}
