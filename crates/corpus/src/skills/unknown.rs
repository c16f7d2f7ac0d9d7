//! Questions that the model cannot answer: the wide world, this moment, the user's own life, the future, invented people.
//! Their words are meant to be strange: rare words, invented ones, letters. It must not hold an answer to any of them.

use std::sync::LazyLock;

use harmony::{Conversation, SystemContent};

use super::effort;
use super::invented;
use super::turn::{Thought, Turn};
use super::wording::{Subject, fill, one, said, subjects};
use crate::draw::Draw;
use crate::item::{Check, Item, Skill};

pub(super) fn draw(draw: &mut Draw) -> Item {
    match draw.weighted(&[82, 12, 6]) {
        0 => question(draw).item(Skill::Unknown, draw),
        1 => person(draw).item(Skill::Unknown, draw),
        _ => date(draw),
    }
}

/// Anything a user may ask about: a rare word, an invented one or letters.
pub(super) fn topic(draw: &mut Draw) -> String {
    if draw.chance(10) { invented::noise(draw) } else { spoken_topic(draw) }
}

/// The same without mere letters.
fn spoken_topic(draw: &mut Draw) -> String {
    let rare = |draw: &mut Draw| one(draw, &TOPICS).to_string();
    match draw.weighted(&[45, 12, 22, 11, 10]) {
        0 => rare(draw),
        1 => rare(draw).to_lowercase(),
        2 => invented::word(draw),
        3 => invented::name(draw),
        _ => format!("{} {}", invented::word(draw), invented::word(draw)),
    }
}

static TOPICS: LazyLock<Vec<&str>> = LazyLock::new(|| include_str!("unknown/topics.txt").lines().collect());
static QUESTIONS: LazyLock<Vec<Subject>> = LazyLock::new(|| subjects(include_str!("unknown/questions.txt")));

/// The wide world is asked about most: the first two subjects.
fn question(draw: &mut Draw) -> Turn {
    let subject = match draw.below(100) {
        0..60 => &QUESTIONS[0],
        60..70 => &QUESTIONS[1],
        _ => one(draw, &QUESTIONS[2..]),
    };
    let (other, name) = (topic(draw), invented::name(draw));
    let ask = draw.pick(&subject.asks);
    // Bare letters alone are not asked about but not understood.
    let topic = if ask.starts_with('{') { spoken_topic(draw) } else { topic(draw) };
    let noise: [String; 3] = std::array::from_fn(|_| invented::noise(draw));
    let year = draw.between(2030, 2099).to_string();
    let values = [
        ("topic", topic.as_str()),
        ("other", &other),
        ("name", &name),
        ("year", &year),
        ("noise", &noise[0]),
        ("noise2", &noise[1]),
        ("noise3", &noise[2]),
    ];
    let user = fill(ask, &values);
    // What opens with the topic, or is no word, stays as it is.
    let user = if ask.starts_with(char::is_alphabetic) { said(draw, &user) } else { user };
    Turn {
        user,
        thought: Thought::new(subject.low, fill(subject.medium, &[("about", &topic)]), subject.high),
        answer: subject.answer.to_owned(),
        checks: vec![Check::Is(subject.answer.to_owned())],
    }
}

const FAMOUS: [&str; 16] = [
    "Einstein",
    "Newton",
    "Darwin",
    "Napoleon",
    "Mozart",
    "Beethoven",
    "Picasso",
    "Shakespeare",
    "Lincoln",
    "Gandhi",
    "Plato",
    "Marie Curie",
    "Julius Caesar",
    "Ada Lovelace",
    "Alan Turing",
    "Neil Armstrong",
];

/// Somebody whom the model does not know, whether the world does or not.
fn person(draw: &mut Draw) -> Turn {
    let [first, last] = invented::names(draw);
    let name = match draw.below(10) {
        0..5 => format!("{first} {last}"),
        5..8 => first,
        _ => draw.pick(&FAMOUS).to_owned(),
    };
    let frame = draw.pick(&[
        "Who is {name}?",
        "Who was {name}?",
        "What did {name} do?",
        "When was {name} born?",
        "Where does {name} live?",
        "What is the job of {name}?",
        "Is {name} famous?",
        "When did {name} die?",
        "Who were the parents of {name}?",
        "What is the phone number of {name}?",
        "Which books did {name} write?",
        "Who is the wife of {name}?",
        "Have you heard of {name}?",
    ]);
    let answer = format!("I don't know {name}. If you give me a text about {name}, I can look for the answer in it.");
    let user = fill(frame, &[("name", &name)]);
    Turn {
        user: said(draw, &user),
        thought: Thought::new(
            format!("The user asks about {name}."),
            format!("Nothing about {name} stands in this conversation."),
            "I should not make something up, so I say that I don't know and ask for a text.",
        ),
        answer: answer.clone(),
        checks: vec![Check::Is(answer)],
    }
}

/// The date is known when the system message has it, and not otherwise.
fn date(draw: &mut Draw) -> Item {
    let effort = effort(draw);
    let mut system = SystemContent::default().with_reasoning_effort(effort);
    let (thought, answer) = if draw.chance(65) {
        let (year, month, day) = (draw.between(2024, 2032), draw.between(1, 12), draw.between(1, 28));
        let date = format!("{year}-{month:02}-{day:02}");
        let thought = Thought::new(
            format!("The system message says: {date}."),
            "So this is the date of today.",
            "I copy it as it stands and add nothing.",
        );
        system = system.with_date(&date);
        (thought, format!("Today is {date}."))
    } else {
        let thought = Thought::new(
            "The system message has no date.",
            "So I can't know what day it is.",
            "A guess would not help, so I say where to look.",
        );
        (thought, "I don't know: nobody told me the date. Please look at your computer or phone.".to_owned())
    };
    let ask = draw.pick(&[
        "What is the date today?",
        "What's the date?",
        "Which date is it?",
        "Tell me the date.",
        "What day is it?",
        "What day is today?",
        "Do you know the date?",
        "What is the current date?",
    ]);
    let conversation = Conversation::default()
        .with_system(system)
        .with_user(said(draw, ask))
        .with_assistant("analysis", thought.at(effort))
        .with_assistant("final", &answer);
    Item { skill: Skill::Unknown, effort, conversation, checks: vec![Check::Is(answer)] }
}
