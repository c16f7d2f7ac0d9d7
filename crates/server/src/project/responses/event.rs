//! The events of the Responses API: their names, their numbers, their padding. It must not know when they come.

use serde_json::{Map, Value};

macro_rules! event_kinds {
    ($($kind:ident = $name:literal,)*) => {
        /// What an event tells.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(super) enum EventKind { $($kind,)* }

        impl EventKind {
            /// All of them.
            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$kind,)*];

            /// Its `type`.
            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }
        }
    };
}

event_kinds! {
    Created = "response.created",
    Queued = "response.queued",
    InProgress = "response.in_progress",
    Completed = "response.completed",
    Incomplete = "response.incomplete",
    Failed = "response.failed",
    Error = "error",
    OutputItemAdded = "response.output_item.added",
    OutputItemDone = "response.output_item.done",
    ContentPartAdded = "response.content_part.added",
    ContentPartDone = "response.content_part.done",
    OutputTextDelta = "response.output_text.delta",
    OutputTextDone = "response.output_text.done",
    OutputTextAnnotationAdded = "response.output_text.annotation.added",
    RefusalDelta = "response.refusal.delta",
    RefusalDone = "response.refusal.done",
    ReasoningTextDelta = "response.reasoning_text.delta",
    ReasoningTextDone = "response.reasoning_text.done",
    ReasoningSummaryPartAdded = "response.reasoning_summary_part.added",
    ReasoningSummaryPartDone = "response.reasoning_summary_part.done",
    ReasoningSummaryTextDelta = "response.reasoning_summary_text.delta",
    ReasoningSummaryTextDone = "response.reasoning_summary_text.done",
    FunctionCallArgumentsDelta = "response.function_call_arguments.delta",
    FunctionCallArgumentsDone = "response.function_call_arguments.done",
    CustomToolCallInputDelta = "response.custom_tool_call_input.delta",
    CustomToolCallInputDone = "response.custom_tool_call_input.done",
    WebSearchCallInProgress = "response.web_search_call.in_progress",
    WebSearchCallSearching = "response.web_search_call.searching",
    WebSearchCallCompleted = "response.web_search_call.completed",
    FileSearchCallInProgress = "response.file_search_call.in_progress",
    FileSearchCallSearching = "response.file_search_call.searching",
    FileSearchCallCompleted = "response.file_search_call.completed",
    CodeInterpreterCallInProgress = "response.code_interpreter_call.in_progress",
    CodeInterpreterCallInterpreting = "response.code_interpreter_call.interpreting",
    CodeInterpreterCallCompleted = "response.code_interpreter_call.completed",
    CodeInterpreterCallCodeDelta = "response.code_interpreter_call_code.delta",
    CodeInterpreterCallCodeDone = "response.code_interpreter_call_code.done",
    ShellCallCommandAdded = "response.shell_call_command.added",
    ShellCallCommandDelta = "response.shell_call_command.delta",
    ShellCallCommandDone = "response.shell_call_command.done",
    ShellCallOutputContentDelta = "response.shell_call_output_content.delta",
    ShellCallOutputContentDone = "response.shell_call_output_content.done",
    McpListToolsInProgress = "response.mcp_list_tools.in_progress",
    McpListToolsCompleted = "response.mcp_list_tools.completed",
    McpListToolsFailed = "response.mcp_list_tools.failed",
    McpCallInProgress = "response.mcp_call.in_progress",
    McpCallArgumentsDelta = "response.mcp_call_arguments.delta",
    McpCallArgumentsDone = "response.mcp_call_arguments.done",
    McpCallCompleted = "response.mcp_call.completed",
    McpCallFailed = "response.mcp_call.failed",
}

/// A padded delta and its padding are a multiple of so many bytes.
const PADDED_BYTES: usize = 32;

/// Pads a delta.
fn pad(event: &mut Map<String, Value>) {
    if let Some(delta) = event.get("delta").and_then(Value::as_str) {
        let missing = PADDED_BYTES - delta.len() % PADDED_BYTES;
        event.insert("obfuscation".to_owned(), "x".repeat(missing).into());
    }
}

/// An event that was told before, with padding or without.
pub(crate) fn padded(event: &str, obfuscate: bool) -> String {
    let Ok(Value::Object(mut fields)) = serde_json::from_str(event) else { return event.to_owned() };
    fields.shift_remove("obfuscation");
    if obfuscate {
        pad(&mut fields);
    }
    Value::Object(fields).to_string()
}

/// Numbers events and collects them.
pub(super) struct Emitter {
    next: i64,
    obfuscate: bool,
    events: Vec<Value>,
}

impl Emitter {
    /// The first event has the number 0.
    pub(super) fn new(obfuscate: bool) -> Self {
        Self { next: 0, obfuscate, events: Vec::new() }
    }

    pub(super) fn next(&self) -> i64 {
        self.next
    }

    pub(super) fn continue_at(&mut self, sequence_number: i64) {
        self.next = sequence_number;
    }

    /// An event with these fields, which are an object.
    pub(super) fn emit(&mut self, kind: EventKind, fields: Value) {
        self.emit_at(kind, &Value::Null, fields);
    }

    /// An event with these fields, and those that say where in the response it belongs.
    pub(super) fn emit_at(&mut self, kind: EventKind, place: &Value, fields: Value) {
        let mut event = Map::new();
        event.insert("type".to_owned(), kind.name().into());
        event.insert("sequence_number".to_owned(), self.next.into());
        event.extend(place.as_object().cloned().unwrap_or_default());
        if let Value::Object(fields) = fields {
            event.extend(fields);
        }
        if self.obfuscate {
            pad(&mut event);
        }
        self.next += 1;
        self.events.push(Value::Object(event));
    }

    /// The events since the last time.
    pub(super) fn take(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.events)
    }
}
