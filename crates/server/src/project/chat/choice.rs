//! One choice of a chat completion. It must not know chunks.

use agent::{CallKind, Ending, Opening, Outcome, Part, Said, TokenLogprob, ToolName, TurnEvent};
use serde_json::{Value, json};

use super::ChatHead;
use crate::project::logprob::logprob;

/// A choice, as far as it has come.
#[derive(Default)]
pub(super) struct Choice {
    text: Joined,
    thoughts: Joined,
    calls: Vec<OpenCall>,
    logprobs: Vec<Value>,
    said: Vec<Said>,
    outcome: Option<Outcome>,
    now: Now,
}

/// What an event adds to the message.
pub(super) struct Piece {
    pub(super) delta: Value,
    pub(super) logprobs: Option<Vec<Value>>,
}

/// Which part of the message grows.
#[derive(Clone, Copy, Default, PartialEq)]
enum Now {
    #[default]
    Nothing,
    Thought,
    Text,
    Call,
}

struct OpenCall {
    id: String,
    name: String,
    kind: CallKind,
    input: String,
}

/// Texts of several items in one, with an empty line between them. It comes with the second text, so that nothing hangs behind the
/// first one.
#[derive(Default)]
struct Joined {
    text: String,
    is_next: bool,
}

impl Joined {
    fn begin(&mut self) {
        self.is_next = !self.text.is_empty();
    }

    /// Adds a text and gives what was added.
    fn push(&mut self, text: &str) -> String {
        let break_comes = self.is_next && !text.is_empty();
        let added = if break_comes { format!("\n\n{text}") } else { text.to_owned() };
        self.is_next &= !break_comes;
        self.text.push_str(&added);
        added
    }
}

impl Choice {
    /// What an event adds.
    pub(super) fn push(&mut self, head: &ChatHead, event: &TurnEvent) -> Vec<Piece> {
        match event {
            // Tools that run here are no part of this API.
            TurnEvent::Reading { .. } | TurnEvent::ToolBegan { .. } | TurnEvent::ToolEnded { .. } => Vec::new(),
            TurnEvent::Began { index: _, opening } => self.begin(head, opening),
            TurnEvent::Delta { index: _, text, logprobs } => self.grow(head, text, logprobs),
            TurnEvent::Ended { index: _, said, cut } => {
                self.said.push(said.clone());
                self.close(head, said, *cut)
            }
            TurnEvent::Finished(outcome) => {
                self.outcome = Some(*outcome);
                Vec::new()
            }
        }
    }

    pub(super) fn said(&self) -> &[Said] {
        &self.said
    }

    pub(super) fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    pub(super) fn logprobs(&self) -> &[Value] {
        &self.logprobs
    }

