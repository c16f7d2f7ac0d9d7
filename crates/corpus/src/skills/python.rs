//! Units, prices and dates through the `python` tool: a short plan, code that copies the numbers, and the printed result.
//! It must not know how a model is judged beyond the item's checks.

mod dates;
mod direct;
mod measures;
mod numbers;
mod printed;

use harmony::{Conversation, DeveloperContent, Message, ReasoningEffort, Role, SystemContent, ToolNamespace};

use super::wording::said;
use super::{effort, system};
use crate::draw::Draw;
use crate::item::{Check, Item, Skill};

pub(super) fn draw(draw: &mut Draw) -> Item {
    let effort = effort(draw);
    let system = system(draw, effort).with_tools(ToolNamespace::python());
    let today = system.conversation_start_date.clone();
    let mut conversation = begun(draw, system);
    if draw.chance(10) {
        return direct::item(draw, effort, conversation);
    }
    if draw.chance(8) {
        let (user, answer) = direct::exchange(draw);
        conversation = conversation.with_user(user).with_assistant("final", answer);
    }
    let task = task(draw, today.as_deref());
    let conversation = conversation.with_user(said(draw, &task.ask)).with_assistant("analysis", task.thought(effort));
    let conversation = task.called(draw, conversation);
    let conversation = task.answered(conversation, effort);
    Item { skill: Skill::Python, effort, conversation, checks: task.checks() }
}

/// A question that is answered with one run of code.
pub(super) struct Task {
    pub(super) ask: String,
    /// The thought at low effort: what is wanted.
    pub(super) goal: String,
    /// Added at medium effort: how it is computed.
    pub(super) plan: String,
    /// Added at high effort: what else to mind.
    pub(super) care: String,
    pub(super) code: String,
    /// What the code prints.
    pub(super) output: String,
    pub(super) answer: String,
    /// The part of the answer that was computed.
    pub(super) says: String,
}

/// A kind of task and how often it comes; it may use the current date.
type Kind = (usize, fn(&mut Draw, Option<&str>) -> Task);

const KINDS: [Kind; 14] = [
    (26, measures::conversion),
    (8, measures::temperature),
    (8, numbers::price),
    (6, numbers::discount),
    (8, numbers::percent),
    (8, numbers::average),
    (8, numbers::product),
    (7, numbers::large_sum),
    (4, numbers::difference),
    (6, numbers::share),
    (10, dates::days_between),
    (8, dates::weekday),
    (8, dates::date_after),
    (6, dates::days_until),
];

/// A random task; `today` is the date in the system message.
pub(super) fn task(draw: &mut Draw, today: Option<&str>) -> Task {
    let weights: Vec<usize> = KINDS.iter().map(|(weight, _)| *weight).collect();
    KINDS[draw.weighted(&weights)].1(draw, today)
}

impl Task {
    /// What is thought before the call.
    pub(super) fn thought(&self, effort: ReasoningEffort) -> String {
        match effort {
            ReasoningEffort::Low => self.goal.clone(),
            ReasoningEffort::Medium => format!("{}\n{}", self.goal, self.plan),
            ReasoningEffort::High => format!("{}\n{}\n{}", self.goal, self.plan, self.care),
        }
    }

    /// The call and its result, which some notebooks end with a line break and others do not.
    pub(super) fn called(&self, draw: &mut Draw, conversation: Conversation) -> Conversation {
        let call = Message::new(Role::Assistant, self.code.clone())
            .with_channel("analysis")
            .with_recipient("python")
            .with_content_type("code");
        let output = format!("{}{}", self.output, if draw.chance(50) { "\n" } else { "" });
        let result = Message::tool_result("python", "analysis", output);
        conversation.with_message(call).with_message(result)
    }

    /// The answer, at high effort after a look at the result.
    pub(super) fn answered(&self, conversation: Conversation, effort: ReasoningEffort) -> Conversation {
        let conversation = match effort {
            ReasoningEffort::High => conversation.with_assistant("analysis", format!("The result is {}.", self.output)),
            ReasoningEffort::Low | ReasoningEffort::Medium => conversation,
        };
        conversation.with_assistant("final", self.answer.clone())
    }

    pub(super) fn checks(&self) -> Vec<Check> {
        vec![Check::SameCalls, Check::Says(self.says.clone())]
    }
}

const INSTRUCTIONS: [&str; 6] = [
    "You are a helpful assistant.",
    "Use python for numbers and dates.",
    "Answer in one short sentence.",
    "Be kind and brief.",
    "Help the user.",
    "Compute with python. Do not guess.",
];

fn begun(draw: &mut Draw, system: SystemContent) -> Conversation {
    let conversation = Conversation::default().with_system(system);
    if !draw.chance(15) {
        return conversation;
    }
    conversation.with_developer(DeveloperContent::default().with_instructions(draw.pick(&INSTRUCTIONS)))
}
