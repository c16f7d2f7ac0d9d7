//! Greetings, thanks and small questions of every day. A kind of small question is one function and one row of `KINDS`; small
//! talk is data. It must not hold what a model of this size cannot keep.

use std::sync::LazyLock;

use super::invented;
use super::turn::{Thought, Turn};
use super::wording::{Subject, fill, one, rows, said, subjects};
use crate::draw::Draw;
use crate::item::{Check, Item, Skill};

mod order;

/// A small question with its answer, for this skill and for others that need something to be asked.
pub(super) struct Small {
    /// The question.
    pub(super) question: String,
    /// What is looked at.
    pub(super) topic: String,
    /// The steps between.
    pub(super) because: String,
    /// The answer as a sentence.
    pub(super) sentence: String,
    /// The answer as one word, which the sentence holds.
    pub(super) word: String,
}

pub(super) fn draw(draw: &mut Draw) -> Item {
    let turn = match draw.weighted(&[38, 40, 12, 10]) {
        0 => talk(draw),
        1 => small_question(draw),
        2 => repeat(draw),
        _ => introduction(draw),
    };
    turn.item(Skill::Chat, draw)
}

/// One of the small questions that the model can answer from what it learnt.
pub(super) fn small(draw: &mut Draw) -> Small {
    KINDS[draw.weighted(&KINDS.map(|(weight, _)| weight))].1(draw)
}

type Kind = fn(&mut Draw) -> Small;

const KINDS: [(usize, Kind); 9] = [
    (20, opposite),
    (14, color),
    (8, sound),
    (12, plural),
    (14, statement),
    (16, fact),
    (12, order::neighbor),
    (8, order::larger),
    (8, order::count),
];

static TALK: LazyLock<Vec<Subject>> = LazyLock::new(|| subjects(include_str!("chat/talk.txt")));
static OPPOSITES: LazyLock<Vec<[&str; 2]>> = LazyLock::new(|| rows(include_str!("chat/opposites.txt")));
static COLORS: LazyLock<Vec<[&str; 2]>> = LazyLock::new(|| rows(include_str!("chat/colors.txt")));
static SOUNDS: LazyLock<Vec<[&str; 2]>> = LazyLock::new(|| rows(include_str!("chat/sounds.txt")));
static PLURALS: LazyLock<Vec<[&str; 2]>> = LazyLock::new(|| rows(include_str!("chat/plurals.txt")));
static STATEMENTS: LazyLock<Vec<[&str; 3]>> = LazyLock::new(|| rows(include_str!("chat/statements.txt")));
static FACTS: LazyLock<Vec<[&str; 4]>> = LazyLock::new(|| rows(include_str!("chat/facts.txt")));

fn talk(draw: &mut Draw) -> Turn {
    let subject = one(draw, &TALK);
    Turn {
        user: one(draw, &subject.asks).to_string(),
        thought: Thought::new(subject.low, subject.medium, subject.high),
        answer: subject.answer.to_owned(),
        checks: vec![Check::Is(subject.answer.to_owned())],
    }
}

fn small_question(draw: &mut Draw) -> Turn {
    let small = small(draw);
    let one_word = draw.chance(15) && !small.word.contains(' ');
    let user = if one_word {
        let frame = draw.pick(&["{ask} Answer in one word.", "{ask} One word, please.", "In one word: {ask}"]);
        fill(frame, &[("ask", &small.question)])
    } else {
        said(draw, &small.question)
    };
    let form = if one_word { "One word is enough." } else { "I say it in one sentence." };
    Turn {
        user,
        thought: Thought::new(
            format!("The user asks about {}.", small.topic),
            small.because,
            format!("So the answer is: {}. {form}", small.word),
        ),
        answer: if one_word { small.word.clone() } else { small.sentence },
        checks: vec![if one_word { Check::Is(small.word) } else { Check::Says(small.word) }],
    }
}

fn repeat(draw: &mut Draw) -> Turn {
    let what = match draw.below(4) {
        0 => invented::name(draw),
        1 => invented::code(draw),
        2 => format!("{} {}", invented::word(draw), draw.between(0, 999)),
        _ => format!("{} {} {}", invented::word(draw), invented::name(draw), invented::word(draw)),
    };
    let frame = draw.pick(&[
        "Repeat after me: {what}",
        "Say {what}",
        "Please say {what}",
        "Repeat this: {what}",
        "Write {what}",
        "Can you say \"{what}\"?",
        "Please repeat \"{what}\"",
        "Say this word for word: {what}",
    ]);
    let user = fill(frame, &[("what", &what)]);
    Turn {
        user,
        thought: Thought::new(
            "I repeat it.",
            format!("The words are: {what}"),
            "I write them as they stand, and no more.",
        ),
        answer: what.clone(),
        checks: vec![Check::Is(what)],
    }
}

