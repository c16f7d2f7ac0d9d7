//! What users tell about themselves and others, how they ask for it later, and how the answer is said. It must not know
//! conversations.

use super::super::fields::NAMES;
use super::super::invented;
use super::super::wording::{fill, said};
use super::Asked;
use crate::draw::Draw;

/// What kind of value a fact has.
#[derive(Clone, Copy)]
pub(super) enum Value {
    Name,
    Code,
    /// Up to so much.
    Number(i64),
    Color,
    Day,
    Animal,
    Food,
    /// A word in lower case, usual or invented.
    Word,
}

/// A fact with its words: `{value}` is what is told, `{owner}` another person's name.
pub(super) struct Fact {
    pub(super) value: Value,
    pub(super) statements: &'static [&'static str],
    pub(super) questions: &'static [&'static str],
    /// As in `the name of your dog`.
    pub(super) topic: &'static str,
    pub(super) answer: &'static str,
}

/// Whether a question about one could mean the other.
pub(super) fn are_alike(one: &Fact, other: &Fact) -> bool {
    let is_any_number = |fact: &Fact| fact.topic == "the number";
    let is_number = |fact: &Fact| matches!(fact.value, Value::Number(_) | Value::Code);
    (is_any_number(one) && is_number(other)) || (is_any_number(other) && is_number(one))
}

