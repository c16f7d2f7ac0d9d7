//! Names and numbers that the user told in earlier turns: the latest counts, and what was never told is not invented. It
//! must not know how a model is judged beyond the item's checks.

mod facts;

use harmony::{Conversation, DeveloperContent, ReasoningEffort};

use super::wording::{fill, one};
use super::{effort, invented, system};
use crate::draw::Draw;
use crate::item::{Check, Item, Skill};
use facts::{FACTS, Fact};

pub(super) fn draw(draw: &mut Draw) -> Item {
    let effort = effort(draw);
    let mut conversation = Conversation::default().with_system(system(draw, effort));
    if draw.chance(15) {
        let instructions = draw.pick(&INSTRUCTIONS);
        conversation = conversation.with_developer(DeveloperContent::default().with_instructions(instructions));
    }
    let memory = Memory::draw(draw);
    for turn in &memory.turns {
        conversation = conversation.with_user(turn.user.clone()).with_assistant("final", turn.answer.clone());
    }
    let (answer, check) = memory.answer();
    let conversation = conversation
        .with_user(facts::asked(draw, &memory.asked))
        .with_assistant("analysis", memory.thought(effort))
        .with_assistant("final", answer);
    Item { skill: Skill::Recall, effort, conversation, checks: vec![check] }
}

const INSTRUCTIONS: [&str; 6] = [
    "You are a helpful assistant.",
    "Remember what the user tells you.",
    "Be kind and brief.",
    "Help the user.",
    "Answer in one short sentence.",
    "You are a friend of the user.",
];

/// An earlier exchange.
struct Turn {
    user: String,
    answer: String,
}

/// A fact about someone or something, as in the user's dog.
struct Asked {
    fact: &'static Fact,
    /// Whose it is, where a fact is about a third person.
    owner: String,
}

/// What was told of the fact that is asked for.
struct Told {
    sentence: String,
    value: String,
}

struct Memory {
    turns: Vec<Turn>,
    asked: Asked,
    /// Oldest first; none if it was never told.
    told: Vec<Told>,
}

impl Memory {
    fn draw(draw: &mut Draw) -> Self {
        let mut facts: Vec<&'static Fact> = FACTS.iter().collect();
        draw.shuffle(&mut facts);
        let owners = invented::names::<4>(draw);
        let asked = Asked { fact: facts[0], owner: owners[0].clone() };
        let tellings = draw.weighted(&[15, 62, 23]);
        let mut told = Vec::new();
        let mut turns = Vec::new();
        for index in 0..tellings {
            let value = loop {
                let value = facts::value(draw, asked.fact);
                if told.iter().all(|earlier: &Told| earlier.value != value) {
                    break value;
                }
            };
            let sentence = facts::sentence(draw, &asked, &value, index > 0);
            turns.push(turn(draw, &sentence, index > 0));
            told.push(Told { sentence, value });
        }
        // Other facts and small talk stand between; the order of the tellings stays.
        let others = draw.between(if turns.is_empty() { 1 } else { 0 }, 3) as usize;
        let distinct = facts[1..].iter().filter(|fact| !facts::are_alike(asked.fact, fact));
        for (index, fact) in distinct.take(others).enumerate() {
            let other = Asked { fact, owner: owners[index + 1].clone() };
            let value = facts::value(draw, fact);
            let sentence = facts::sentence(draw, &other, &value, false);
            let turn = turn(draw, &sentence, false);
            if !turns.is_empty() && draw.chance(35) {
                // Two facts in one message.
                let place = draw.below(turns.len());
                let earlier: &mut Turn = &mut turns[place];
                earlier.user = format!("{} {sentence}", earlier.user);
                continue;
            }
            turns.insert(draw.below(turns.len() + 1), turn);
        }
        if asked.fact.statements[0].contains("{owner}") && draw.chance(60) {
            // The same fact about somebody else, so that the owner must be looked at.
            let other = Asked { fact: asked.fact, owner: owners[3].clone() };
            let value = facts::value(draw, asked.fact);
            let sentence = facts::sentence(draw, &other, &value, false);
            let turn = turn(draw, &sentence, false);
            turns.insert(draw.below(turns.len() + 1), turn);
        }
        for _ in 0..draw.weighted(&[40, 40, 20]) {
            let (user, answer) = one(draw, &facts::SMALL_TALK);
            let turn = Turn { user: (*user).to_owned(), answer: (*answer).to_owned() };
            turns.insert(draw.below(turns.len() + 1), turn);
        }
        Self { turns, asked, told }
    }

    fn answer(&self) -> (String, Check) {
        match self.told.last() {
            Some(Told { value, .. }) => {
                let answer = fill(self.asked.fact.answer, &[("owner", &self.asked.owner), ("value", value)]);
                (answer, Check::Says(value.clone()))
            }
            None => (format!("You have not told me {} yet.", self.topic()), Check::Says("not told".to_owned())),
        }
    }

    fn thought(&self, effort: ReasoningEffort) -> String {
        let topic = self.topic().replace("your ", "the ");
        let Some((latest, earlier)) = self.told.split_last() else {
            return match effort {
                ReasoningEffort::Low => "The user did not tell me.".to_owned(),
                ReasoningEffort::Medium => format!("The user asks for {topic}. The user did not tell me."),
                ReasoningEffort::High => format!(
                    "The user asks for {topic}. I look at all that the user said. The user did not tell me. I must not \
                     guess."
                ),
            };
        };
        let value = &latest.value;
        let said = match earlier.first() {
            None => format!("The user said: \"{}\"", latest.sentence),
            Some(first) => format!("The user said: \"{}\" Later: \"{}\"", first.sentence, latest.sentence),
        };
        let change = if earlier.is_empty() { "It did not change later." } else { "It changed, the latest counts." };
        match effort {
            ReasoningEffort::Low => format!("It is {value}."),
            ReasoningEffort::Medium => format!("The user asks for {topic}. {said} It is {value}."),
            ReasoningEffort::High => format!("The user asks for {topic}. {said} {change} So it is {value}."),
        }
    }

    /// What is asked for, as the model says it.
    fn topic(&self) -> String {
        fill(self.asked.fact.topic, &[("owner", &self.asked.owner)])
    }
}

/// The user tells a fact, alone or with a word around it.
fn turn(draw: &mut Draw, sentence: &str, is_change: bool) -> Turn {
    let answer = if is_change {
        "I see, that is new."
    } else {
        draw.pick(&["I see.", "Good to know.", "Thank you, I will remember that."])
    };
    let user = match draw.below(6) {
        0 => format!("{sentence} Please remember that."),
        1 => format!("Hi! {sentence}"),
        2 => format!("By the way: {sentence}"),
        _ => sentence.to_owned(),
    };
    Turn { user, answer: answer.to_owned() }
}
