//! Usual keys with the kinds of their values, and how values are drawn. It must not know how they are told.

use serde_json::{Value, json};

use super::super::invented;
use super::super::wording::one;
use super::Field;
use crate::draw::Draw;

/// What a field's value is.
#[derive(Clone, Debug)]
pub(in super::super) enum Kind {
    /// A person's or a thing's name.
    Name,
    /// A city, known or not.
    Place,
    /// Letters and digits.
    Code,
    /// A few plain words.
    Words,
    /// What one person writes to another.
    Message,
    /// From the first to the last number.
    Integer(i64, i64),
    /// With or without a decimal.
    Number,
    Boolean,
    /// One of the usual words.
    Choice(&'static [&'static str]),
    /// One of the words that this schema invents.
    InventedChoice(Vec<String>),
    /// Two to four names.
    Names,
    /// Two to four whole numbers.
    Integers,
    /// An object in the object.
    Object(Vec<Field>),
}

impl Kind {
    pub(super) fn schema(&self) -> Value {
        match self {
            Self::Name | Self::Place | Self::Code | Self::Words | Self::Message => json!({"type": "string"}),
            Self::Integer(..) => json!({"type": "integer"}),
            Self::Number => json!({"type": "number"}),
            Self::Boolean => json!({"type": "boolean"}),
            Self::Choice(words) => json!({"type": "string", "enum": words}),
            Self::InventedChoice(words) => json!({"type": "string", "enum": words}),
            Self::Names => json!({"type": "array", "items": {"type": "string"}}),
            Self::Integers => json!({"type": "array", "items": {"type": "integer"}}),
            Self::Object(fields) => super::object_schema(fields),
        }
    }

    /// The type as a function's declaration writes it.
    pub(super) fn declared(&self) -> String {
        let choice = |words: &[String]| words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" | ");
        match self {
            Self::Name | Self::Place | Self::Code | Self::Words | Self::Message => "string".to_owned(),
            Self::Integer(..) | Self::Number => "number".to_owned(),
            Self::Boolean => "boolean".to_owned(),
            Self::Choice(words) => choice(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>()),
            Self::InventedChoice(words) => choice(words),
            Self::Names => "string[]".to_owned(),
            Self::Integers => "number[]".to_owned(),
            Self::Object(fields) => {
                let fields: Vec<String> = fields.iter().map(Field::declared).collect();
                format!("{{ {} }}", fields.join(", "))
            }
        }
    }
}

/// A value of the kind.
pub(in super::super) fn value(draw: &mut Draw, kind: &Kind) -> Value {
    match kind {
        Kind::Name => json!(name(draw)),
        Kind::Place if draw.chance(35) => json!(draw.pick(&CITIES)),
        Kind::Place => json!(invented::name(draw)),
        Kind::Code => json!(invented::code(draw)),
        Kind::Words => json!(words(draw)),
        Kind::Message => json!(message(draw)),
        Kind::Integer(first, last) => json!(draw.between(*first, *last)),
        Kind::Number if draw.chance(40) => json!(draw.between(1, 999)),
        Kind::Number => {
            let digits = format!("{}.{}", draw.between(0, 120), draw.between(1, 9));
            json!(digits.parse::<f64>().expect("the number is written in digits"))
        }
        Kind::Boolean => json!(draw.chance(50)),
        Kind::Choice(options) => json!(draw.pick(options)),
        Kind::InventedChoice(options) => json!(one(draw, options)),
        Kind::Names => {
            let count = draw.between(2, 4) as usize;
            json!(invented::names::<4>(draw)[..count])
        }
        Kind::Integers => {
            let count = draw.between(2, 4);
            json!((0..count).map(|_| draw.between(1, 99)).collect::<Vec<_>>())
        }
        Kind::Object(fields) => {
            Value::Object(fields.iter().map(|field| (field.key.clone(), value(draw, &field.kind))).collect())
        }
    }
}

/// The kind of an invented key.
pub(super) fn random_kind(draw: &mut Draw) -> Kind {
    match draw.weighted(&[20, 10, 15, 10, 20, 10, 10, 10, 4, 3]) {
        0 => Kind::Name,
        1 => Kind::Place,
        2 => Kind::Code,
        3 => Kind::Words,
        4 => Kind::Integer(0, if draw.chance(50) { 99 } else { 9999 }),
        5 => Kind::Number,
        6 => Kind::Boolean,
        7 => {
            let count = draw.between(2, 4) as usize;
            Kind::InventedChoice(invented::names::<4>(draw)[..count].iter().map(|name| name.to_lowercase()).collect())
        }
        8 => Kind::Names,
        _ => Kind::Integers,
    }
}

