//! A short word to the user on the commentary channel before a call, because the developer asks for it. It must not know
//! how calls are made up.

use harmony::{Conversation, DeveloperContent, ReasoningEffort, ToolNamespace};

use super::functions::{self, Request};
use super::python;
use super::wording::{one, said};
use super::{effort, system};
use crate::draw::Draw;
use crate::item::{Check, Item, Skill};

pub(super) fn draw(draw: &mut Draw) -> Item {
    let effort = effort(draw);
    if draw.chance(60) { before_function(draw, effort) } else { before_python(draw, effort) }
}

const INSTRUCTIONS: [&str; 8] = [
    "Before you call a tool, tell the user in one short sentence what you will do.",
    "Always tell the user what you will do before you call a tool.",
    "Say a short word to the user before each call.",
    "Before a call, write a short message to the user.",
    "Tell the user first what you will do, then do it.",
    "The user wants to know what you do. Say it before you call a tool.",
    "Write one sentence to the user before you use a tool.",
    "Be kind. Before each call, tell the user what comes.",
];

fn before_function(draw: &mut Draw, effort: ReasoningEffort) -> Item {
    let functions = functions::several(draw);
    let developer = DeveloperContent::default()
        .with_instructions(draw.pick(&INSTRUCTIONS))
        .with_functions(functions::descriptions(&functions));
    let function = one(draw, &functions);
    let request = Request::draw(draw, function);
    let preamble = format!("I will {} now.", request.doing());
    let conversation = Conversation::default()
        .with_system(system(draw, effort))
        .with_developer(developer)
        .with_user(request.ask.clone())
        .with_assistant("analysis", thought(&request.thought(effort), effort))
        .with_assistant("commentary", preamble)
        .with_message(request.call());
    let mut checks = vec![Check::SameCalls, Check::Announces];
    if draw.chance(50) {
        return Item { skill: Skill::Preamble, effort, conversation, checks };
    }
    let (conversation, says) = functions::answered(draw, effort, &request, conversation);
    checks.push(Check::Says(says));
    Item { skill: Skill::Preamble, effort, conversation, checks }
}

fn before_python(draw: &mut Draw, effort: ReasoningEffort) -> Item {
    let system = system(draw, effort).with_tools(ToolNamespace::python());
    let today = system.conversation_start_date.clone();
    let task = python::task(draw, today.as_deref());
    let conversation = Conversation::default()
        .with_system(system)
        .with_developer(DeveloperContent::default().with_instructions(draw.pick(&INSTRUCTIONS)))
        .with_user(said(draw, &task.ask))
        .with_assistant("analysis", thought(&task.thought(effort), effort))
        .with_assistant("commentary", "I will compute that now.");
    let conversation = task.called(draw, conversation);
    let conversation = task.answered(conversation, effort);
    let checks = [vec![Check::Announces], task.checks()].concat();
    Item { skill: Skill::Preamble, effort, conversation, checks }
}

/// From medium effort on, the thought also says that the user must be told.
fn thought(about_call: &str, effort: ReasoningEffort) -> String {
    match effort {
        ReasoningEffort::Low => about_call.to_owned(),
        ReasoningEffort::Medium | ReasoningEffort::High => format!("{about_call}\nFirst I tell the user."),
    }
}
