//! Texts in lines of `name: value`. They must not know which of their lines is asked for.

use super::{Fact, Text, amount, day, fact, things};
use crate::draw::Draw;
use crate::skills::invented::{self, code};

/// An invoice.
pub(super) fn invoice(draw: &mut Draw) -> Text {
    let [buyer, seller] = invented::names(draw);
    let mut facts = vec![
        line("Invoice", "the invoice number", code(draw)),
        line("Date", "the date", day(draw)),
        line("From", "the seller", seller),
        line("To", "the buyer", buyer),
        line("Total", "the total", format!("{} dollars", amount(draw))),
    ];
    if draw.chance(50) {
        facts.push(line("Tax", "the tax", format!("{} dollars", draw.between(1, 90))));
    }
    if draw.chance(50) {
        facts.push(line("Item", "the item", things(draw, 1).remove(0)));
    }
    Text { separator: "\n", opening: None, facts, absent: asked("the phone number") }
}

/// What goes into a dish.
pub(super) fn recipe(draw: &mut Draw) -> Text {
    let dish = invented::name(draw);
    let mut parts = ["flour", "milk", "sugar", "salt", "butter", "water", "honey", "rice", "oil"];
    draw.shuffle(&mut parts);
    let count = draw.between(3, 5) as usize;
    let facts = parts[..count]
        .iter()
        .map(|part| {
            let unit = draw.pick(&["grams", "cups", "spoons"]);
            let value =
                format!("{} {unit}", if unit == "grams" { draw.between(5, 90) * 10 } else { draw.between(2, 9) });
            fact(
                format!("{}: {value}", invented::capitalized(part)),
                format!("how much {part}"),
                vec![format!("How much {part} do I need?"), format!("How much {part} is in it?")],
                &value,
                format!("You need {value} of {part}."),
            )
        })
        .collect();
    let missing = parts[count];
    let absent = (format!("How much {missing} do I need?"), format!("how much {missing} is in it"));
    Text { separator: "\n", opening: Some(format!("Recipe for {dish}")), facts, absent }
}

/// Notes of a laboratory: samples with their values.
pub(super) fn samples(draw: &mut Draw) -> Text {
    let count = draw.between(3, 5) as usize;
    let mut names: Vec<String> = Vec::new();
    while names.len() < count + 1 {
        let name = code(draw);
        if names.iter().all(|other| !other.contains(&name) && !name.contains(other.as_str())) {
            names.push(name);
        }
    }
    let what = draw.pick(&["temperature", "weight", "length", "value"]);
    let unit = match what {
        "temperature" => " degrees",
        "weight" => " grams",
        "length" => " inches",
        _ => "",
    };
    let facts = names[..count]
        .iter()
        .map(|name| {
            let value = format!("{}.{}{unit}", draw.between(0, 99), draw.below(10));
            fact(
                format!("Sample {name}: {value}"),
                format!("the {what} of {name}"),
                vec![
                    format!("What is the {what} of sample {name}?"),
                    format!("Which {what} does {name} have?"),
                    format!("Give me the {what} of {name}."),
                ],
                &value,
                format!("The {what} of sample {name} is {value}."),
            )
        })
        .collect();
    let missing = &names[count];
    let absent = (format!("What is the {what} of sample {missing}?"), format!("the {what} of {missing}"));
    Text { separator: "\n", opening: Some(format!("Notes: {what} of the samples")), facts, absent }
}

/// People with numbers.
pub(super) fn contacts(draw: &mut Draw) -> Text {
    let mut names: Vec<String> = invented::names::<5>(draw).into();
    let missing = names.pop().expect("five names were drawn");
    let what = draw.pick(&["phone number", "room", "seat", "key"]);
    let facts = names
        .iter()
        .map(|name| {
            let value = if what == "phone number" { draw.between(10_000, 999_999).to_string() } else { code(draw) };
            fact(
                format!("{name}: {value}"),
                format!("the {what} of {name}"),
                vec![
                    format!("What is the {what} of {name}?"),
                    format!("Which {what} does {name} have?"),
                    format!("Tell me the {what} of {name}."),
                ],
                &value,
                format!("The {what} of {name} is {value}."),
            )
        })
        .collect();
    let absent = (format!("What is the {what} of {missing}?"), format!("the {what} of {missing}"));
    Text { separator: "\n", opening: Some(format!("List: name and {what}")), facts, absent }
}

/// A line of a record; `topic` names its value, as in `the total`.
fn line(label: &str, topic: &str, value: String) -> Fact {
    let (ask, _) = asked(topic);
    let answer = format!("{} is {value}.", invented::capitalized(topic));
    fact(format!("{label}: {value}"), topic.to_owned(), vec![ask, format!("Tell me {topic}.")], value, answer)
}

fn asked(topic: &str) -> (String, String) {
    let ask = if topic.ends_with("er") && !topic.ends_with("number") { "Who" } else { "What" };
    (format!("{ask} is {topic}?"), topic.to_owned())
}
