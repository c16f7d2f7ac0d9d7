//! Sums, differences and small products, and small stories about them. How they are worked out on paper is in `columns`.
//! It must not know how a model is judged beyond the item's checks.

mod columns;
mod phrases;

use harmony::{Conversation, DeveloperContent, ReasoningEffort};

use super::invented;
use super::system;
use super::wording::{fill, one, said};
use crate::draw::Draw;
use crate::item::{Check, Item, Skill};
use columns::Operation;
use phrases::Phrase;

pub(super) fn draw(draw: &mut Draw) -> Item {
    let effort = effort(draw);
    if draw.chance(4) {
        return too_long(draw, effort);
    }
    let weights: Vec<usize> = KINDS.iter().map(|(weight, _)| *weight).collect();
    let question = KINDS[draw.weighted(&weights)].1(draw);
    let mut conversation = Conversation::default().with_system(system(draw, effort));
    if draw.chance(15) {
        let instructions = draw.pick(&phrases::INSTRUCTIONS);
        conversation = conversation.with_developer(DeveloperContent::default().with_instructions(instructions));
    }
    if draw.chance(8) {
        conversation = earlier(draw, conversation);
    }
    let conversation = conversation
        .with_user(said(draw, &question.ask))
        .with_assistant("analysis", question.thought(effort))
        .with_assistant("final", question.answer.clone());
    Item { skill: Skill::Arithmetic, effort, conversation, checks: vec![Check::Says(question.says)] }
}

/// Low effort comes less often: there the digits can hardly be learnt.
fn effort(draw: &mut Draw) -> ReasoningEffort {
    [ReasoningEffort::Low, ReasoningEffort::Medium, ReasoningEffort::High][draw.weighted(&[22, 39, 39])]
}

/// A kind of question and how often it comes.
type Kind = (usize, fn(&mut Draw) -> Question);

const KINDS: [Kind; 6] = [(50, sum), (17, difference), (11, product), (4, quotient), (4, sum_of_three), (14, story)];

/// What is asked, and the answer.
struct Question {
    ask: String,
    operation: Operation,
    /// What a story asks for; nothing if the user asks for the operation itself.
    told: bool,
    answer: String,
    says: String,
}

impl Question {
    /// The question of a phrase with the operands `a` and `b`; the result is `c`.
    fn new(draw: &mut Draw, phrases: &[Phrase], operation: Operation, a: i64, b: i64) -> Self {
        let (ask, answer) = one(draw, phrases);
        let result = operation.result();
        let values = [("a", &*a.to_string()), ("b", &*b.to_string()), ("c", &*result.to_string())];
        Self {
            ask: fill(ask, &values),
            operation,
            told: false,
            answer: fill(answer, &values),
            says: format!(" {result}."),
        }
    }

    fn thought(&self, effort: ReasoningEffort) -> String {
        let (operation, expression) = (&self.operation, self.operation.expression());
        let equation = operation.equation();
        let opening = if self.told { format!("{}: {expression}.\n", operation.verb()) } else { String::new() };
        match effort {
            ReasoningEffort::Low => equation,
            ReasoningEffort::Medium => format!("{opening}{}\nSo {equation}", operation.steps()),
            ReasoningEffort::High => format!(
                "{opening}{}\nSo {equation}\n{}\nThat is right. {equation}",
                operation.steps(),
                operation.check()
            ),
        }
    }
}

fn sum(draw: &mut Draw) -> Question {
    let (a, b) = (operand(draw), operand(draw));
    Question::new(draw, &phrases::SUMS, Operation::Sum(a, b), a, b)
}

fn difference(draw: &mut Draw) -> Question {
    let (a, b) = (operand(draw), operand(draw));
    let (a, b) = if a < b && draw.chance(75) { (b, a) } else { (a, b) };
    Question::new(draw, &phrases::DIFFERENCES, Operation::Difference(a, b), a, b)
}

fn product(draw: &mut Draw) -> Question {
    let (a, b) = factors(draw);
    Question::new(draw, &phrases::PRODUCTS, Operation::Product(a, b), a, b)
}

fn quotient(draw: &mut Draw) -> Question {
    let (b, result) = (draw.between(1, 12), draw.between(1, 12));
    Question::new(draw, &phrases::QUOTIENTS, Operation::Quotient(b * result, b), b * result, b)
}

