//! A user's request for a function: the words, the arguments, the thought, the call, and what may come of it. It must not
//! know what stands around it.

use harmony::{Message, ReasoningEffort};
use serde_json::{Map, Value, json};

use super::super::fields::{Field, Kind, and_list, json_or_none, listed, natural, plain, told, value};
use super::super::wording::said;
use super::super::{invented, wording};
use super::declared::Function;
use super::known::Known;
use crate::draw::Draw;

/// A request with the arguments it gives.
pub(in super::super) struct Request {
    pub(in super::super) function: Function,
    pub(in super::super) ask: String,
    /// The given fields' values, in the schema's order.
    pub(in super::super) arguments: Map<String, Value>,
}

/// What came of a call.
pub(super) struct Outcome {
    pub(super) result: String,
    pub(super) thought: String,
    pub(super) answer: String,
    pub(super) says: String,
}

impl Request {
    /// A request that gives all that is required.
    pub(in super::super) fn draw(draw: &mut Draw, function: &Function) -> Self {
        let values: Vec<Value> = function.fields.iter().map(|field| value(draw, &field.kind)).collect();
        let (ask, is_given) = match function.known {
            Some(known) => asked(draw, known, function, &values),
            None => {
                let is_given: Vec<bool> =
                    function.fields.iter().map(|field| field.is_required || draw.chance(45)).collect();
                (random_ask(draw, function, &values, &is_given), is_given)
            }
        };
        let given = function.fields.iter().zip(values).zip(is_given).filter(|(_, is_given)| *is_given);
        let arguments = given.map(|((field, value), _)| (field.key.clone(), value)).collect();
        Self { function: function.clone(), ask: said(draw, &ask), arguments }
    }

    /// A request that gives all but one required field, and that field; nothing if no field is required.
    pub(super) fn without_one(draw: &mut Draw, function: &Function) -> Option<(Self, Field)> {
        let required: Vec<usize> =
            (0..function.fields.len()).filter(|&index| can_be_asked(&function.fields[index])).collect();
        let missing = *required.get(draw.below(required.len().max(1)))?;
        let values: Vec<Value> = function.fields.iter().map(|field| value(draw, &field.kind)).collect();
        let is_given: Vec<bool> = function
            .fields
            .iter()
            .enumerate()
            .map(|(index, field)| index != missing && (field.is_required || draw.chance(45)))
            .collect();
        let ask = random_ask(draw, function, &values, &is_given);
        let given = function.fields.iter().zip(values).zip(is_given).filter(|(_, is_given)| *is_given);
        let arguments = given.map(|((field, value), _)| (field.key.clone(), value)).collect();
        let request = Self { function: function.clone(), ask: said(draw, &ask), arguments };
        Some((request, function.fields[missing].clone()))
    }

    pub(in super::super) fn thought(&self, effort: ReasoningEffort) -> String {
        let Function { name, act, fields, .. } = &self.function;
        let found = format!("{} It fits.{}", compared(act, &self.function), self.filled_in());
        match effort {
            ReasoningEffort::Low => found,
            ReasoningEffort::Medium => format!("{found}\nAll that is required is there, so I call {name}."),
            ReasoningEffort::High => {
                let keys = |is_wanted: &dyn Fn(&&Field) -> bool| {
                    let keys: Vec<String> = fields.iter().filter(is_wanted).map(|field| field.key.clone()).collect();
                    if keys.is_empty() { "nothing".to_owned() } else { and_list(&keys) }
                };
                let required = keys(&|field| field.is_required);
                let absent = keys(&|field| !self.arguments.contains_key(&field.key));
                format!(
                    "{found}\nRequired: {required}. Left out: {absent}. All that is required is there, so I call {name} \
                     with the values as they were given."
                )
            }
        }
    }

    /// The function as it is declared, each field with its value as JSON or `none`. So the first field is found behind the
    /// function's own name and none of another is taken, the types are settled, the closing bracket says that none was left
    /// out, and the call copies what stands here.
    pub(super) fn filled_in(&self) -> String {
        let Function { name, fields, .. } = &self.function;
        if fields.is_empty() {
            return format!("\n{name} = ()");
        }
        let line = |field: &Field| format!("{} = {}\n", field.declared(), json_or_none(&self.arguments, field));
        let lines: String = fields.iter().map(line).collect();
        format!("\n{name} = (_: {{\n{lines}}})")
    }

    pub(in super::super) fn call(&self) -> Message {
        super::call(&self.function, &Value::Object(self.arguments.clone()))
    }

    /// What the call will do, with a value where that is natural.
    pub(in super::super) fn doing(&self) -> String {
        match self.function.known {
            Some(known) => self.placed(known.doing),
            None => self.function.act.clone(),
        }
    }

    /// A text with the arguments in their places.
    fn placed(&self, template: &str) -> String {
        let mut text = template.to_owned();
        for (index, field) in self.function.fields.iter().enumerate() {
            if let Some(value) = self.arguments.get(&field.key) {
                text = text.replace(&format!("{{{index}}}"), &plain(value));
            }
        }
        text
    }

