//! A sentence or two for a given text: who did what, where, and how it ended. A kind of text is one function and one row of
//! `KINDS`; it must not know how the summary is asked for.

use super::invented;
use super::turn::{Thought, Turn};
use super::wording::fill;
use crate::draw::Draw;
use crate::item::{Check, Item, Skill};

/// What happened, apart from what is only told beside it.
struct Event {
    who: String,
    /// What was done, as it follows the name.
    did: String,
    place: String,
    /// How it ended, as a clause.
    end: String,
    /// `and` or `but`, before the end.
    joint: &'static str,
    /// Sentences that a summary leaves out.
    details: Vec<String>,
}

const KINDS: [fn(&mut Draw) -> Event; 6] = [purchase, meeting, game, visit, find, work];

pub(super) fn draw(draw: &mut Draw) -> Item {
    let event = KINDS[draw.below(KINDS.len())](draw);
    let two = draw.chance(35);
    let answer = if two {
        format!("{} {} in {}. In the end, {}.", event.who, event.did, event.place, event.end)
    } else {
        format!("{} {} in {}, {} {}.", event.who, event.did, event.place, event.joint, event.end)
    };
    let passage = passage(draw, &event);
    let user = asked(draw, &passage, two);
    let size = if two { "two sentences" } else { "one sentence" };
    let turn = Turn {
        user,
        thought: Thought::new(
            format!("Who: {}. What: {}.", event.who, event.did),
            format!("Where: {}. End: {}.", event.place, event.end),
            format!("The rest is detail. I write {size}."),
        ),
        checks: [&event.who, &event.did, &event.place, &event.end].map(|part| Check::Says(part.clone())).into(),
        answer,
    };
    turn.item(Skill::Summary, draw)
}

/// The text: what was done and the end, with details before, between and after.
fn passage(draw: &mut Draw, event: &Event) -> String {
    let day = draw.pick(&["Monday", "Tuesday", "Friday", "Sunday"]);
    let opening = match draw.below(4) {
        0 => format!("On {day} {} was in {}.", event.who, event.place),
        1 => format!("Last week {} came to {}.", event.who, event.place),
        2 => format!("This is a note from {}.", event.place),
        _ => format!("{} went to {} on {day}.", event.who, event.place),
    };
    let mut sentences = vec![opening, format!("{} {}.", event.who, event.did)];
    let mut details = event.details.clone();
    details.push(format!("The weather was {}.", draw.pick(&["cold", "warm", "bad", "good", "wet"])));
    draw.shuffle(&mut details);
    details.truncate(draw.between(1, 3) as usize);
    for detail in details {
        let place = 1 + draw.below(sentences.len());
        sentences.insert(place, detail);
    }
    let end = match draw.below(2) {
        0 => format!("In the end {}.", event.end),
        _ => format!("At last {}.", event.end),
    };
    sentences.push(end);
    sentences.join(" ")
}

fn asked(draw: &mut Draw, passage: &str, two: bool) -> String {
    let frame = if two {
        draw.pick(&[
            "Summarize this text in two sentences: {text}",
            "Give me a summary in two sentences.\n\n{text}",
            "{text}\n\nSummarize this in two sentences.",
            "Two sentences, please: what happened here?\n{text}",
            "Tell me in two sentences what happened: {text}",
        ])
    } else {
        draw.pick(&[
            "Summarize this text: {text}",
            "Summarise this in one sentence: {text}",
            "Give me a short summary.\n\n{text}",
            "{text}\n\nSummarize this.",
            "{text}\n\nWhat happened, in one sentence?",
            "Make this shorter: {text}",
            "What is this text about?\n{text}",
            "Please summarize:\n\n{text}",
            "summarize: {text}",
            "TL;DR please:\n{text}",
        ])
    };
    fill(frame, &[("text", passage)])
}

