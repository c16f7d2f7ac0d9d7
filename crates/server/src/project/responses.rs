//! A turn as the Responses API shows it: a pure state machine from [`TurnEvent`]s to JSON events and to the response object. What
//! the events say, put together, is the object. It must not know HTTP, nor where responses are kept.

mod event;
mod extract;
mod head;
mod hosted;
mod item;
mod names;
mod object;

use agent::{Ending, Opening, Outcome, Said, TokenLogprob, TurnEvent, Usage};
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::history::HistoryItem;
use crate::lower::sealed::Thought;
use crate::project::logprob::logprob;
use crate::wire::responses::{CreateResponse, Summary};
use event::{Emitter, EventKind};

pub(crate) use event::padded;
pub(crate) use head::Defaults;
pub(crate) use head::ResponseHead;
pub(crate) use hosted::Hosted;
pub(crate) use names::{item_names, response_of};
pub(crate) use object::usage_value;

/// What differs from run to run: names and the time.
pub(crate) struct Mint {
    /// A new name with this prefix.
    pub(crate) id: Box<dyn FnMut(&str) -> String + Send>,
    /// Now, in Unix seconds.
    pub(crate) now: Box<dyn Fn() -> i64 + Send>,
}

/// Seals bytes for the client to keep.
pub(crate) type Seal = Box<dyn Fn(&[u8]) -> String + Send>;

/// What the client wants to see.
#[derive(Default)]
pub(crate) struct Options {
    /// Whether each thought gets an extract.
    pub(crate) summary: Option<Summary>,
    /// Whether deltas are padded.
    pub(crate) obfuscation: bool,
    /// Seals thoughts, if the client wants them sealed.
    pub(crate) seal: Option<Seal>,
    /// Whether calls of code show what it printed.
    pub(crate) code_outputs: bool,
    /// Tools that are run here, by their namespace in the model's words.
    pub(crate) hosted: Vec<(String, Hosted)>,
}

/// How far a response is.
#[derive(Clone, Debug, PartialEq)]
enum Status {
    Queued,
    InProgress,
    Completed,
    Incomplete,
    Cancelled,
    Failed { code: &'static str, message: String },
}

/// A response being made.
pub(crate) struct Projection {
    mint: Mint,
    head: ResponseHead,
    options: Options,
    emitter: Emitter,
    status: Status,
    usage: Option<Usage>,
    completed_at: Option<i64>,
    called: bool,
    dropped_items: usize,
    output: Vec<HistoryItem>,
    open: Option<Open>,
    running: Option<hosted::Running>,
}

/// The item that is being written.
struct Open {
    id: String,
    opening: Opening,
    hosted: Option<Hosted>,
    text: String,
    logprobs: Vec<Value>,
    annotations: Vec<Value>,
}

impl Options {
    /// What this request wants to see.
    pub(crate) fn of(request: &CreateResponse, seal: impl Fn(&[u8]) -> String + Send + 'static) -> Self {
        let seal: Option<Seal> = if request.include.encrypted_reasoning { Some(Box::new(seal)) } else { None };
        Self {
            summary: request.reasoning.summary,
            obfuscation: request.include_obfuscation,
            seal,
            code_outputs: request.include.code_outputs,
            hosted: Vec::new(),
        }
    }
}

impl Projection {
    /// A response that has not begun.
    pub(crate) fn new(mint: Mint, head: ResponseHead, options: Options) -> Self {
        let emitter = Emitter::new(options.obfuscation);
        Self {
            mint,
            head,
            options,
            emitter,
            status: Status::Queued,
            usage: None,
            completed_at: None,
            called: false,
            dropped_items: 0,
            output: Vec::new(),
            open: None,
            running: None,
        }
    }

    /// Events before everything: it was created, and it is in progress.
    pub(crate) fn start(&mut self) -> Vec<Value> {
        self.status = Status::InProgress;
        self.tell(EventKind::Created);
        self.tell(EventKind::InProgress);
        self.emitter.take()
    }

    /// Events of a response that waits for its turn, before everything. [`Self::begin`] follows.
    pub(crate) fn queue(&mut self) -> Vec<Value> {
        self.tell(EventKind::Created);
        self.tell(EventKind::Queued);
        self.emitter.take()
    }

    /// What was queued is in progress.
    pub(crate) fn begin(&mut self) -> Vec<Value> {
        self.status = Status::InProgress;
        self.tell(EventKind::InProgress);
        self.emitter.take()
    }

    /// What this event of the turn means to the client. Nothing, once the response has ended.
    pub(crate) fn push(&mut self, event: &TurnEvent) -> Vec<Value> {
        if self.is_over() {
            return Vec::new();
        }
        match event {
            TurnEvent::Reading { done: _, total: _ } => {}
            TurnEvent::Began { index: _, opening } => self.begin_item(opening),
            TurnEvent::Delta { index: _, text, logprobs } => self.add_delta(text, logprobs),
            TurnEvent::Ended { index: _, said, cut } => self.end_item(Some(said), *cut),
            TurnEvent::ToolBegan { call_id: _ } => self.tool_began(),
            TurnEvent::ToolEnded { call_id: _, output } => self.tool_ended(output),
            TurnEvent::Finished(outcome) => self.finish(outcome),
        }
        self.emitter.take()
    }

