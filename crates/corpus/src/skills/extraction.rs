//! Facts out of a given text, copied. A kind of text is one function and one row of `KINDS`; it must not know how it is asked.

use super::invented;
use super::turn::{Thought, Turn};
use super::wording::{fill, one, typed};
use crate::draw::Draw;
use crate::item::{Check, Item, Skill};

mod prose;
mod records;

/// A fact of a text.
struct Fact {
    /// The sentence or line that holds it, as it stands in the text.
    line: String,
    /// What is asked for, as in `where Torvik lives`.
    topic: String,
    /// Ways to ask.
    asks: Vec<String>,
    /// What is copied out of the line; of a list, each part.
    values: Vec<String>,
    /// The answer as a sentence.
    answer: String,
}

/// A text and what can be asked of it.
struct Text {
    /// The lines' separator: a blank in prose, a line break in records.
    separator: &'static str,
    /// The first line, if it may not be moved.
    opening: Option<String>,
    facts: Vec<Fact>,
    /// A question that the text does not answer, and its topic.
    absent: (String, String),
}

type Kind = fn(&mut Draw) -> Text;

const KINDS: [(usize, Kind); 8] = [
    (20, prose::people),
    (14, prose::appointment),
    (10, prose::parcel),
    (12, prose::lists),
    (14, records::invoice),
    (10, records::recipe),
    (12, records::samples),
    (10, records::contacts),
];

pub(super) fn draw(draw: &mut Draw) -> Item {
    let mut text = KINDS[draw.weighted(&KINDS.map(|(weight, _)| weight))].1(draw);
    draw.shuffle(&mut text.facts);
    let lines: Vec<&str> =
        text.opening.iter().map(String::as_str).chain(text.facts.iter().map(|fact| fact.line.as_str())).collect();
    let passage = lines.join(text.separator);
    let fact = one(draw, &text.facts);
    let turn = match draw.weighted(&[62, 14, 12, 12]) {
        0 => whole(draw, &passage, fact),
        1 => bare(draw, &passage, fact),
        2 => both(draw, &passage, &text.facts),
        _ => absent(draw, &passage, &text.absent),
    };
    turn.item(Skill::Extraction, draw)
}

/// Asked for a sentence.
fn whole(draw: &mut Draw, passage: &str, fact: &Fact) -> Turn {
    let ask = one::<String>(draw, &fact.asks);
    let ask = typed(draw, ask);
    Turn {
        user: framed(draw, passage, &ask),
        thought: thought(fact, "I answer in one sentence."),
        answer: fact.answer.clone(),
        checks: fact.values.iter().cloned().map(Check::Says).collect(),
    }
}

/// Asked for the value and nothing else.
fn bare(draw: &mut Draw, passage: &str, fact: &Fact) -> Turn {
    let frame = draw.pick(&[
        "{ask} Give only the answer.",
        "{ask} Only the value, please.",
        "{ask} Answer without a sentence.",
        "{ask} No sentence, only the answer.",
    ]);
    let ask = fill(frame, &[("ask", one::<String>(draw, &fact.asks))]);
    let value = fact.values.join(", ");
    Turn {
        user: framed(draw, passage, &ask),
        thought: thought(fact, "I give only the answer."),
        answer: value.clone(),
        checks: vec![Check::Is(value)],
    }
}

/// Asked for two facts.
fn both(draw: &mut Draw, passage: &str, facts: &[Fact]) -> Turn {
    let first = draw.below(facts.len());
    let second = (first + 1 + draw.below(facts.len() - 1)) % facts.len();
    let (first, second) = (&facts[first], &facts[second]);
    let ask = format!("{} {}", one::<String>(draw, &first.asks), one::<String>(draw, &second.asks));
    Turn {
        user: framed(draw, passage, &ask),
        thought: Thought::new(
            format!("Asked: {} and {}.", first.topic, second.topic),
            format!("The text says: \"{}\" And: \"{}\"", first.line, second.line),
            format!("So the answers are {} and {}.", first.values.join(", "), second.values.join(", ")),
        ),
        answer: format!("{} {}", first.answer, second.answer),
        checks: first.values.iter().chain(&second.values).cloned().map(Check::Says).collect(),
    }
}

/// Asked for what the text does not say.
fn absent(draw: &mut Draw, passage: &str, (ask, topic): &(String, String)) -> Turn {
    let ask = typed(draw, ask);
    let answer = format!("The text does not say {topic}.");
    Turn {
        user: framed(draw, passage, &ask),
        thought: Thought::new(
            format!("Asked: {topic}."),
            "No line of the text says this.",
            "I should not make something up, so I say that it is not there.",
        ),
        answer: answer.clone(),
        checks: vec![Check::Is(answer)],
    }
}

fn thought(fact: &Fact, form: &str) -> Thought {
    Thought::new(
        format!("Asked: {}.", fact.topic),
        format!("The text says: \"{}\"", fact.line),
        format!("So the answer is {}. {form}", fact.values.join(", ")),
    )
}

/// The text and the question in one message.
fn framed(draw: &mut Draw, passage: &str, ask: &str) -> String {
    let frame = draw.pick(&[
        "{text}\n\n{ask}",
        "{ask}\n\n{text}",
        "Text: {text}\n\nQuestion: {ask}",
        "Read this text:\n{text}\n\n{ask}",
        "Here is a text: \"{text}\" {ask}",
        "{ask} Use this text:\n{text}",
        "Look at this:\n\n{text}\n\nNow tell me: {ask}",
    ]);
    fill(frame, &[("ask", ask), ("text", passage)])
}

/// A fact with one value; `{x}` in asks is filled by the maker.
fn fact(line: String, topic: String, asks: Vec<String>, value: impl Into<String>, answer: String) -> Fact {
    Fact { line, topic, asks, values: vec![value.into()], answer }
}

/// One of the twelve months and a day of it.
fn day(draw: &mut Draw) -> String {
    let month = draw.pick(&["January", "March", "April", "May", "June", "July", "August", "October", "December"]);
    format!("{} {month}", draw.between(1, 28))
}

/// A time of the day.
fn hour(draw: &mut Draw) -> String {
    format!("{}:{:02}", draw.between(7, 20), draw.between(0, 11) * 5)
}

/// An amount of money.
fn amount(draw: &mut Draw) -> String {
    if draw.chance(50) {
        draw.between(2, 999).to_string()
    } else {
        format!("{}.{:02}", draw.between(1, 99), draw.between(0, 99))
    }
}

/// A few different things.
fn things(draw: &mut Draw, count: usize) -> Vec<String> {
    const THINGS: [&str; 16] = [
        "milk", "bread", "salt", "eggs", "apples", "rice", "honey", "lamps", "books", "paper", "chairs", "keys",
        "cups", "boxes", "seeds", "soap",
    ];
    let mut left = THINGS.to_vec();
    draw.shuffle(&mut left);
    (0..count).map(|index| if draw.chance(35) { invented::word(draw) } else { left[index].to_owned() }).collect()
}
