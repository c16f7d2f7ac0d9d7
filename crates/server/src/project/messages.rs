//! A turn as an Anthropic message: events while it goes on, and the object at the end; the one is the other, put together. It must
//! not know requests.

mod block;

use agent::{Ending, Opening, Outcome, Part, Said, TurnEvent, Usage};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::project::chat::choice::spelled;
use crate::wire::messages::Display;
pub(crate) use block::object_of;
use block::{Block, Kind};

/// Everything about a message that is known before it begins.
pub(crate) struct MessageHead {
    /// `msg_…`.
    pub(crate) id: String,
    /// The model's name, as asked for.
    pub(crate) model: String,
    /// What is shown of thoughts.
    pub(crate) display: Display,
    /// The texts that may end the answer.
    pub(crate) stop: Vec<String>,
    /// Makes a signature of a thought: the thought itself, sealed.
    pub(crate) seal: Box<dyn Fn(&Said) -> String + Send + Sync>,
}

/// A message as far as it has come.
pub(crate) struct MessageProjection {
    head: MessageHead,
    started: bool,
    prompt_tokens: usize,
    /// Blocks that have ended.
    content: Vec<Value>,
    open: Option<Block>,
    said: Vec<Said>,
    outcome: Option<Outcome>,
}

impl MessageProjection {
    /// A message of which nothing is known yet.
    pub(crate) fn new(head: MessageHead) -> Self {
        let (content, said) = (Vec::new(), Vec::new());
        Self { head, started: false, prompt_tokens: 0, content, open: None, said, outcome: None }
    }

    /// What an event adds. The first event begins the message: only then is it known how long the prompt is.
    pub(crate) fn push(&mut self, event: &TurnEvent) -> Vec<Value> {
        let mut events = Vec::new();
        if let TurnEvent::Reading { done: _, total } = event {
            self.prompt_tokens = *total;
        }
        if !std::mem::replace(&mut self.started, true) {
            events.push(json!({ "type": "message_start", "message": self.object() }));
            events.push(ping());
        }
        match event {
            // Tools that run here are no part of this API.
            TurnEvent::Reading { .. } | TurnEvent::ToolBegan { .. } | TurnEvent::ToolEnded { .. } => {}
            TurnEvent::Began { index: _, opening } => self.begin(opening, &mut events),
            TurnEvent::Delta { index: _, text, logprobs: _ } => self.grow(text, &mut events),
            TurnEvent::Ended { index: _, said, cut: _ } => {
                self.said.push(said.clone());
                self.close(said, &mut events);
            }
            TurnEvent::Finished(outcome) => {
                self.outcome = Some(*outcome);
                let (reason, sequence) = self.stop_reason();
                let delta = json!({ "stop_reason": reason, "stop_sequence": sequence });
                events.push(json!({ "type": "message_delta", "delta": delta, "usage": self.usage() }));
                events.push(json!({ "type": "message_stop" }));
            }
        }
        events
    }

    /// What a client is told in the middle of a stream.
    pub(crate) fn fail(&self, error: &ApiError) -> Value {
        error.anthropic_body()
    }

    /// The message at this moment.
    pub(crate) fn object(&self) -> Value {
        let (reason, sequence) = self.stop_reason();
        json!({
            "id": self.head.id, "type": "message", "role": "assistant", "model": self.head.model,
            "content": self.content, "stop_reason": reason, "stop_sequence": sequence, "usage": self.usage(),
        })
    }

    /// What was said.
    pub(crate) fn said(&self) -> &[Said] {
        &self.said
    }

    fn begin(&mut self, opening: &Opening, events: &mut Vec<Value>) {
        let block = match opening {
            Opening::Reasoning if self.head.display == Display::Nothing => return,
            Opening::Reasoning => Block::new(Kind::Thinking),
            Opening::Message(_) => Block::new(Kind::Text),
            Opening::Call { id, tool, kind: _ } => Block::new(Kind::ToolUse { id: id.clone(), name: spelled(tool) }),
        };
        // A text that stays empty is no block: clients could not send it back.
        if block.kind != Kind::Text {
            events.push(self.start_of(&block));
        }
        self.open = Some(block);
    }

    fn grow(&mut self, text: &str, events: &mut Vec<Value>) {
        let Some(mut block) = self.open.take() else { return };
        if block.kind == Kind::Text && block.text.is_empty() && !text.is_empty() {
            events.push(self.start_of(&block));
        }
        block.text.push_str(text);
        let shown = block.kind != Kind::Thinking || self.head.display == Display::Full;
        let delta = block.delta(text).filter(|_| shown && !text.is_empty());
        events.extend(delta.map(|delta| self.delta_of(delta)));
        self.open = Some(block);
    }

    fn close(&mut self, said: &Said, events: &mut Vec<Value>) {
        let Some(mut block) = self.open.take() else { return };
        let whole = match &block.kind {
            Kind::Text if block.text.is_empty() => return,
            Kind::Text => json!({ "type": "text", "text": block.text }),
            Kind::Thinking => {
                if self.head.display != Display::Full {
                    block.text.clear();
                }
                let signature = (self.head.seal)(said);
                events.push(self.delta_of(json!({ "type": "signature_delta", "signature": signature })));
                json!({ "type": "thinking", "thinking": block.text, "signature": signature })
            }
            Kind::ToolUse { id, name } => {
                let input = object_of(&block.text);
                let told = json!({ "type": "input_json_delta", "partial_json": input.to_string() });
                events.push(self.delta_of(told));
                json!({ "type": "tool_use", "id": id, "name": name, "input": input })
            }
        };
        debug_assert!(matches!(said.part, Part::Reasoning(_)) == (block.kind == Kind::Thinking));
        events.push(json!({ "type": "content_block_stop", "index": self.content.len() }));
        self.content.push(whole);
    }

    fn start_of(&self, block: &Block) -> Value {
        json!({ "type": "content_block_start", "index": self.content.len(), "content_block": block.opening() })
    }

    fn delta_of(&self, delta: Value) -> Value {
        let mut event = json!({ "type": "content_block_delta", "index": self.content.len(), "delta": null });
        event["delta"] = delta;
        event
    }

    fn stop_reason(&self) -> (Option<&'static str>, Option<&str>) {
        let Some(outcome) = &self.outcome else { return (None, None) };
        match outcome.ending {
            Ending::Answered => (Some("end_turn"), None),
            Ending::Called => (Some("tool_use"), None),
            Ending::StopText(which) => (Some("stop_sequence"), self.head.stop.get(which).map(String::as_str)),
            Ending::Context => (Some("model_context_window_exceeded"), None),
            Ending::OutputTokens | Ending::Memory | Ending::Deadline | Ending::Cancelled | Ending::Failed => {
                (Some("max_tokens"), None)
            }
        }
    }

    /// Tokens that were found are counted apart from those that were read.
    fn usage(&self) -> Value {
        let unread = Usage { input_tokens: self.prompt_tokens, ..Usage::default() };
        let usage = self.outcome.as_ref().map_or(unread, |outcome| outcome.usage);
        json!({
            "input_tokens": usage.input_tokens.saturating_sub(usage.cached_tokens),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": usage.cached_tokens,
            "output_tokens": usage.output_tokens,
        })
    }
}

/// Says that the server is there.
pub(crate) fn ping() -> Value {
    json!({ "type": "ping" })
}
