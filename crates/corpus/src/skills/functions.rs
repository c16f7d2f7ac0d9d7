//! A developer's functions: one fits and is called with the values of the user's message, or none fits, or a value is
//! missing and is asked for. It must not know how a model is judged beyond the item's checks.

mod declared;
mod known;
mod request;
mod unfit;

use harmony::{Conversation, DeveloperContent, Message, ReasoningEffort, Role, ToolDescription};
use serde_json::Value;

use super::wording::one;
use super::{effort, system};
use crate::draw::Draw;
use crate::item::{Check, Item, Skill};
pub(super) use declared::{Function, several};
pub(super) use request::Request;

pub(super) fn draw(draw: &mut Draw) -> Item {
    let effort = effort(draw);
    let functions = several(draw);
    let conversation = begun(draw, effort, &functions);
    match draw.weighted(&[76, 12, 12]) {
        0 => called(draw, effort, &functions, conversation),
        1 => unfit::none_fits(draw, effort, &functions, conversation),
        _ => unfit::value_missing(draw, effort, &functions, conversation),
    }
}

/// A call, with which the turn ends or goes on to an answer.
fn called(draw: &mut Draw, effort: ReasoningEffort, functions: &[Function], conversation: Conversation) -> Item {
    let function = one(draw, functions);
    let request = Request::draw(draw, function);
    let conversation = earlier(draw, functions, conversation)
        .with_user(request.ask.clone())
        .with_assistant("analysis", request.thought(effort));
    let conversation = conversation.with_message(request.call());
    let mut checks = vec![Check::SameCalls];
    if draw.chance(50) {
        return Item { skill: Skill::Functions, effort, conversation, checks };
    }
    let (conversation, says) = answered(draw, effort, &request, conversation);
    checks.push(Check::Says(says));
    Item { skill: Skill::Functions, effort, conversation, checks }
}

/// The function's result and the answer, and the part of the answer that comes from the result.
pub(super) fn answered(
    draw: &mut Draw,
    effort: ReasoningEffort,
    request: &Request,
    conversation: Conversation,
) -> (Conversation, String) {
    let outcome = request.outcome(draw);
    let recipient = format!("functions.{}", request.function.name);
    let conversation = conversation.with_message(Message::tool_result(recipient, "commentary", outcome.result));
    let conversation = match effort {
        ReasoningEffort::High => conversation.with_assistant("analysis", outcome.thought),
        ReasoningEffort::Low | ReasoningEffort::Medium => conversation,
    };
    (conversation.with_assistant("final", outcome.answer), outcome.says)
}

/// The call of a function with arguments as compact JSON.
pub(super) fn call(function: &Function, arguments: &Value) -> Message {
    Message::new(Role::Assistant, arguments.to_string())
        .with_channel("commentary")
        .with_recipient(format!("functions.{}", function.name))
        .with_content_type("<|constrain|>json")
}

/// What the functions are in a developer message.
pub(super) fn descriptions(functions: &[Function]) -> Vec<ToolDescription> {
    functions.iter().map(Function::description).collect()
}

const INSTRUCTIONS: [&str; 7] = [
    "You are a helpful assistant.",
    "Use the functions when they fit.",
    "Help the user.",
    "Be kind and brief.",
    "Call a function only if the user wants it.",
    "Do not guess values. Ask for them.",
    "Answer in one short sentence.",
];

fn begun(draw: &mut Draw, effort: ReasoningEffort, functions: &[Function]) -> Conversation {
    let developer = DeveloperContent::default().with_functions(descriptions(functions));
    let developer = if draw.chance(35) { developer.with_instructions(draw.pick(&INSTRUCTIONS)) } else { developer };
    Conversation::default().with_system(system(draw, effort)).with_developer(developer)
}

/// Now and then an exchange before, with or without a call.
fn earlier(draw: &mut Draw, functions: &[Function], conversation: Conversation) -> Conversation {
    match draw.below(20) {
        0 => conversation.with_user("Hello!").with_assistant("final", "Hello! How can I help you?"),
        1 => {
            let function = one(draw, functions);
            let request = Request::draw(draw, function);
            let conversation = conversation.with_user(request.ask.clone()).with_message(request.call());
            answered(draw, ReasoningEffort::Low, &request, conversation).0
        }
        _ => conversation,
    }
}
