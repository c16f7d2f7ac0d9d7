//! An Anthropic request to a turn. It must not know how the answer is written.

use std::collections::HashSet;
use std::time::Instant;

use agent::{Item, Part, ReasoningContext, Said, Truncation, TurnRequest};
use engine::{Drafts, Sampling};

use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::lower::forms;
use crate::lower::remembered::{Remembered, Spoken};
use crate::lower::sealed::Thought;
use crate::seal;
use crate::settings::Settings;
use crate::wire::messages::{self as wire, AssistantBlock, MessagesRequest, UserBlock};
use crate::wire::reserve;

/// Everything that decides a turn but how tokens are chosen.
pub(crate) async fn turn_request(
    app: &App,
    caller: &Caller,
    request: &MessagesRequest,
) -> Result<TurnRequest, ApiError> {
    let calls = request.messages.iter().flat_map(|message| match message {
        wire::Said::Assistant(blocks) => blocks.as_slice(),
        wire::Said::System(_) | wire::Said::User(_) => &[],
    });
    let calls = calls.filter_map(|block| match block {
        AssistantBlock::ToolUse(call) => Some(call.id.clone()),
        AssistantBlock::Text(_) | AssistantBlock::Thinking { .. } | AssistantBlock::Redacted(_) => None,
    });
    let remembered = Remembered::of(app, caller, calls.collect()).await;
    let open = |sealed: &str| Thought::open(app, caller, sealed).map(said);
    let history = history(&request.messages, &remembered, &open)?;
    Ok(lower(request, history, app.settings(), caller.tenant()))
}

/// What the agent has refused, in the terms of this request.
pub(crate) fn refused(request: &MessagesRequest, error: agent::Error) -> ApiError {
    let tool = |index: usize| Some((format!("tools[{index}].input_schema"), request.tools.get(index)?));
    forms::refused(error, &request.form, tool).about("messages")
}

/// A thought as its signature: what the client shows of it is not what counts.
pub(crate) fn signature(app: &App, caller: &Caller, said: &Said) -> String {
    let text = match &said.part {
        Part::Reasoning(text) => text.clone(),
        Part::Message { .. } | Part::Call(_) => String::new(),
    };
    seal::seal(app, caller, &Thought { text, tokens: said.tokens.clone() }.to_bytes())
}

fn said(thought: Thought) -> Said {
    let Thought { text, tokens } = thought;
    Said { part: Part::Reasoning(text), tokens }
}

fn lower(request: &MessagesRequest, history: Vec<Item>, settings: &Settings, tenant: Vec<u8>) -> TurnRequest {
    let MessagesRequest {
        model: _,
        system,
        messages: _,
        tools,
        tool_choice,
        parallel_tool_calls,
        form,
        effort,
        thinking: wire::Thinking { off: _, display: _, budget },
        decoding: _,
        tokens_max,
        reserve_answer_tokens,
        stop,
        stream: _,
        priority,
    } = request;
    TurnRequest {
        instructions: system.clone(),
        tools: tools.clone(),
        tool_choice: tool_choice.clone(),
        parallel_tool_calls: *parallel_tool_calls,
        format: form.format.clone(),
        effort: effort.unwrap_or(settings.default_effort),
        reasoning_context: ReasoningContext::CurrentTurn,
        reasoning_tokens_max: *budget,
        date: settings.date.told(),
        sampling: Sampling::default(),
        answer_tokens_kept: reserve::kept(*reserve_answer_tokens, settings.reserve_answer_tokens, *tokens_max),
        output_tokens_max: *tokens_max,
        tool_calls_max: None,
        stop: stop.clone(),
        top_logprobs: None,
        truncation: Truncation::Disabled,
        priority: *priority,
        deadline: settings.request_timeout.map(|time| Instant::now() + time),
        tenant,
        cached: true,
        drafts: Drafts::default(),
        built_in: Vec::new(),
        history,
    }
}