fn introduction(draw: &mut Draw) -> Turn {
    let name = invented::name(draw);
    let frame = draw.pick(&[
        "My name is {name}.",
        "Hello, my name is {name}.",
        "Hi, I am {name}!",
        "I am {name}",
        "hi, i am {name}",
        "Hello! I'm {name}.",
        "Call me {name}.",
        "Please call me {name}",
        "{name} is my name.",
    ]);
    let answer = format!("Nice to meet you, {name}! How can I help you?");
    Turn {
        user: fill(frame, &[("name", &name)]),
        thought: Thought::new(
            format!("The user is called {name}."),
            "I greet the user by name.",
            "There is no question yet, so I offer help.",
        ),
        answer: answer.clone(),
        checks: vec![Check::Is(answer)],
    }
}

fn opposite(draw: &mut Draw) -> Small {
    let &[first, second] = one(draw, &OPPOSITES);
    // Old is the opposite of two words, so it is asked only beside one of them.
    let turned = draw.chance(50) && second != "old" && first != "old";
    let (word, opposite) = if turned { (second, first) } else { (first, second) };
    let frame = draw.pick(&[
        "What is the opposite of {word}?",
        "What's the opposite of {word}?",
        "Tell me the opposite of {word}.",
        "Which word is the opposite of {word}?",
        "The opposite of {word} is what?",
        "Give me the opposite of \"{word}\".",
    ]);
    Small {
        question: fill(frame, &[("word", word)]),
        topic: format!("the opposite of {word}"),
        because: format!("{} and {opposite} are opposites.", invented::capitalized(word)),
        sentence: format!("The opposite of {word} is {opposite}."),
        word: opposite.to_owned(),
    }
}

fn color(draw: &mut Draw) -> Small {
    let &[thing, color] = one(draw, &COLORS);
    let frame = draw.pick(&[
        "What color is {thing}?",
        "What is the color of {thing}?",
        "Which color does {thing} have?",
        "Tell me the color of {thing}.",
        "What colour is {thing}?",
    ]);
    Small {
        question: fill(frame, &[("thing", thing)]),
        topic: format!("the color of {thing}"),
        because: format!("I know that {thing} is {color}."),
        sentence: format!("{} is {color}.", invented::capitalized(thing)),
        word: color.to_owned(),
    }
}

fn sound(draw: &mut Draw) -> Small {
    let &[animal, sound] = one(draw, &SOUNDS);
    let frame = draw.pick(&[
        "What sound does {animal} make?",
        "Which sound does {animal} make?",
        "What does {animal} say?",
        "How does {animal} sound?",
    ]);
    let article = if animal.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    Small {
        question: fill(frame, &[("animal", &format!("{article} {animal}"))]),
        topic: format!("the sound of {article} {animal}"),
        because: format!("I know that {article} {animal} {sound}."),
        sentence: format!("{} {animal} {sound}.", invented::capitalized(article)),
        word: sound.to_owned(),
    }
}

fn plural(draw: &mut Draw) -> Small {
    let &[single, plural] = one(draw, &PLURALS);
    let frame = draw.pick(&[
        "What is the plural of {single}?",
        "What's the plural of {single}?",
        "Tell me the plural of {single}.",
        "One {single}, two what?",
        "Give me the plural of \"{single}\".",
    ]);
    Small {
        question: fill(frame, &[("single", single)]),
        topic: format!("the plural of {single}"),
        because: format!("One {single}, two {plural}."),
        sentence: format!("The plural of {single} is {plural}."),
        word: plural.to_owned(),
    }
}

fn statement(draw: &mut Draw) -> Small {
    let &[question, word, reason] = one(draw, &STATEMENTS);
    Small {
        question: question.to_owned(),
        topic: format!("this, yes or no: {}", question.trim_end_matches('?')),
        because: format!("I know that {reason}."),
        sentence: format!("{word}, {reason}."),
        word: word.to_owned(),
    }
}

fn fact(draw: &mut Draw) -> Small {
    let &[question, other, sentence, word] = one(draw, &FACTS);
    let question = if draw.chance(70) { question.to_owned() } else { format!("{}?", invented::capitalized(other)) };
    Small {
        question,
        topic: format!("this: {other}"),
        because: format!("I know this: {sentence}"),
        sentence: sentence.to_owned(),
        word: word.to_owned(),
    }
}