    /// A result of the function, and the answer that follows from it.
    pub(super) fn outcome(&self, draw: &mut Draw) -> Outcome {
        if draw.chance(12) {
            return failed(draw);
        }
        match self.function.known {
            Some(known) => self.known_outcome(draw, known),
            None => random_outcome(draw),
        }
    }

    fn known_outcome(&self, draw: &mut Draw, known: &Known) -> Outcome {
        let result: Map<String, Value> =
            known.result.iter().map(|(key, kind)| ((*key).to_owned(), value(draw, kind))).collect();
        let mut answer = self.placed(known.answer);
        for (place, value) in ["{r}", "{s}"].iter().zip(result.values()) {
            answer = answer.replace(place, &plain(value));
        }
        // Where the answer does not repeat the result, it repeats the last argument.
        let shown =
            if known.answer.contains("{r}") { result.values().next() } else { self.arguments.values().next_back() };
        let says = shown.map(plain).unwrap_or_default();
        let thought = thought_of(&result);
        Outcome { result: Value::Object(result).to_string(), thought, answer, says }
    }
}

/// How a thought sets what is wanted beside the function that comes nearest to it.
pub(super) fn compared(wanted: &str, function: &Function) -> String {
    format!("Wanted: {wanted}. Nearest: {}: {}.", function.name, function.act)
}

/// Whether a person can be asked for the field in a plain sentence.
fn can_be_asked(field: &Field) -> bool {
    field.is_required && !matches!(field.kind, Kind::Boolean | Kind::Names | Kind::Integers | Kind::Object(_))
}

/// One of the usual ways to ask, and which fields it gives.
fn asked(draw: &mut Draw, known: &Known, function: &Function, values: &[Value]) -> (String, Vec<bool>) {
    let template = draw.pick(known.asks);
    let mut ask = template.to_owned();
    let mut is_given = Vec::with_capacity(values.len());
    for (index, (field, value)) in function.fields.iter().zip(values).enumerate() {
        let place = format!("{{{index}}}");
        is_given.push(template.contains(&place));
        ask = ask.replace(&place, &natural(draw, &field.kind, value));
    }
    (ask, is_given)
}

/// A request in words that fit every function.
fn random_ask(draw: &mut Draw, function: &Function, values: &[Value], is_given: &[bool]) -> String {
    let Function { name, act, fields, .. } = function;
    let mut given: Vec<(&Field, &Value)> =
        fields.iter().zip(values).zip(is_given).filter(|(_, is_given)| **is_given).map(|(pair, _)| pair).collect();
    draw.shuffle(&mut given);
    let capital = invented::capitalized(act);
    if given.is_empty() {
        return match draw.below(4) {
            0 => format!("{capital}."),
            1 => format!("Please {act}."),
            2 => format!("Can you {act}?"),
            _ => format!("Call {name}."),
        };
    }
    match draw.below(9) {
        0 => format!("{capital} with {}.", listed(draw, &given)),
        1 => format!("Please {act}. {}", told(draw, &given)),
        2 => format!("Can you {act}? {}", told(draw, &given)),
        3 => format!("I want to {act}: {}.", listed(draw, &given)),
        4 => format!("Call {name} with {}.", listed(draw, &given)),
        5 => format!("{} Please {act}.", told(draw, &given)),
        6 => format!("Please use {name}: {}.", listed(draw, &given)),
        7 => format!("{capital}, {}.", listed(draw, &given)),
        _ => format!("{capital}. {}", told(draw, &given)),
    }
}

fn random_outcome(draw: &mut Draw) -> Outcome {
    let key =
        if draw.chance(50) { draw.pick(&["id", "code", "number", "name"]).to_owned() } else { invented::word(draw) };
    let kind = wording::one(draw, &[Kind::Code, Kind::Integer(1, 9999), Kind::Name, Kind::Number]).clone();
    let mut result = Map::new();
    if draw.chance(50) {
        result.insert("status".to_owned(), json!("ok"));
    }
    let value = value(draw, &kind);
    let says = plain(&value);
    result.insert(key.clone(), value);
    let thought = thought_of(&result);
    let answer = format!("Done. The {key} is {says}.");
    Outcome { result: Value::Object(result).to_string(), thought, answer, says }
}

fn failed(draw: &mut Draw) -> Outcome {
    let reason = match draw.below(5) {
        0 => "not found".to_owned(),
        1 => "it is closed".to_owned(),
        2 => "no answer".to_owned(),
        3 => format!("{} is missing", invented::word(draw)),
        _ => format!("error {}", draw.between(100, 999)),
    };
    Outcome {
        result: json!({"error": reason}).to_string(),
        thought: format!("The call failed: {reason}."),
        answer: format!("Sorry, that did not work: {reason}."),
        says: reason,
    }
}

fn thought_of(result: &Map<String, Value>) -> String {
    let pairs: Vec<String> = result.iter().map(|(key, value)| format!("{key} {}", plain(value))).collect();
    format!("The result: {}.", pairs.join(", "))
}