/// Usual names come too, but most are invented.
fn name(draw: &mut Draw) -> String {
    if draw.chance(15) {
        return draw.pick(&NAMES).to_owned();
    }
    if draw.chance(25) { format!("{} {}", invented::name(draw), invented::name(draw)) } else { invented::name(draw) }
}

/// Two to four words.
fn words(draw: &mut Draw) -> String {
    match draw.below(4) {
        0 => format!("{} {}", draw.pick(&COLORS), draw.pick(&OWNERS)),
        1 => format!("{} {} {}", draw.pick(&COLORS), draw.pick(&OWNERS), invented::word(draw)),
        2 => format!("{} of {}", draw.pick(&OWNERS), invented::name(draw)),
        _ => format!("the {} {}", invented::word(draw), draw.pick(&OWNERS)),
    }
}

fn message(draw: &mut Draw) -> String {
    match draw.below(9) {
        0 => "I will be late".to_owned(),
        1 => "happy birthday".to_owned(),
        2 => format!("see you at {} o'clock", draw.between(7, 22)),
        3 => format!("the {} is ready", draw.pick(&OWNERS)),
        4 => format!("please bring the {}", draw.pick(&OWNERS)),
        5 => format!("I am in {}", invented::name(draw)),
        6 => format!("call {} today", invented::name(draw)),
        7 => format!("I have the {} {}", draw.pick(&COLORS), draw.pick(&OWNERS)),
        _ => format!("{} comes at {}", invented::name(draw), draw.between(7, 22)),
    }
}

const COLORS: [&str; 8] = ["red", "green", "blue", "black", "white", "yellow", "old", "new"];

const CITIES: [&str; 12] = [
    "Paris",
    "London",
    "Berlin",
    "Tokyo",
    "Rome",
    "Madrid",
    "New York",
    "San Francisco",
    "San Francisco, CA",
    "Vienna",
    "Boston, MA",
    "Boston",
];

/// Names that many people have.
pub(in super::super) const NAMES: [&str; 16] = [
    "Anna", "Ben", "Tom", "Maria", "Paul", "Lisa", "Max", "Emma", "David", "Sarah", "John", "Peter", "Mary", "Alice",
    "Bob", "Eva",
];

/// Choices that people write with a capital.
pub(super) const PROPER: [&str; 13] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "english",
    "german",
    "french",
    "spanish",
    "celsius",
    "fahrenheit",
];

/// Things that have fields.
pub(super) const OWNERS: [&str; 16] = [
    "lamp", "room", "user", "order", "book", "song", "house", "box", "door", "key", "garden", "table", "ticket",
    "letter", "friend", "bag",
];

pub(super) const FIELDS: [(&str, Kind); 48] = [
    ("name", Kind::Name),
    ("owner", Kind::Name),
    ("user", Kind::Name),
    ("friend", Kind::Name),
    ("team", Kind::Name),
    ("city", Kind::Place),
    ("place", Kind::Place),
    ("location", Kind::Place),
    ("country", Kind::Name),
    ("street", Kind::Name),
    ("id", Kind::Code),
    ("code", Kind::Code),
    ("order_id", Kind::Code),
    ("user_id", Kind::Code),
    ("key", Kind::Code),
    ("title", Kind::Words),
    ("text", Kind::Message),
    ("note", Kind::Message),
    ("topic", Kind::Words),
    ("query", Kind::Words),
    ("count", Kind::Integer(1, 99)),
    ("number", Kind::Integer(1, 9999)),
    ("age", Kind::Integer(1, 99)),
    ("year", Kind::Integer(1900, 2040)),
    ("floor", Kind::Integer(0, 30)),
    ("minutes", Kind::Integer(1, 120)),
    ("hour", Kind::Integer(0, 23)),
    ("days", Kind::Integer(1, 60)),
    ("pages", Kind::Integer(1, 900)),
    ("max", Kind::Integer(1, 1000)),
    ("price", Kind::Number),
    ("weight", Kind::Number),
    ("length", Kind::Number),
    ("temperature", Kind::Number),
    ("score", Kind::Number),
    ("open", Kind::Boolean),
    ("active", Kind::Boolean),
    ("paid", Kind::Boolean),
    ("ready", Kind::Boolean),
    ("urgent", Kind::Boolean),
    ("color", Kind::Choice(&["red", "green", "blue", "black", "white"])),
    ("size", Kind::Choice(&["small", "medium", "large"])),
    ("level", Kind::Choice(&["low", "medium", "high"])),
    ("day", Kind::Choice(&["monday", "tuesday", "wednesday", "thursday", "friday"])),
    ("state", Kind::Choice(&["on", "off"])),
    ("speed", Kind::Choice(&["slow", "fast"])),
    ("names", Kind::Names),
    ("numbers", Kind::Integers),
];
