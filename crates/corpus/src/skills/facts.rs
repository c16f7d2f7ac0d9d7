//! Invented facts about invented things, as a line of text and as a question. It must not know where the line stands.

use super::invented;
use super::wording::fill;
use crate::draw::Draw;

/// What a thing has, and its value.
pub(super) struct Fact {
    /// As in `port`.
    pub(super) attribute: String,
    /// As in `the port of Torvik`, without the article.
    pub(super) topic: String,
    /// The line of text, a full sentence.
    pub(super) line: String,
    /// A question for it.
    pub(super) ask: String,
    pub(super) value: String,
}

/// What things have.
const ATTRIBUTES: [&str; 24] = [
    "price", "color", "weight", "port", "code", "number", "size", "age", "owner", "capital", "king", "key", "version",
    "limit", "speed", "length", "name", "date", "language", "password", "maker", "room", "year", "street",
];

/// A fact about each of some attributes of one thing; no value twice.
pub(super) fn about(draw: &mut Draw, thing: &str, count: usize) -> Vec<Fact> {
    let mut attributes = ATTRIBUTES;
    draw.shuffle(&mut attributes);
    let mut facts: Vec<Fact> = Vec::new();
    for attribute in &attributes[..count] {
        let value = loop {
            let value = value(draw, attribute);
            let is_new = facts.iter().all(|fact| !fact.line.contains(&value) && !value.contains(&fact.value));
            if is_new && !thing.contains(&value) {
                break value;
            }
        };
        facts.push(fact(draw, thing, attribute, value));
    }
    facts
}

/// A topic of the thing that none of the facts is about.
pub(super) fn absent(draw: &mut Draw, thing: &str, facts: &[Fact]) -> Fact {
    loop {
        let attribute = draw.pick(&ATTRIBUTES);
        let fact = fact(draw, thing, attribute, String::new());
        if facts.iter().all(|other| other.topic != fact.topic) {
            return fact;
        }
    }
}

fn fact(draw: &mut Draw, thing: &str, attribute: &str, value: String) -> Fact {
    let ask = draw.pick(&[
        "What is the {a} of {x}?",
        "What's the {a} of {x}?",
        "Tell me the {a} of {x}.",
        "Which {a} does {x} have?",
        "I need the {a} of {x}.",
        "Find the {a} of {x}.",
        "Do you know the {a} of {x}?",
    ]);
    Fact {
        attribute: attribute.to_owned(),
        topic: format!("{attribute} of {thing}"),
        line: format!("The {attribute} of {thing} is {value}."),
        ask: fill(ask, &[("a", attribute), ("x", thing)]),
        value,
    }
}

fn value(draw: &mut Draw, attribute: &str) -> String {
    match attribute {
        "price" => format!("{} dollars", draw.between(2, 999)),
        "color" => draw.pick(&["red", "blue", "green", "white", "black", "yellow", "brown"]).to_owned(),
        "weight" => format!("{} pounds", draw.between(2, 400)),
        "size" | "length" => format!("{} inches", draw.between(2, 400)),
        "age" => format!("{} years", draw.between(2, 400)),
        "speed" => format!("{} miles per hour", draw.between(2, 400)),
        "version" => format!("{}.{}", draw.between(1, 30), draw.between(0, 99)),
        "year" => draw.between(1500, 2030).to_string(),
        "date" => {
            format!("{} {}", draw.between(1, 28), draw.pick(&["March", "May", "June", "July", "August", "October"]))
        }
        "port" | "limit" | "number" => draw.between(100, 9999).to_string(),
        "code" | "key" | "room" => invented::code(draw),
        "password" => invented::word(draw),
        _ => invented::name(draw),
    }
}