    /// The turn failed.
    pub(crate) fn fail(&mut self, error: &ApiError) -> Vec<Value> {
        let code = match error.status.as_u16() {
            429 => "rate_limit_exceeded",
            400..=499 => "invalid_prompt",
            _ => "server_error",
        };
        self.end_with(Status::Failed { code, message: error.message.clone() })
    }

    /// The turn was cancelled.
    pub(crate) fn cancel(&mut self) -> Vec<Value> {
        self.end_with(Status::Cancelled)
    }

    /// The items that are finished, with their tokens.
    pub(crate) fn output(&self) -> &[HistoryItem] {
        &self.output
    }

    /// Names of the calls that wait for the caller's answer, once the turn has ended in some.
    pub(crate) fn call_ids(&self) -> Vec<String> {
        let calls = self.output.iter().filter(|item| {
            self.called && matches!(item.value["type"].as_str(), Some("function_call" | "custom_tool_call"))
        });
        calls.filter_map(|item| item.value["call_id"].as_str().map(str::to_owned)).collect()
    }

    /// Whether nothing follows.
    pub(crate) fn is_over(&self) -> bool {
        !matches!(self.status, Status::Queued | Status::InProgress)
    }

    /// The number of the next event.
    pub(crate) fn next_sequence_number(&self) -> i64 {
        self.emitter.next()
    }

    /// Lets the next event have this number, for a stream that somebody else began.
    pub(crate) fn continue_at(&mut self, sequence_number: i64) {
        self.emitter.continue_at(sequence_number);
    }

    fn tell(&mut self, kind: EventKind) {
        // Moved, since `json!` copies what it is given.
        let fields = Map::from_iter([("response".to_owned(), self.response())]);
        self.emitter.emit(kind, Value::Object(fields));
    }

    fn begin_item(&mut self, opening: &Opening) {
        let hosted = self.hosted_by(opening);
        let prefix = match (&hosted, opening) {
            (Some(hosted), _) => hosted.prefix(),
            (None, Opening::Reasoning) => "rs",
            (None, Opening::Message(_)) => "msg",
            (None, Opening::Call { kind: agent::CallKind::Function, .. }) => "fc",
            (None, Opening::Call { kind: agent::CallKind::Custom, .. }) => "ctc",
        };
        self.break_off_hosted();
        let id = (self.mint.id)(prefix);
        let opening = opening.clone();
        let open = Open { id, opening, hosted, text: String::new(), logprobs: Vec::new(), annotations: Vec::new() };
        let output_index = self.output.len();
        let item = open.item_in_progress();
        self.emitter.emit(EventKind::OutputItemAdded, json!({ "output_index": output_index, "item": item }));
        if let Some(part) = open.part() {
            let place = json!({ "item_id": open.id, "output_index": output_index, "content_index": 0 });
            self.emitter.emit_at(EventKind::ContentPartAdded, &place, json!({ "part": part }));
        }
        self.open = Some(open);
        self.begin_hosted();
    }

    fn add_delta(&mut self, text: &str, logprobs: &[TokenLogprob]) {
        let Some(open) = &mut self.open else { return };
        open.text.push_str(text);
        let logprobs: Vec<Value> = logprobs.iter().map(logprob).collect();
        open.logprobs.extend(logprobs.iter().cloned());
        let kind = match (&open.hosted, &open.opening) {
            (Some(hosted), _) => match hosted.delta() {
                Some(kind) => kind,
                None => return,
            },
            (None, Opening::Reasoning) => EventKind::ReasoningTextDelta,
            (None, Opening::Message(_)) => EventKind::OutputTextDelta,
            (None, Opening::Call { kind: agent::CallKind::Function, .. }) => EventKind::FunctionCallArgumentsDelta,
            (None, Opening::Call { kind: agent::CallKind::Custom, .. }) => EventKind::CustomToolCallInputDelta,
        };
        // One object a token, which becomes the event.
        let mut fields = json!({ "item_id": open.id, "output_index": self.output.len() });
        if matches!(kind, EventKind::ReasoningTextDelta | EventKind::OutputTextDelta) {
            fields["content_index"] = json!(0);
        }
        fields["delta"] = json!(text);
        if kind == EventKind::OutputTextDelta {
            fields["logprobs"] = Value::Array(logprobs);
        }
        self.emitter.emit(kind, fields);
    }