pub(super) fn value(draw: &mut Draw, fact: &Fact) -> String {
    match fact.value {
        Value::Name if draw.chance(20) => draw.pick(&NAMES).to_owned(),
        Value::Name => invented::name(draw),
        Value::Code => invented::code(draw),
        Value::Number(most) => draw.between(2, most).to_string(),
        Value::Color => draw.pick(&["red", "green", "blue", "black", "white", "yellow", "brown"]).to_owned(),
        Value::Animal => draw.pick(&["dog", "cat", "bird", "fish", "horse", "bear", "fox", "mouse"]).to_owned(),
        Value::Food => draw.pick(&["pizza", "bread", "rice", "soup", "cake", "fish", "apples", "cheese"]).to_owned(),
        Value::Word if draw.chance(30) => draw.pick(&["lamp", "garden", "stone", "apple", "river", "house"]).to_owned(),
        Value::Word => invented::word(draw),
        Value::Day => {
            draw.pick(&["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]).to_owned()
        }
    }
}

/// How the user tells it; a later telling says that it changed.
pub(super) fn sentence(draw: &mut Draw, asked: &Asked, value: &str, is_change: bool) -> String {
    let values = [("owner", asked.owner.as_str()), ("value", value)];
    let sentence = fill(draw.pick(asked.fact.statements), &values);
    if !is_change {
        return sentence;
    }
    match draw.below(4) {
        0 => format!("Sorry, that was wrong. {sentence}"),
        1 => format!("It changed: {sentence}"),
        2 => format!("No, wait. {sentence}"),
        _ => format!("Something is new. {sentence}"),
    }
}

pub(super) fn asked(draw: &mut Draw, asked: &Asked) -> String {
    let question = fill(draw.pick(asked.fact.questions), &[("owner", asked.owner.as_str())]);
    match draw.below(8) {
        0 => format!("Do you remember? {question}"),
        1 => format!("Now tell me: {question}"),
        _ => said(draw, &question),
    }
}

/// Turns that tell nothing.
pub(super) const SMALL_TALK: [(&str, &str); 12] = [
    ("Hello!", "Hello! How can I help you?"),
    ("How are you?", "I am well, thank you."),
    ("Thank you!", "You are welcome!"),
    ("What a nice day.", "Yes, it is a nice day."),
    ("I like to talk with you.", "That is kind of you."),
    ("How many days does a week have?", "A week has 7 days."),
    ("What is 2 + 3?", "2 + 3 = 5."),
    ("I am tired today.", "I am sorry. I hope you can rest."),
    ("It rains here.", "I hope it is sunny soon."),
    ("I have to work now.", "I wish you good work."),
    ("Can you help me later?", "Yes, I am glad to help."),
    ("Ok.", "Good."),
];

pub(super) const FACTS: [Fact; 24] = [
    Fact {
        value: Value::Animal,
        statements: &["My favorite animal is the {value}.", "The animal I like most is the {value}."],
        questions: &["What is my favorite animal?", "Which animal do I like most?"],
        topic: "your favorite animal",
        answer: "Your favorite animal is the {value}.",
    },
    Fact {
        value: Value::Food,
        statements: &["My favorite food is {value}.", "I like to eat {value} most."],
        questions: &["What is my favorite food?", "What do I like to eat?"],
        topic: "your favorite food",
        answer: "Your favorite food is {value}.",
    },
    Fact {
        value: Value::Word,
        statements: &["The secret word is {value}.", "Remember the word {value}.", "Our word is \"{value}\"."],
        questions: &["What is the secret word?", "Which word did I tell you?", "What was the word?"],
        topic: "the word",
        answer: "The word is {value}.",
    },
    Fact {
        value: Value::Number(999),
        statements: &["Remember the number {value}.", "Keep the number {value} in mind.", "The number is {value}."],
        questions: &["What was the number?", "Which number should you remember?", "What is the number?"],
        topic: "the number",
        answer: "The number is {value}.",
    },
    Fact {
        value: Value::Number(9999),
        statements: &["My favorite number is {value}.", "The number I like most is {value}."],
        questions: &["What is my favorite number?", "Which number do I like most?"],
        topic: "your favorite number",
        answer: "Your favorite number is {value}.",
    },
    Fact {
        value: Value::Name,
        statements: &["My name is {value}.", "I am called {value}.", "You can call me {value}."],
        questions: &["What is my name?", "What am I called?", "Who am I?", "Do you know my name?"],
        topic: "your name",
        answer: "Your name is {value}.",
    },
    Fact {
        value: Value::Name,
        statements: &["My dog is called {value}.", "The name of my dog is {value}.", "I have a dog, {value}."],
        questions: &["What is my dog called?", "What is the name of my dog?", "How is my dog called?"],
        topic: "the name of your dog",
        answer: "Your dog is called {value}.",
    },
    Fact {
        value: Value::Name,
        statements: &["My cat is called {value}.", "I have a cat, {value}.", "The name of my cat is {value}."],
        questions: &["What is the name of my cat?", "What is my cat called?", "Which name does my cat have?"],
        topic: "the name of your cat",
        answer: "Your cat is called {value}.",
    },
    Fact {
        value: Value::Name,
        statements: &["I live in {value}.", "My city is {value}.", "I come from a city called {value}."],
        questions: &["Where do I live?", "What is my city?", "In which city do I live?"],
        topic: "your city",
        answer: "You live in {value}.",
    },
    Fact {
        value: Value::Name,
        statements: &[
            "My best friend is {value}.",
            "I have a good friend, {value}.",
            "The name of my friend is {value}.",
        ],
        questions: &["Who is my best friend?", "What is my friend called?", "What is the name of my friend?"],
        topic: "the name of your friend",
        answer: "Your friend is called {value}.",
    },
    Fact {
        value: Value::Name,
        statements: &[
            "My school is called {value}.",
            "I go to the school {value}.",
            "The name of my school is {value}.",
        ],
        questions: &["What is my school called?", "To which school do I go?", "What is the name of my school?"],
        topic: "the name of your school",
        answer: "Your school is called {value}.",
    },
    Fact {
        value: Value::Name,
        statements: &["I work for {value}.", "My work is at {value}.", "I have a job at {value}."],
        questions: &["Where do I work?", "For whom do I work?", "Where is my job?"],
        topic: "your work",
        answer: "You work for {value}.",
    },
    Fact {
        value: Value::Number(99),
        statements: &["I am {value} years old.", "My age is {value}.", "I am {value} now."],
        questions: &["How old am I?", "What is my age?", "Do you know my age?"],
        topic: "your age",
        answer: "You are {value} years old.",
    },
    Fact {
        value: Value::Number(999),
        statements: &["My room is number {value}.", "I am in room {value}.", "My room has the number {value}."],
        questions: &["What is my room?", "In which room am I?", "What is the number of my room?"],
        topic: "the number of your room",
        answer: "Your room is number {value}.",
    },
    Fact {
        value: Value::Code,
        statements: &["The code of my door is {value}.", "My door has the code {value}.", "The door code is {value}."],
        questions: &["What is the code of my door?", "Which code does my door have?", "What is the door code?"],
        topic: "the code of your door",
        answer: "The code is {value}.",
    },
    Fact {
        value: Value::Code,
        statements: &["My order has the number {value}.", "I have an order, {value}.", "My order is {value}."],
        questions: &["What is the number of my order?", "Which number has my order?", "What is my order?"],
        topic: "the number of your order",
        answer: "Your order is {value}.",
    },
    Fact {
        value: Value::Code,
        statements: &["My ticket is {value}.", "I have the ticket {value}.", "The number of my ticket is {value}."],
        questions: &["What is my ticket?", "Which ticket do I have?", "What is the number of my ticket?"],
        topic: "the number of your ticket",
        answer: "Your ticket is {value}.",
    },
    Fact {
        value: Value::Color,
        statements: &[
            "My favorite color is {value}.",
            "The color I like most is {value}.",
            "I like the color {value} most.",
        ],
        questions: &["What is my favorite color?", "Which color do I like most?", "What color do I like?"],
        topic: "your favorite color",
        answer: "Your favorite color is {value}.",
    },
    Fact {
        value: Value::Color,
        statements: &["My house is {value}.", "I have a {value} house.", "The color of my house is {value}."],
        questions: &["What color is my house?", "What is the color of my house?", "Which color has my house?"],
        topic: "the color of your house",
        answer: "Your house is {value}.",
    },
    Fact {
        value: Value::Day,
        statements: &["My free day is {value}.", "I do not work on {value}.", "On {value} I have a free day."],
        questions: &["Which day is free for me?", "What is my free day?", "When do I not work?"],
        topic: "your free day",
        answer: "Your free day is {value}.",
    },
    Fact {
        value: Value::Name,
        statements: &[
            "My teacher {owner} lives in {value}.",
            "{owner} lives in {value}.",
            "The city of {owner} is {value}.",
        ],
        questions: &["Where does {owner} live?", "In which city does {owner} live?", "What is the city of {owner}?"],
        topic: "the city of {owner}",
        answer: "{owner} lives in {value}.",
    },
    Fact {
        value: Value::Number(99),
        statements: &[
            "My teacher {owner} is {value} years old.",
            "{owner} is {value}.",
            "The age of {owner} is {value}.",
        ],
        questions: &["How old is {owner}?", "What is the age of {owner}?", "Do you know the age of {owner}?"],
        topic: "the age of {owner}",
        answer: "{owner} is {value} years old.",
    },
    Fact {
        value: Value::Color,
        statements: &[
            "My teacher {owner} has the {value} box.",
            "The box of {owner} is {value}.",
            "{owner} has a {value} box.",
        ],
        questions: &[
            "Which box does {owner} have?",
            "What color is the box of {owner}?",
            "What is the color of the box of {owner}?",
        ],
        topic: "the box of {owner}",
        answer: "{owner} has the {value} box.",
    },
    Fact {
        value: Value::Code,
        statements: &[
            "My teacher {owner} has the key {value}.",
            "{owner} has the key {value}.",
            "The key of {owner} is {value}.",
        ],
        questions: &["Which key does {owner} have?", "What is the key of {owner}?", "What key has {owner}?"],
        topic: "the key of {owner}",
        answer: "{owner} has the key {value}.",
    },
];
