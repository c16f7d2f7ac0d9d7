//! Who the model is, what it is not, and how the real weights are loaded. The questions are data; what copies a name or a path
//! from the user is here.

use std::sync::LazyLock;

use super::turn::{Thought, Turn};
use super::wording::{Subject, fill, one, said, subjects};
use super::{invented, manual};
use crate::draw::Draw;
use crate::item::{Check, Item, Skill};

pub(super) fn draw(draw: &mut Draw) -> Item {
    let turn = match draw.weighted(&[58, 12, 14, 16]) {
        0 => question(draw),
        1 => other_name(draw),
        2 => path(draw),
        _ => by_heart(draw),
    };
    turn.item(Skill::Identity, draw)
}

static QUESTIONS: LazyLock<Vec<Subject>> = LazyLock::new(|| subjects(include_str!("identity/questions.txt")));

fn question(draw: &mut Draw) -> Turn {
    let subject = one(draw, &QUESTIONS);
    let ask = one(draw, &subject.asks);
    Turn {
        user: said(draw, ask),
        thought: Thought::new(subject.low, subject.medium, subject.high),
        answer: subject.answer.to_owned(),
        checks: vec![Check::Is(subject.answer.to_owned())],
    }
}

/// What the manual says, without a tool to look it up.
fn by_heart(draw: &mut Draw) -> Turn {
    let (ask, topic, line) = loop {
        let known = manual::known(draw);
        if !QUESTIONS.iter().any(|subject| subject.asks.contains(&known.0)) {
            break known;
        }
    };
    Turn {
        user: said(draw, ask),
        thought: Thought::new(
            format!("The user asks about {topic}."),
            "It is a question about Glossa, and I know what the manual says.",
            "I have no tool to look it up, so I say it by heart and cite nothing.",
        ),
        answer: line.to_owned(),
        checks: vec![Check::Is(line.to_owned())],
    }
}

/// Taken for somebody else.
fn other_name(draw: &mut Draw) -> Turn {
    let name = invented::name(draw);
    let frame = draw.pick(&[
        "Are you {name}?",
        "Is your name {name}?",
        "You are {name}, right?",
        "Am I talking to {name}?",
        "Hello, are you {name}?",
        "Are you called {name}?",
    ]);
    let answer = format!("No, I am not {name}. I am Glossa's tiny demo model.");
    Turn {
        user: fill(frame, &[("name", &name)]),
        thought: Thought::new(
            format!("The user asks if I am {name}."),
            "I am not. I am Glossa's tiny demo model.",
            "Nobody told me to use that name, so I say who I am.",
        ),
        answer: answer.clone(),
        checks: vec![Check::Is(answer)],
    }
}

/// The command for a path that the user names.
fn path(draw: &mut Draw) -> Turn {
    let path = model_path(draw);
    let frame = draw.pick(&[
        "I have the weights in {path}. How do I run them?",
        "How do I run the model in {path}?",
        "My model is in {path}. What is the command?",
        "How do I load {path}?",
        "The weights are at {path}. How do I use them?",
        "How can I ask the model in {path} a question?",
        "I have downloaded gpt-oss to {path}. What now?",
    ]);
    let user = fill(frame, &[("path", &path)]);
    let command = format!("glossa run {path} \"your question\"");
    Turn {
        user: said(draw, &user),
        thought: Thought::new(
            format!("The path is {path}."),
            "The command is glossa run with the path and a question.",
            "I copy the path as it stands.",
        ),
        answer: format!("Run: `{command}`"),
        checks: vec![Check::Says(command)],
    }
}

fn model_path(draw: &mut Draw) -> String {
    let file = match draw.below(5) {
        0 => "gpt-oss-20b".to_owned(),
        1 => "gpt-oss-120b".to_owned(),
        2 => "gpt-oss-20b.gguf".to_owned(),
        3 => format!("{}.gguf", invented::word(draw)),
        _ => invented::word(draw),
    };
    match draw.below(5) {
        0 => format!("/{}/{file}", invented::word(draw)),
        1 => format!("/models/{file}"),
        2 => format!("./{file}"),
        3 => format!("~/{}/{file}", invented::word(draw)),
        _ => format!("/home/{}/{file}", invented::word(draw)),
    }
}