    /// Closes the item that is open; `said` is missing where the turn broke off.
    fn end_item(&mut self, said: Option<&Said>, cut: bool) {
        let Some(open) = self.open.take() else { return };
        let tokens = said.and_then(|said| said.tokens.clone());
        let output_index = self.output.len();
        let place = json!({ "item_id": open.id, "output_index": output_index });
        let part = json!({ "item_id": open.id, "output_index": output_index, "content_index": 0 });
        let text = &open.text;
        let mut item = open.item(if cut { "incomplete" } else { "completed" });
        match (&open.hosted, &open.opening) {
            (Some(hosted), _) => {
                let hosted = hosted.clone();
                self.end_hosted_call(open, &hosted, tokens, cut);
                return;
            }
            (None, Opening::Reasoning) => {
                self.emitter.emit_at(EventKind::ReasoningTextDone, &part, json!({ "text": text }));
            }
            (None, Opening::Message(_)) => {
                let fields = json!({ "text": text, "logprobs": open.logprobs });
                self.emitter.emit_at(EventKind::OutputTextDone, &part, fields);
            }
            (None, Opening::Call { tool, kind: agent::CallKind::Function, .. }) => {
                let fields = json!({ "name": item::tool_name(tool), "arguments": text });
                self.emitter.emit_at(EventKind::FunctionCallArgumentsDone, &place, fields);
            }
            (None, Opening::Call { kind: agent::CallKind::Custom, .. }) => {
                self.emitter.emit_at(EventKind::CustomToolCallInputDone, &place, json!({ "input": text }));
            }
        }
        if let Some(done) = open.part() {
            self.emitter.emit_at(EventKind::ContentPartDone, &part, json!({ "part": done }));
        }
        if open.opening == Opening::Reasoning {
            self.end_thought(&open, &mut item, tokens.as_deref());
        }
        self.emitter.emit(EventKind::OutputItemDone, json!({ "output_index": output_index, "item": item }));
        self.output.push(HistoryItem { value: item, tokens });
    }

    /// A thought's extract and its sealed form, where they are wanted.
    fn end_thought(&mut self, open: &Open, item: &mut Value, tokens: Option<&[u32]>) {
        let extract = self.options.summary.and_then(|summary| extract::extract(&open.text, summary));
        if let Some(text) = extract {
            let place = json!({ "item_id": open.id, "output_index": self.output.len(), "summary_index": 0 });
            let part = json!({ "type": "summary_text", "text": text });
            let empty = json!({ "type": "summary_text", "text": "" });
            self.emitter.emit_at(EventKind::ReasoningSummaryPartAdded, &place, json!({ "part": empty }));
            self.emitter.emit_at(EventKind::ReasoningSummaryTextDelta, &place, json!({ "delta": text }));
            self.emitter.emit_at(EventKind::ReasoningSummaryTextDone, &place, json!({ "text": text }));
            self.emitter.emit_at(EventKind::ReasoningSummaryPartDone, &place, json!({ "part": part }));
            item["summary"] = json!([part]);
        }
        if let Some(seal) = &self.options.seal {
            let thought = Thought { text: open.text.clone(), tokens: tokens.map(<[u32]>::to_vec) };
            item["encrypted_content"] = json!(seal(&thought.to_bytes()));
        }
    }

    fn finish(&mut self, outcome: &Outcome) {
        let Outcome { ending, usage, guard: _, dropped_items } = outcome;
        self.usage = Some(*usage);
        self.dropped_items = *dropped_items;
        self.called = *ending == Ending::Called;
        let status = match ending {
            Ending::Answered | Ending::Called | Ending::StopText(_) => Status::Completed,
            Ending::OutputTokens | Ending::Context | Ending::Memory => Status::Incomplete,
            Ending::Deadline => {
                let message =
                    "the time that a response may take was over; ask for less, or let the operator allow more";
                Status::Failed { code: "server_error", message: message.to_owned() }
            }
            Ending::Cancelled => Status::Cancelled,
            Ending::Failed => {
                let message = "the model failed; the server's log says why";
                Status::Failed { code: "server_error", message: message.to_owned() }
            }
        };
        self.close(status);
    }

    fn end_with(&mut self, status: Status) -> Vec<Value> {
        if !self.is_over() {
            self.close(status);
        }
        self.emitter.take()
    }

    /// The last event: everything that is open is closed before.
    fn close(&mut self, status: Status) {
        self.end_item(None, true);
        self.break_off_hosted();
        let kind = match &status {
            Status::Completed => EventKind::Completed,
            Status::Failed { .. } => EventKind::Failed,
            // The API has no event of its own for what was cancelled; the status says it.
            Status::Incomplete | Status::Cancelled => EventKind::Incomplete,
            Status::Queued | Status::InProgress => unreachable!("a response ends with an ending"),
        };
        if status == Status::Completed {
            self.completed_at = Some((self.mint.now)());
        }
        self.status = status;
        self.tell(kind);
    }
}

/// An error where there is no response to tell it, as the event `error`.
pub(crate) fn error_event(error: &ApiError, sequence_number: i64) -> Value {
    let mut emitter = Emitter::new(false);
    emitter.continue_at(sequence_number);
    let fields = json!({ "code": error.code, "message": error.message, "param": error.param });
    emitter.emit(EventKind::Error, fields);
    emitter.take().remove(0)
}

#[cfg(test)]
mod tests;
