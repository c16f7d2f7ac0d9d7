//! Turns without a call although functions are declared: nothing fits, or a required value is missing. It must not know
//! how calls are made.

use harmony::{Conversation, ReasoningEffort};

use super::super::fields::Kind;
use super::declared::Function;
use super::request::{Request, compared};
use crate::draw::Draw;
use crate::item::{Check, Item, Skill};

/// A question, what the user wants, the answer, and the part of it that counts.
const SMALL: [(&str, &str, &str, &str); 8] = [
    ("Hello!", "says hello", "Hello! How can I help you?", "Hello"),
    ("Hi there", "says hello", "Hello! How can I help you?", "Hello"),
    ("Good morning!", "says hello", "Good morning! How can I help you?", "Good morning"),
    ("Thank you!", "says thanks", "You are welcome!", "welcome"),
    ("Thanks a lot", "says thanks", "You are welcome!", "welcome"),
    ("How are you?", "asks how I am", "I am well, thank you. How can I help you?", "well"),
    ("How many days does a week have?", "asks about the week", "A week has 7 days.", "7"),
    ("Goodbye", "says goodbye", "Goodbye!", "Goodbye"),
];

/// Small talk, or a wish for a function that is not there.
pub(super) fn none_fits(
    draw: &mut Draw,
    effort: ReasoningEffort,
    functions: &[Function],
    conversation: Conversation,
) -> Item {
    let (ask, wants, answer, says) = if draw.chance(10) {
        let (a, b) = (draw.between(1, 9), draw.between(1, 9));
        let (sum, answer) = ((a + b).to_string(), format!("{a} + {b} = {}.", a + b));
        (format!("What is {a} + {b}?"), "The user asks for a sum.".to_owned(), answer, sum)
    } else if draw.chance(40) {
        let (ask, wants, answer, says) = SMALL[draw.below(SMALL.len())];
        (ask.to_owned(), format!("The user {wants}."), answer.to_owned(), says.to_owned())
    } else {
        let other = loop {
            let other = Function::draw(draw);
            if !functions.iter().any(|function| is_alike(function, &other)) {
                break other;
            }
        };
        let request = Request::draw(draw, &other);
        let answer = "Sorry, I have no function for that.".to_owned();
        let wants = format!("{} It does not fit.", compared(&other.act, nearest(functions, &other)));
        (request.ask, wants, answer, "no function".to_owned())
    };
    let names: Vec<&str> = functions.iter().map(|function| function.name.as_str()).collect();
    let names = names.join(", ");
    let thought = match effort {
        ReasoningEffort::Low => format!("{wants} No function fits."),
        ReasoningEffort::Medium => format!("{wants} I have {names}. No function fits."),
        ReasoningEffort::High => {
            format!("{wants} I have {names}. No function fits. So I call nothing and just answer.")
        }
    };
    finished(effort, conversation, ask, thought, answer, says)
}

/// The user forgot a required value; it is asked for.
pub(super) fn value_missing(
    draw: &mut Draw,
    effort: ReasoningEffort,
    functions: &[Function],
    conversation: Conversation,
) -> Item {
    let function = &functions[draw.below(functions.len())];
    let Some((request, missing)) = Request::without_one(draw, function) else {
        return none_fits(draw, effort, functions, conversation);
    };
    let key = &missing.key;
    let found = format!("{} It fits.{}", compared(&function.act, function), request.filled_in());
    let thought = match effort {
        ReasoningEffort::Low => format!("{found}\n{key} is missing."),
        ReasoningEffort::Medium => format!("{found}\n{key} is missing, so I cannot call {} yet. I ask.", function.name),
        ReasoningEffort::High => format!(
            "{found}\n{key} is missing, so I cannot call {} yet. It is required and I must not guess it. I ask.",
            function.name
        ),
    };
    let options = match &missing.kind {
        Kind::Choice(options) => options.join(", "),
        Kind::InventedChoice(options) => options.join(", "),
        _ => String::new(),
    };
    let options = if options.is_empty() { options } else { format!(" It can be {options}.") };
    let answer = format!("What is the {}?{options}", missing.spoken);
    finished(effort, conversation, request.ask, thought, answer, missing.spoken)
}

fn finished(
    effort: ReasoningEffort,
    conversation: Conversation,
    ask: String,
    thought: String,
    answer: String,
    says: String,
) -> Item {
    let conversation = conversation.with_user(ask).with_assistant("analysis", thought).with_assistant("final", answer);
    Item { skill: Skill::Functions, effort, conversation, checks: vec![Check::SameCalls, Check::Says(says)] }
}

/// The function that has most words in common with what is wanted.
fn nearest<'a>(functions: &'a [Function], other: &Function) -> &'a Function {
    let in_common = |function: &&Function| {
        let wanted: Vec<&str> = other.act.split(' ').collect();
        function.act.split(' ').filter(|word| *word != "the" && wanted.contains(word)).count()
    };
    functions.iter().rev().max_by_key(in_common).expect("a function is declared")
}

/// Whether a wish for one could be taken for the other.
fn is_alike(function: &Function, other: &Function) -> bool {
    function.act == other.act || function.act.split(' ').next_back() == other.act.split(' ').next_back()
}