/// Numbers that are too long are not guessed at.
fn too_long(draw: &mut Draw, effort: ReasoningEffort) -> Item {
    let digits = draw.between(4, 7) as u32;
    let long = draw.between(10_i64.pow(digits - 1), 10_i64.pow(digits) - 1).to_string();
    let other = if draw.chance(50) { draw.between(100, 99_999) } else { operand(draw) }.to_string();
    let (a, b) = if other.len() < 4 && draw.chance(30) { (&other, &long) } else { (&long, &other) };
    let (ask, answer) = one(draw, &phrases::TOO_LONG);
    let thought = match effort {
        ReasoningEffort::Low => format!("{long} is too long for me."),
        ReasoningEffort::Medium => format!("{long} has more than 3 digits. It is too long for me, so I say so."),
        ReasoningEffort::High => {
            format!("{long} has more than 3 digits. It is too long for me. I must not guess the result, so I say so.")
        }
    };
    let conversation = Conversation::default()
        .with_system(system(draw, effort))
        .with_user(said(draw, &fill(ask, &[("a", a), ("b", b)])))
        .with_assistant("analysis", thought)
        .with_assistant("final", fill(answer, &[("c", &long)]));
    Item { skill: Skill::Arithmetic, effort, conversation, checks: vec![Check::Says("too long for me".to_owned())] }
}

fn sum_of_three(draw: &mut Draw) -> Question {
    let terms = [(); 3].map(|()| if draw.chance(70) { draw.between(1, 9) } else { draw.between(10, 25) });
    let [a, b, c] = terms.map(|term| term.to_string());
    let operation = Operation::SumOfThree(terms);
    let result = operation.result().to_string();
    let (ask, answer) = one(draw, &phrases::SUMS_OF_THREE);
    let values = [("a", &*a), ("b", &*b), ("d", &*c), ("c", &*result)];
    let says = format!(" {result}.");
    Question { ask: fill(ask, &values), operation, told: false, answer: fill(answer, &values), says }
}

/// A story of things that are got, given away, or packed.
fn story(draw: &mut Draw) -> Question {
    let (a, b) = (operand(draw).max(2), operand(draw).max(2));
    let (stories, operation) = match draw.below(10) {
        0 => {
            let (b, result) = (draw.between(2, 12), draw.between(2, 12));
            (&phrases::QUOTIENT_STORIES[..], Operation::Quotient(b * result, b))
        }
        1..5 => (&phrases::SUM_STORIES[..], Operation::Sum(a, b)),
        5..8 if a != b => (&phrases::DIFFERENCE_STORIES[..], Operation::Difference(a.max(b), a.min(b))),
        _ => {
            let (a, b) = factors(draw);
            (&phrases::PRODUCT_STORIES[..], Operation::Product(a.max(2), b.max(2)))
        }
    };
    let (Operation::Sum(a, b) | Operation::Difference(a, b) | Operation::Product(a, b) | Operation::Quotient(a, b)) =
        operation
    else {
        unreachable!("a story has two numbers");
    };
    let result = operation.result().to_string();
    let (things, name) = (draw.pick(&phrases::THINGS), invented::name(draw));
    let (ask, answer) = one(draw, stories);
    let values =
        [("a", &*a.to_string()), ("b", &*b.to_string()), ("c", &*result), ("things", things), ("name", &*name)];
    let says = format!(" {result} {things}");
    Question { ask: fill(ask, &values), operation, told: true, answer: fill(answer, &values), says }
}

/// A number of one, two or three digits.
fn operand(draw: &mut Draw) -> i64 {
    match draw.weighted(&[15, 30, 55]) {
        0 => draw.between(0, 9),
        1 => draw.between(10, 99),
        _ => draw.between(100, 999),
    }
}

/// Two factors of the table up to 12, or one of one digit and one of two.
fn factors(draw: &mut Draw) -> (i64, i64) {
    if draw.chance(50) {
        return (draw.between(1, 12), draw.between(1, 12));
    }
    let (small, large) = (draw.between(2, 9), draw.between(10, 99));
    if draw.chance(50) { (small, large) } else { (large, small) }
}

/// An exchange before, with an answer in the same form.
fn earlier(draw: &mut Draw, conversation: Conversation) -> Conversation {
    let (a, b) = (draw.between(1, 9), draw.between(1, 9));
    let question = Question::new(draw, &phrases::SUMS, Operation::Sum(a, b), a, b);
    conversation.with_user(said(draw, &question.ask)).with_assistant("final", question.answer)
}