fn history(
    messages: &[wire::Said],
    remembered: &Remembered,
    open: &dyn Fn(&str) -> Option<Said>,
) -> Result<Vec<Item>, ApiError> {
    let mut history = Vec::new();
    let mut calls = HashSet::new();
    for message in messages {
        match message {
            wire::Said::System(text) => history.push(Item::Developer(text.clone())),
            wire::Said::User(blocks) => user(blocks, &calls, &mut history)?,
            wire::Said::Assistant(blocks) => {
                let mut spoken = Spoken::default();
                let mut texts = Vec::<&str>::new();
                for block in blocks {
                    match block {
                        AssistantBlock::Text(text) => texts.push(text),
                        AssistantBlock::Thinking { text, signature } => {
                            let shown = || (!text.is_empty()).then(|| Part::Reasoning(text.clone()).into());
                            spoken.thoughts.extend(signature.as_deref().and_then(open).or_else(shown));
                        }
                        AssistantBlock::Redacted(data) => spoken.thoughts.extend(open(data)),
                        AssistantBlock::ToolUse(call) => {
                            calls.insert(call.id.clone());
                            spoken.calls.push(call.clone());
                        }
                    }
                }
                spoken.text = (!texts.is_empty()).then(|| texts.join("\n\n"));
                history.extend(remembered.items(spoken));
            }
        }
    }
    Ok(history)
}

/// Neighbouring texts are one thing said.
fn user(blocks: &[UserBlock], calls: &HashSet<String>, history: &mut Vec<Item>) -> Result<(), ApiError> {
    let mut texts = Vec::<&str>::new();
    for block in blocks {
        match block {
            UserBlock::Text(text) => texts.push(text),
            UserBlock::ToolResult { path, call_id, text } => {
                if !calls.contains(call_id) {
                    let message = format!(
                        "no tool_use {call_id:?} comes before its result; send the assistant's message with it"
                    );
                    return Err(ApiError::invalid(format!("{path}.tool_use_id"), message));
                }
                if !texts.is_empty() {
                    history.push(Item::User(std::mem::take(&mut texts).join("\n\n")));
                }
                history.push(Item::Output { call_id: call_id.clone(), text: text.clone() });
            }
        }
    }
    if !texts.is_empty() {
        history.push(Item::User(texts.join("\n\n")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use agent::{Call, CallKind, Phase, ToolName};
    use serde_json::{Value, json};

    use super::*;

    fn lowered(messages: Value) -> Result<TurnRequest, ApiError> {
        let request = MessagesRequest::read(&json!({ "model": "m", "max_tokens": 9, "messages": messages }))?;
        let open = |sealed: &str| {
            (sealed == "ours").then(|| said(Thought { text: "sealed".into(), tokens: Some(vec![1, 2]) }))
        };
        let history = history(&request.messages, &Remembered::default(), &open)?;
        Ok(lower(&request, history, &Settings::default(), Vec::new()))
    }

    #[test]
    fn a_signature_is_the_thought_itself() {
        let thought = |signature: &str| json!({ "type": "thinking", "thinking": "shown", "signature": signature });
        let call = json!({ "type": "tool_use", "id": "a", "name": "f", "input": {} });
        let result = json!({ "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "a" }, { "type": "text", "text": "x" }, { "type": "text", "text": "y" }] });
        let request = lowered(json!([
            { "role": "assistant", "content": [thought("ours"), thought("theirs"), { "type": "redacted_thinking", "data": "z" }, { "type": "text", "text": "t" }, call] },
            result,
        ]))
        .unwrap();
        let call = Call { id: "a".into(), tool: ToolName::function("f"), kind: CallKind::Function, input: "{}".into() };
        let expected = [
            Item::Said(Said { part: Part::Reasoning("sealed".into()), tokens: Some(vec![1, 2]) }),
            Item::from(Part::Reasoning("shown".into())),
            Item::from(Part::Message { phase: Phase::Commentary, text: "t".into() }),
            Item::from(Part::Call(call)),
            Item::Output { call_id: "a".into(), text: String::new() },
            Item::User("x\n\ny".into()),
        ];
        assert_eq!(request.history, expected);
    }

    #[test]
    fn results_need_their_call() {
        let error = lowered(json!([{ "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "a" }] }]));
        assert_eq!(error.unwrap_err().param.as_deref(), Some("messages[0].content[0].tool_use_id"));
    }
}