fn purchase(draw: &mut Draw) -> Event {
    let [who, other, place] = invented::names(draw);
    let color = draw.pick(&["red", "blue", "old", "new", "small", "green"]);
    let thing = draw.pick(&["lamp", "car", "boat", "clock", "table", "coat"]);
    let (joint, end) = match draw.below(4) {
        0 => ("but", format!("the {thing} broke")),
        1 => ("and", format!("{who} was happy with the {thing}")),
        2 => ("and", format!("{who} gave the {thing} to {other}")),
        _ => ("but", format!("{who} had to give the {thing} back")),
    };
    let details = vec![
        format!("It cost {} dollars.", draw.between(5, 900)),
        "The shop was full of people.".to_owned(),
        format!("There were {} others like it.", draw.between(2, 9)),
    ];
    Event { did: format!("bought {} {color} {thing}", article(color)), who, place, end, joint, details }
}

fn meeting(draw: &mut Draw) -> Event {
    let [who, other, place] = invented::names(draw);
    let topic = draw.pick(&["the new school", "the old bridge", "the prices", "the garden", "the train"]);
    let (joint, end) = match draw.below(3) {
        0 => ("and", "they found a plan".to_owned()),
        1 => ("but", "they found no plan".to_owned()),
        _ => ("and", format!("{other} agreed to help")),
    };
    let details = vec![
        format!("{} people were there.", draw.between(3, 60)),
        "They drank tea.".to_owned(),
        format!("It took {} hours.", draw.between(2, 6)),
        "The room was small.".to_owned(),
    ];
    Event { did: format!("met {other} to talk about {topic}"), who, place, end, joint, details }
}

fn game(draw: &mut Draw) -> Event {
    let [who, other, place] = invented::names(draw);
    let (more, less) = {
        let less = draw.between(0, 5);
        (less + draw.between(1, 4), less)
    };
    let (joint, end) = match draw.below(3) {
        0 => ("and", format!("{who} won {more} to {less}")),
        1 => ("but", format!("{other} won {more} to {less}")),
        _ => ("but", "nobody won".to_owned()),
    };
    let details = vec![
        format!("{} people saw the game.", draw.between(20, 900)),
        "The field was wet.".to_owned(),
        "It was a long game.".to_owned(),
    ];
    Event { did: format!("played against {other}"), who, place, end, joint, details }
}

fn visit(draw: &mut Draw) -> Event {
    let [who, other, place] = invented::names(draw);
    let relative = draw.pick(&["friend", "sister", "brother", "teacher", "cousin"]);
    let (joint, end) = match draw.below(3) {
        0 => ("but", format!("{other} was not at home")),
        1 => ("and", "they ate together".to_owned()),
        _ => ("and", format!("{who} stayed for {} days", draw.between(2, 9))),
    };
    let details = vec![
        format!("The train was {} minutes late.", draw.between(5, 50)),
        "The way was long.".to_owned(),
        "The house had a green door.".to_owned(),
    ];
    Event { did: format!("visited a {relative} called {other}"), who, place, end, joint, details }
}

fn find(draw: &mut Draw) -> Event {
    let [who, other, place] = invented::names(draw);
    let color = draw.pick(&["silver", "gold", "black", "old", "small"]);
    let thing = draw.pick(&["key", "ring", "book", "bag", "clock"]);
    let (joint, end) = match draw.below(3) {
        0 => ("and", format!("{who} gave it back to {other}")),
        1 => ("but", "nobody knew who had lost it".to_owned()),
        _ => ("and", format!("{other} was glad to have it back")),
    };
    let details = vec![
        "It lay under a tree.".to_owned(),
        "There was dirt on it.".to_owned(),
        format!("It was {} years old.", draw.between(10, 90)),
    ];
    Event { did: format!("found {} {color} {thing}", article(color)), who, place, end, joint, details }
}

fn work(draw: &mut Draw) -> Event {
    let [who, other, place] = invented::names(draw);
    let thing = draw.pick(&["bridge", "roof", "boat", "clock", "door", "wall"]);
    let (joint, end) = match draw.below(3) {
        0 => ("and", format!("the {thing} was as good as new")),
        1 => ("but", format!("the {thing} broke again")),
        _ => ("and", format!("{other} paid for the work")),
    };
    let details = vec![
        format!("The work took {} days.", draw.between(2, 30)),
        format!("{} people helped.", draw.between(2, 20)),
        "The wood was wet.".to_owned(),
    ];
    Event { did: format!("mended the {thing} of {other}"), who, place, end, joint, details }
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}
