//! Small questions about order: days, months, numbers. It must not know how they are asked of the model.

use super::Small;
use crate::draw::Draw;
use crate::skills::calendar::{DAYS, MONTHS};
use crate::skills::wording::fill;

/// The day or month before or after another.
pub(super) fn neighbor(draw: &mut Draw) -> Small {
    let (kind, names): (&str, &[&str]) = if draw.chance(50) { ("day", &DAYS) } else { ("month", &MONTHS) };
    let first = draw.below(names.len());
    let (first, second) = (names[first], names[(first + 1) % names.len()]);
    let (asked, word, side) = if draw.chance(60) { (first, second, "after") } else { (second, first, "before") };
    let frame = draw.pick(&[
        "Which {kind} comes {side} {asked}?",
        "What {kind} comes {side} {asked}?",
        "What is the {kind} {side} {asked}?",
        "Tell me the {kind} {side} {asked}.",
    ]);
    Small {
        question: fill(frame, &[("kind", kind), ("side", side), ("asked", asked)]),
        topic: format!("the {kind} {side} {asked}"),
        because: format!("The order is {first}, {second}."),
        sentence: format!("The {kind} {side} {asked} is {word}."),
        word: word.to_owned(),
    }
}

/// The larger or smaller of two numbers of up to two digits.
pub(super) fn larger(draw: &mut Draw) -> Small {
    let end = if draw.chance(40) { 9 } else { 99 };
    let one = draw.between(1, end);
    let other = loop {
        let other = draw.between(1, end);
        if other != one {
            break other;
        }
    };
    let (which, word, rest) = if draw.chance(60) {
        ("larger", one.max(other), one.min(other))
    } else {
        ("smaller", one.min(other), one.max(other))
    };
    let frame = draw.pick(&[
        "Which is {which}, {one} or {other}?",
        "Which number is {which}: {one} or {other}?",
        "What is {which}, {one} or {other}?",
        "Tell me the {which} number: {one} or {other}.",
    ]);
    Small {
        question: fill(frame, &[("which", which), ("one", &one.to_string()), ("other", &other.to_string())]),
        topic: format!("the {which} number of {one} and {other}"),
        because: format!("{word} is {which} than {rest}."),
        sentence: format!("{word} is {which} than {rest}."),
        word: word.to_string(),
    }
}

/// Counting up or down.
pub(super) fn count(draw: &mut Draw) -> Small {
    let first = draw.between(0, 20);
    let last = first + draw.between(3, 9);
    let up = draw.chance(75);
    let (from, to) = if up { (first, last) } else { (last, first) };
    let mut numbers: Vec<String> = (first..=last).map(|number| number.to_string()).collect();
    if !up {
        numbers.reverse();
    }
    let frame = draw.pick(&[
        "Count from {from} to {to}.",
        "Please count from {from} to {to}.",
        "Can you count from {from} to {to}?",
        "Write the numbers from {from} to {to}.",
    ]);
    let numbers = numbers.join(", ");
    Small {
        question: fill(frame, &[("from", &from.to_string()), ("to", &to.to_string())]),
        topic: format!("the numbers from {from} to {to}"),
        because: format!("I count {} by one.", if up { "up" } else { "down" }),
        sentence: format!("{numbers}."),
        word: numbers,
    }
}
