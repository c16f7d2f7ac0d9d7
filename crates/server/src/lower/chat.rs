//! A chat completion's request to a turn. It must not know how the answer is written.

use std::collections::HashSet;
use std::time::Instant;

use agent::{Call, Item, Part, ReasoningContext, Said, ToolName, Truncation, TurnRequest};
use engine::{Drafts, Sampling};

use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::lower::remembered::{Remembered, Spoken};
use crate::lower::responses::{instruct, tenant};
use crate::settings::Settings;
use crate::wire::chat::{ChatCall, ChatMessage, ChatRequest, Thinking};

/// Everything that decides a turn but the seed: see [`crate::wire::decoding::Decoding::sampling`].
pub(crate) async fn turn_request(app: &App, caller: &Caller, request: &ChatRequest) -> Result<TurnRequest, ApiError> {
    let calls = request.messages.iter().flat_map(|message| match message {
        ChatMessage::Assistant { calls, .. } => calls.iter().filter_map(|call| call.id.clone()).collect(),
        _ => Vec::new(),
    });
    let remembered = Remembered::of(app, caller, calls.collect()).await;
    lower(request, &remembered, app.settings(), caller)
}

fn lower(
    request: &ChatRequest,
    remembered: &Remembered,
    settings: &Settings,
    caller: &Caller,
) -> Result<TurnRequest, ApiError> {
    let ChatRequest {
        model: _,
        messages,
        raw_messages: _,
        tools,
        legacy_functions: _,
        tool_choice,
        parallel_tool_calls,
        format,
        thinking: Thinking { effort, tokens_max: reasoning_tokens_max, shown: _ },
        verbosity,
        decoding: _,
        tokens_max,
        stop,
        choices: _,
        top_logprobs,
        stream: _,
        store: _,
        metadata: _,
        service_tier: _,
        priority,
        cache_salt,
    } = request;
    let (instructions, history) = conversation(messages, remembered)?;
    Ok(TurnRequest {
        instructions: instruct(None, instructions, *verbosity),
        history,
        tools: tools.clone(),
        tool_choice: tool_choice.clone(),
        parallel_tool_calls: *parallel_tool_calls,
        format: format.clone(),
        effort: effort.unwrap_or(settings.default_effort),
        reasoning_context: ReasoningContext::CurrentTurn,
        reasoning_tokens_max: *reasoning_tokens_max,
        date: settings.date.told(),
        sampling: Sampling::default(),
        answer_tokens_kept: 0,
        output_tokens_max: *tokens_max,
        tool_calls_max: None,
        stop: stop.clone(),
        top_logprobs: *top_logprobs,
        truncation: Truncation::Disabled,
        priority: *priority,
        deadline: settings.request_timeout.map(|time| Instant::now() + time),
        tenant: tenant(caller, cache_salt.as_deref()),
        cached: true,
        drafts: Drafts::default(),
        built_in: Vec::new(),
    })
}

/// What is said before everything are the instructions; what comes in the middle stays there.
fn conversation(messages: &[ChatMessage], remembered: &Remembered) -> Result<(Vec<String>, Vec<Item>), ApiError> {
    let mut instructions = Vec::new();
    let mut history = Vec::new();
    let mut calls = Calls::default();
    for (index, message) in messages.iter().enumerate() {
        match message {
            ChatMessage::Instructions(text) if history.is_empty() => instructions.push(text.clone()),
            ChatMessage::Instructions(text) => history.push(Item::Developer(text.clone())),
            ChatMessage::User(text) => history.push(Item::User(text.clone())),
            ChatMessage::Assistant { reasoning, content, calls: made } => {
                let thoughts = reasoning.iter().map(|text| Said::from(Part::Reasoning(text.clone()))).collect();
                let made = made.iter().map(|call| calls.made(call)).collect();
                history.extend(remembered.items(Spoken { thoughts, text: content.clone(), calls: made }));
            }
            ChatMessage::Tool { call_id, text } => {
                if !calls.ids.contains(call_id) {
                    let message =
                        format!("no call {call_id:?} comes before its output; send the assistant's message with it");
                    return Err(ApiError::invalid(format!("messages[{index}].tool_call_id"), message));
                }
                history.push(Item::Output { call_id: call_id.clone(), text: text.clone() });
            }
            ChatMessage::Function { name, text } => {
                let Some(call_id) = calls.last_of(name) else {
                    let message =
                        format!("no call of {name:?} comes before its output; send the assistant's message with it");
                    return Err(ApiError::invalid(format!("messages[{index}].name"), message));
                };
                history.push(Item::Output { call_id, text: text.clone() });
            }
        }
    }
    Ok((instructions, history))
}

