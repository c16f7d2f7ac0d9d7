//! A chat completion's request to a turn. It must not know how the answer is written.

use std::collections::HashSet;
use std::time::Instant;

use agent::{Call, Item, Part, ReasoningContext, Said, Tool, ToolKind, ToolName, Truncation, TurnRequest};
use engine::{Drafts, Sampling};

use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::lower::forms;
use crate::lower::remembered::{Remembered, Spoken};
use crate::lower::responses::{instruct, tenant};
use crate::settings::Settings;
use crate::wire::chat::{ChatCall, ChatMessage, ChatRequest, Thinking};
use crate::wire::reserve;

/// Everything that decides a turn but the seed: see [`crate::wire::decoding::Decoding::sampling`].
pub(crate) async fn turn_request(app: &App, caller: &Caller, request: &ChatRequest) -> Result<TurnRequest, ApiError> {
    let calls = request.messages.iter().flat_map(|message| match message {
        ChatMessage::Assistant { calls, .. } => calls.iter().filter_map(|call| call.id.clone()).collect(),
        _ => Vec::new(),
    });
    let remembered = Remembered::of(app, caller, calls.collect()).await;
    lower(request, &remembered, app.settings(), caller)
}

/// What the agent has refused, in the terms of this request.
pub(crate) fn refused(request: &ChatRequest, error: agent::Error) -> ApiError {
    let tool = |index: usize| {
        let tool: &Tool = request.tools.get(index)?;
        let path = match tool.kind {
            ToolKind::Function { .. } if request.legacy_functions => format!("functions[{index}].parameters"),
            ToolKind::Function { .. } => format!("tools[{index}].function.parameters"),
            ToolKind::Custom(_) => format!("tools[{index}].custom.format.grammar.definition"),
        };
        Some((path, tool))
    };
    forms::refused(error, &request.form, tool).about("messages")
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
        form,
        thinking: Thinking { effort, tokens_max: reasoning_tokens_max, shown: _ },
        verbosity,
        decoding: _,
        tokens_max,
        reserve_answer_tokens,
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
        format: form.format.clone(),
        effort: effort.unwrap_or(settings.default_effort),
        reasoning_context: ReasoningContext::CurrentTurn,
        reasoning_tokens_max: *reasoning_tokens_max,
        date: settings.date.told(),
        sampling: Sampling::default(),
        answer_tokens_kept: reserve::kept(*reserve_answer_tokens, settings.reserve_answer_tokens, *tokens_max),
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
    let are_several = has_several_users(messages);
    for (index, message) in messages.iter().enumerate() {
        match message {
            ChatMessage::Instructions(text) if history.is_empty() => instructions.push(text.clone()),
            ChatMessage::Instructions(text) => history.push(Item::Developer(text.clone())),
            ChatMessage::User { name: Some(name), text } if are_several => {
                history.push(Item::User(format!("{name}: {text}")));
            }
            ChatMessage::User { name: _, text } => history.push(Item::User(text.clone())),
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

/// Whether names tell users apart. The model was trained for one, who needs none.
fn has_several_users(messages: &[ChatMessage]) -> bool {
    let names = messages.iter().filter_map(|message| match message {
        ChatMessage::User { name, text: _ } => name.as_deref(),
        _ => None,
    });
    names.collect::<HashSet<_>>().len() > 1
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
    fn names_tell_several_users_apart() {
        let said = |name: &str, text: &str| json!({ "role": "user", "name": name, "content": text });
        let alone = lowered(json!([said("anna", "a"), said("anna", "b")]), json!({})).unwrap();
        assert_eq!(alone.history, [Item::User("a".into()), Item::User("b".into())]);
        let both = lowered(json!([said("anna", "a"), said("ben", "b"), { "role": "user", "content": "c" }]), json!({}));
        let expected = ["anna: a", "ben: b", "c"].map(|text| Item::User(text.into()));
        assert_eq!(both.unwrap().history, expected);
        for name in ["", "a\nb", &"a".repeat(65)] {
            let refused = lowered(json!([said(name, "a")]), json!({})).unwrap_err();
            assert_eq!(refused.param.as_deref(), Some("messages[0].name"));
        }
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