    pub(super) fn finish_reason(&self, head: &ChatHead) -> Option<&'static str> {
        Some(match self.outcome.as_ref()?.ending {
            Ending::Answered | Ending::StopText(_) => "stop",
            Ending::Called if head.legacy_functions => "function_call",
            Ending::Called => "tool_calls",
            Ending::OutputTokens
            | Ending::Context
            | Ending::Memory
            | Ending::Deadline
            | Ending::Cancelled
            | Ending::Failed => "length",
        })
    }

    /// The whole message.
    pub(super) fn message(&self, head: &ChatHead) -> Value {
        let only_calls = self.text.text.is_empty() && !self.calls.is_empty();
        let content = (!only_calls).then_some(&self.text.text);
        let mut message = json!({ "role": "assistant", "content": content, "refusal": null, "annotations": [] });
        if head.thoughts_shown && !self.thoughts.text.is_empty() {
            message["reasoning"] = json!(self.thoughts.text);
            message["reasoning_content"] = json!(self.thoughts.text);
        }
        if head.legacy_functions {
            if let Some(call) = self.calls.first() {
                message["function_call"] = json!({ "name": call.name, "arguments": call.input });
            }
        } else if !self.calls.is_empty() {
            message["tool_calls"] = self.calls.iter().map(OpenCall::whole).collect();
        }
        message
    }

    fn begin(&mut self, head: &ChatHead, opening: &Opening) -> Vec<Piece> {
        match opening {
            Opening::Reasoning => {
                self.now = Now::Thought;
                self.thoughts.begin();
                Vec::new()
            }
            Opening::Message(_) => {
                self.now = Now::Text;
                self.text.begin();
                Vec::new()
            }
            Opening::Call { id, tool, kind } => {
                self.now = Now::Call;
                let call = OpenCall { id: id.clone(), name: spelled(tool), kind: *kind, input: String::new() };
                let opened = call.opened(head, self.calls.len());
                self.calls.push(call);
                opened.into_iter().collect()
            }
        }
    }

    fn grow(&mut self, head: &ChatHead, text: &str, logprobs: &[TokenLogprob]) -> Vec<Piece> {
        match self.now {
            Now::Nothing => Vec::new(),
            Now::Thought => {
                let added = self.thoughts.push(text);
                if !head.thoughts_shown || added.is_empty() {
                    return Vec::new();
                }
                vec![Piece { delta: json!({ "reasoning": added, "reasoning_content": added }), logprobs: None }]
            }
            Now::Text => {
                let added = self.text.push(text);
                let told: Vec<Value> = if head.logprobs { logprobs.iter().map(logprob).collect() } else { Vec::new() };
                if added.is_empty() && told.is_empty() {
                    return Vec::new();
                }
                self.logprobs.extend(told.iter().cloned());
                let told = (!told.is_empty()).then_some(told);
                vec![Piece { delta: json!({ "content": added }), logprobs: told }]
            }
            Now::Call => self.add_input(head, text).into_iter().collect(),
        }
    }

    /// A function that takes nothing is called with an empty object: what no client can parse, nobody needs.
    fn close(&mut self, head: &ChatHead, said: &Said, cut: bool) -> Vec<Piece> {
        self.now = Now::Nothing;
        match &said.part {
            Part::Call(call) if call.kind == CallKind::Function && call.input.trim().is_empty() && !cut => {
                self.add_input(head, "{}").into_iter().collect()
            }
            Part::Reasoning(_) | Part::Message { .. } | Part::Call(_) => Vec::new(),
        }
    }

    fn add_input(&mut self, head: &ChatHead, text: &str) -> Option<Piece> {
        let index = self.calls.len().checked_sub(1)?;
        let call = &mut self.calls[index];
        call.input.push_str(text);
        if text.is_empty() {
            return None;
        }
        let delta = match (head.legacy_functions, call.kind) {
            (true, _) if index > 0 => return None,
            (true, _) => json!({ "function_call": { "arguments": text } }),
            (false, CallKind::Function) => {
                json!({ "tool_calls": [{ "index": index, "function": { "arguments": text } }] })
            }
            (false, CallKind::Custom) => json!({ "tool_calls": [{ "index": index, "custom": { "input": text } }] }),
        };
        Some(Piece { delta, logprobs: None })
    }
}

impl OpenCall {
    /// The first piece of a call; there was one `function_call` before there were several.
    fn opened(&self, head: &ChatHead, index: usize) -> Option<Piece> {
        let delta = if head.legacy_functions {
            if index > 0 {
                return None;
            }
            json!({ "function_call": { "name": self.name, "arguments": "" } })
        } else {
            let mut call = self.whole();
            call["index"] = json!(index);
            json!({ "tool_calls": [call] })
        };
        Some(Piece { delta, logprobs: None })
    }

    fn whole(&self) -> Value {
        let Self { id, name, kind, input } = self;
        match kind {
            CallKind::Function => {
                json!({ "id": id, "type": "function", "function": { "name": name, "arguments": input } })
            }
            CallKind::Custom => json!({ "id": id, "type": "custom", "custom": { "name": name, "input": input } }),
        }
    }
}

/// A function's name alone, as the caller gave it.
pub(crate) fn spelled(tool: &ToolName) -> String {
    if tool.namespace == ToolName::function("").namespace { tool.name.clone() } else { tool.to_string() }
}