/// Calls seen so far.
#[derive(Default)]
struct Calls {
    ids: HashSet<String>,
    /// Name and id of older calls, which had no id of their own.
    unnamed: Vec<(String, String)>,
}

impl Calls {
    fn made(&mut self, call: &ChatCall) -> Call {
        let ChatCall { id, name, kind, input } = call;
        let id = id.clone().unwrap_or_else(|| {
            let id = format!("call_unnamed_{}", self.unnamed.len());
            self.unnamed.push((name.clone(), id.clone()));
            id
        });
        self.ids.insert(id.clone());
        Call { id, tool: ToolName::function(name.clone()), kind: *kind, input: input.clone() }
    }

    fn last_of(&self, name: &str) -> Option<String> {
        self.unnamed.iter().rev().find(|(called, _)| called == name).map(|(_, id)| id.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn lowered(messages: Value, extra: Value) -> Result<TurnRequest, ApiError> {
        let mut body = json!({ "model": "m", "messages": messages });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        lower(&ChatRequest::read(&body)?, &Remembered::default(), &Settings::default(), &Caller::anyone())
    }

    #[test]
    fn what_comes_first_are_the_instructions() {
        let messages = json!([
            { "role": "system", "content": "a" }, { "role": "developer", "content": "b" }, { "role": "user", "content": "q" },
            { "role": "system", "content": "c" },
        ]);
        let request = lowered(messages, json!({ "verbosity": "low" })).unwrap();
        assert_eq!(request.instructions.as_deref(), Some("a\n\nb\n\nKeep your answers short."));
        assert_eq!(request.history, [Item::User("q".into()), Item::Developer("c".into())]);
    }

    #[test]
    fn outputs_need_their_call() {
        let error = lowered(json!([{ "role": "tool", "tool_call_id": "x", "content": "" }]), json!({})).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("messages[0].tool_call_id"));
        let error = lowered(json!([{ "role": "function", "name": "x", "content": "" }]), json!({})).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("messages[0].name"));
    }

    #[test]
    fn older_calls_get_ids() {
        let call = json!({ "role": "assistant", "function_call": { "name": "f", "arguments": "{}" } });
        let answer = json!({ "role": "function", "name": "f", "content": "4" });
        let request = lowered(json!([call, answer, call, answer]), json!({})).unwrap();
        let ids = request.history.iter().filter_map(|item| match item {
            Item::Output { call_id, .. } => Some(call_id.as_str()),
            Item::User(_) | Item::Developer(_) | Item::Said(_) => None,
        });
        let ids = ids.collect::<Vec<_>>();
        assert_eq!(ids, ["call_unnamed_0", "call_unnamed_1"]);
    }

    #[test]
    fn a_salt_separates() {
        let plain = lowered(json!([{ "role": "user", "content": "" }]), json!({})).unwrap().tenant;
        let salted = lowered(json!([{ "role": "user", "content": "" }]), json!({ "cache_salt": "s" })).unwrap().tenant;
        assert_eq!(plain, Caller::anyone().tenant());
        assert_ne!(plain, salted);
    }
}
