//! Tools that are run here, as the Responses API shows them: each kind has items and events of its own. None is offered yet; the
//! agent's events for them are. It must not know how a tool is run.

use agent::{Opening, ToolName};
use serde_json::{Value, json};

use super::event::EventKind;
use super::{HistoryItem, Open, Projection};

/// A kind of tool that is run here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(test), expect(dead_code, reason = "these tools come with a later step; tests drive their events"))]
pub(crate) enum Hosted {
    /// Searching and reading pages.
    WebSearch,
    /// Searching in files.
    FileSearch,
    /// Running Python.
    CodeInterpreter {
        /// Where it runs.
        container_id: String,
    },
    /// Running commands.
    Shell,
    /// Changing files.
    ApplyPatch,
    /// A tool of somebody's MCP server.
    Mcp {
        /// The server.
        server_label: String,
    },
}

/// A call that is written and not yet answered.
pub(super) struct Running {
    open: Open,
    hosted: Hosted,
    tokens: Option<Vec<u32>>,
    /// The item of the output, where the output is an item of its own and has begun.
    output_id: Option<String>,
}

impl Hosted {
    pub(super) fn prefix(&self) -> &'static str {
        match self {
            Self::WebSearch => "ws",
            Self::FileSearch => "fs",
            Self::CodeInterpreter { .. } => "ci",
            Self::Shell => "sh",
            Self::ApplyPatch => "apc",
            Self::Mcp { .. } => "mcp",
        }
    }

    /// The event for more of the call's input, where there is one.
    pub(super) fn delta(&self) -> Option<EventKind> {
        match self {
            Self::CodeInterpreter { .. } => Some(EventKind::CodeInterpreterCallCodeDelta),
            Self::Mcp { .. } => Some(EventKind::McpCallArgumentsDelta),
            // Their input is shown as what it means, so it must be whole.
            Self::WebSearch | Self::FileSearch | Self::Shell | Self::ApplyPatch => None,
        }
    }

    /// The item of the call as far as it goes.
    pub(super) fn item(&self, open: &Open, status: &str) -> Value {
        let Open { id, opening, text, .. } = open;
        let Opening::Call { id: call_id, tool, kind: _ } = opening else { return Value::Null };
        // What was cut off has failed where there is no word for being incomplete.
        let failed = if status == "incomplete" { "failed" } else { status };
        match self {
            Self::WebSearch => {
                json!({ "type": "web_search_call", "id": id, "status": failed, "action": search_action(tool, text) })
            }
            Self::FileSearch => {
                let queries = input(text)["queries"].clone();
                let queries = if queries.is_array() { queries } else { json!([]) };
                json!({ "type": "file_search_call", "id": id, "status": status, "queries": queries, "results": null })
            }
            Self::CodeInterpreter { container_id } => json!({
                "type": "code_interpreter_call", "id": id, "status": status, "code": text, "container_id": container_id,
                "outputs": null,
            }),
            Self::Shell => json!({
                "type": "shell_call", "id": id, "call_id": call_id, "status": status, "environment": null,
                "action": { "commands": commands(text), "timeout_ms": null, "max_output_length": null },
            }),
            // The API knows no such call that is incomplete.
            Self::ApplyPatch => json!({
                "type": "apply_patch_call", "id": id, "call_id": call_id, "operation": operation(text),
                "status": if status == "incomplete" { "completed" } else { status },
            }),
            Self::Mcp { server_label } => json!({
                "type": "mcp_call", "id": id, "server_label": server_label, "name": tool.name, "arguments": text,
                "status": status, "output": null, "error": null, "approval_request_id": null,
            }),
        }
    }

    fn begun(&self) -> Option<EventKind> {
        match self {
            Self::WebSearch => Some(EventKind::WebSearchCallInProgress),
            Self::FileSearch => Some(EventKind::FileSearchCallInProgress),
            Self::CodeInterpreter { .. } => Some(EventKind::CodeInterpreterCallInProgress),
            Self::Mcp { .. } => Some(EventKind::McpCallInProgress),
            Self::Shell | Self::ApplyPatch => None,
        }
    }

    fn working(&self) -> Option<EventKind> {
        match self {
            Self::WebSearch => Some(EventKind::WebSearchCallSearching),
            Self::FileSearch => Some(EventKind::FileSearchCallSearching),
            Self::CodeInterpreter { .. } => Some(EventKind::CodeInterpreterCallInterpreting),
            Self::Mcp { .. } | Self::Shell | Self::ApplyPatch => None,
        }
    }

    fn completed(&self) -> Option<EventKind> {
        match self {
            Self::WebSearch => Some(EventKind::WebSearchCallCompleted),
            Self::FileSearch => Some(EventKind::FileSearchCallCompleted),
            Self::CodeInterpreter { .. } => Some(EventKind::CodeInterpreterCallCompleted),
            Self::Mcp { .. } => Some(EventKind::McpCallCompleted),
            Self::Shell | Self::ApplyPatch => None,
        }
    }

    /// Whether the output is an item of its own.
    fn answers_apart(&self) -> bool {
        matches!(self, Self::Shell | Self::ApplyPatch)
    }

    /// The item of the output.
    fn output_item(&self, open: &Open, id: &str, status: &str, output: &str) -> Value {
        let Opening::Call { id: call_id, .. } = &open.opening else { return Value::Null };
        if *self == Self::Shell {
            let output = if status == "in_progress" { json!([]) } else { shell_output(output) };
            return json!({
                "type": "shell_call_output", "id": id, "call_id": call_id, "status": status, "output": output,
                "max_output_length": null,
            });
        }
        // The API knows no such output that is in progress.
        let status = if status == "incomplete" { "failed" } else { "completed" };
        json!({ "type": "apply_patch_call_output", "id": id, "call_id": call_id, "status": status, "output": output })
    }
}

impl Projection {
    /// Which of the tools that are run here this calls.
    pub(super) fn hosted_by(&self, opening: &Opening) -> Option<Hosted> {
        let Opening::Call { tool, .. } = opening else { return None };
        let found = self.options.hosted.iter().find(|(namespace, _)| *namespace == tool.namespace);
        found.map(|(_, hosted)| hosted.clone())
    }

    pub(super) fn begin_hosted(&mut self) {
        let Some(Open { id, hosted: Some(hosted), .. }) = &self.open else { return };
        let place = json!({ "item_id": id, "output_index": self.output.len() });
        if let Some(kind) = hosted.begun() {
            self.emitter.emit_at(kind, &place, json!({}));
        }
    }

    /// The call is written.
    pub(super) fn end_hosted_call(&mut self, open: Open, hosted: &Hosted, tokens: Option<Vec<u32>>, cut: bool) {
        let output_index = self.output.len();
        let place = json!({ "item_id": open.id, "output_index": output_index });
        match hosted {
            Hosted::CodeInterpreter { .. } => {
                self.emitter.emit_at(EventKind::CodeInterpreterCallCodeDone, &place, json!({ "code": open.text }));
            }
            Hosted::Mcp { .. } => {
                self.emitter.emit_at(EventKind::McpCallArgumentsDone, &place, json!({ "arguments": open.text }));
            }
            Hosted::Shell => self.tell_commands(&commands(&open.text)),
            Hosted::WebSearch | Hosted::FileSearch | Hosted::ApplyPatch => {}
        }
        if cut || hosted.answers_apart() {
            let item = open.item(if cut { "incomplete" } else { "completed" });
            self.end_hosted_item(item, tokens);
            if !cut {
                self.running = Some(Running { open, hosted: hosted.clone(), tokens: None, output_id: None });
            }
        } else {
            self.running = Some(Running { open, hosted: hosted.clone(), tokens, output_id: None });
        }
    }

    /// The tool works on the call that was written last.
    pub(super) fn tool_began(&mut self) {
        let Some(running) = &mut self.running else { return };
        let output_index = self.output.len();
        if running.hosted.answers_apart() {
            let id = (self.mint.id)(if running.hosted == Hosted::Shell { "sho" } else { "apco" });
            let item = running.hosted.output_item(&running.open, &id, "in_progress", "");
            running.output_id = Some(id);
            self.emitter.emit(EventKind::OutputItemAdded, json!({ "output_index": output_index, "item": item }));
        } else if let Some(kind) = running.hosted.working() {
            let place = json!({ "item_id": running.open.id, "output_index": output_index });
            self.emitter.emit_at(kind, &place, json!({}));
        }
    }

    /// The tool has answered.
    pub(super) fn tool_ended(&mut self, output: &str) {
        if self.running.as_ref().is_some_and(|running| running.hosted.answers_apart() && running.output_id.is_none()) {
            self.tool_began();
        }
        let Some(Running { open, hosted, tokens, output_id }) = self.running.take() else { return };
        let output_index = self.output.len();
        if let Some(id) = output_id {
            if hosted == Hosted::Shell {
                let place = json!({ "item_id": id, "output_index": output_index, "command_index": 0 });
                let kind = EventKind::ShellCallOutputContentDelta;
                self.emitter.emit_at(kind, &place, json!({ "delta": { "stdout": output } }));
                let kind = EventKind::ShellCallOutputContentDone;
                self.emitter.emit_at(kind, &place, json!({ "output": shell_output(output) }));
            }
            self.end_hosted_item(hosted.output_item(&open, &id, "completed", output), None);
            return;
        }
        let place = json!({ "item_id": open.id, "output_index": output_index });
        if let Some(kind) = hosted.completed() {
            self.emitter.emit_at(kind, &place, json!({}));
        }
        let mut item = open.item("completed");
        match hosted {
            Hosted::CodeInterpreter { .. } if self.options.code_outputs => {
                item["outputs"] = json!([{ "type": "logs", "logs": output }]);
            }
            Hosted::Mcp { .. } => item["output"] = json!(output),
            _ => {}
        }
        self.end_hosted_item(item, tokens);
    }

    /// The turn ended before the tool had answered.
    pub(super) fn break_off_hosted(&mut self) {
        let Some(Running { open, hosted, tokens, output_id }) = self.running.take() else { return };
        if hosted.answers_apart() {
            if let Some(id) = output_id {
                self.end_hosted_item(hosted.output_item(&open, &id, "incomplete", ""), None);
            }
            return;
        }
        if matches!(hosted, Hosted::Mcp { .. }) {
            let place = json!({ "item_id": open.id, "output_index": self.output.len() });
            self.emitter.emit_at(EventKind::McpCallFailed, &place, json!({}));
        }
        let mut item = open.item("incomplete");
        item["status"] = json!("failed");
        self.end_hosted_item(item, tokens);
    }

    /// What an MCP server offers, told before the turn begins.
    #[cfg_attr(not(test), expect(dead_code, reason = "MCP comes with a later step"))]
    pub(crate) fn list_tools(&mut self, server_label: &str, tools: Result<Vec<Value>, String>) -> Vec<Value> {
        let output_index = self.output.len();
        let id = (self.mint.id)("mcpl");
        let mut item = json!({ "type": "mcp_list_tools", "id": id, "server_label": server_label, "tools": [] });
        self.emitter.emit(EventKind::OutputItemAdded, json!({ "output_index": output_index, "item": item }));
        let place = json!({ "item_id": id, "output_index": output_index });
        self.emitter.emit_at(EventKind::McpListToolsInProgress, &place, json!({}));
        let kind = match tools {
            Ok(tools) => {
                item["tools"] = Value::Array(tools);
                EventKind::McpListToolsCompleted
            }
            Err(error) => {
                item["error"] = json!(error);
                EventKind::McpListToolsFailed
            }
        };
        self.emitter.emit_at(kind, &place, json!({}));
        self.end_hosted_item(item, None);
        self.emitter.take()
    }

    /// Says where something in the text that is being written comes from.
    #[cfg_attr(not(test), expect(dead_code, reason = "citations come with the tools that search"))]
    pub(crate) fn annotate(&mut self, annotation: Value) -> Vec<Value> {
        let output_index = self.output.len();
        if let Some(open) = &mut self.open
            && matches!(open.opening, Opening::Message(_))
        {
            let fields = json!({
                "item_id": open.id, "output_index": output_index, "content_index": 0,
                "annotation_index": open.annotations.len(), "annotation": annotation,
            });
            open.annotations.push(annotation);
            self.emitter.emit(EventKind::OutputTextAnnotationAdded, fields);
        }
        self.emitter.take()
    }

    /// A message that refuses, in place of what the model would have said.
    #[cfg_attr(not(test), expect(dead_code, reason = "a filter that refuses comes with a later step"))]
    pub(crate) fn refuse(&mut self, text: &str) -> Vec<Value> {
        self.end_item(None, true);
        let id = (self.mint.id)("msg");
        let output_index = self.output.len();
        let message = |status: &str, content: Value| {
            json!({
                "type": "message", "id": id, "role": "assistant", "status": status, "phase": "final_answer",
                "content": content,
            })
        };
        let item = message("in_progress", json!([]));
        self.emitter.emit(EventKind::OutputItemAdded, json!({ "output_index": output_index, "item": item }));
        let place = json!({ "item_id": id, "output_index": output_index, "content_index": 0 });
        let part = json!({ "type": "refusal", "refusal": text });
        let empty = json!({ "type": "refusal", "refusal": "" });
        self.emitter.emit_at(EventKind::ContentPartAdded, &place, json!({ "part": empty }));
        self.emitter.emit_at(EventKind::RefusalDelta, &place, json!({ "delta": text }));
        self.emitter.emit_at(EventKind::RefusalDone, &place, json!({ "refusal": text }));
        self.emitter.emit_at(EventKind::ContentPartDone, &place, json!({ "part": part }));
        let item = message("completed", json!([part]));
        self.end_hosted_item(item, None);
        self.emitter.take()
    }

    fn end_hosted_item(&mut self, item: Value, tokens: Option<Vec<u32>>) {
        let output_index = self.output.len();
        self.emitter.emit(EventKind::OutputItemDone, json!({ "output_index": output_index, "item": item }));
        self.output.push(HistoryItem { value: item, tokens });
    }

    fn tell_commands(&mut self, commands: &[String]) {
        let output_index = self.output.len();
        for (index, command) in commands.iter().enumerate() {
            // These events have no item_id.
            let place = json!({ "output_index": output_index, "command_index": index });
            self.emitter.emit_at(EventKind::ShellCallCommandAdded, &place, json!({ "command": "" }));
            self.emitter.emit_at(EventKind::ShellCallCommandDelta, &place, json!({ "delta": command }));
            self.emitter.emit_at(EventKind::ShellCallCommandDone, &place, json!({ "command": command }));
        }
    }
}

/// The input of a call as an object; what is not JSON has no fields.
fn input(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn search_action(tool: &ToolName, text: &str) -> Value {
    let input = input(text);
    let field = |name: &str| input[name].as_str().map_or_else(|| input[name].to_string(), str::to_owned);
    match tool.name.as_str() {
        "open" => json!({ "type": "open_page", "url": field("id") }),
        "find" => json!({ "type": "find_in_page", "url": field("url"), "pattern": field("pattern") }),
        _ => json!({ "type": "search", "query": field("query"), "queries": [field("query")] }),
    }
}

/// The command lines of a call.
fn commands(text: &str) -> Vec<String> {
    let input = input(text);
    let words =
        ["command", "cmd", "commands"].into_iter().find_map(|name| input.get(name)).cloned().unwrap_or_default();
    match words {
        Value::String(command) => vec![command],
        Value::Array(words) => {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            // A script in a shell's argument is the command that is meant.
            let script = words.iter().position(|word| *word == "-lc" || *word == "-c").and_then(|at| words.get(at + 1));
            vec![script.map_or_else(|| words.join(" "), |script| (*script).to_owned())]
        }
        _ => Vec::new(),
    }
}

fn operation(text: &str) -> Value {
    let input = input(text);
    let field = |name: &str| input[name].as_str().unwrap_or_default().to_owned();
    match input["type"].as_str() {
        Some("delete_file") => json!({ "type": "delete_file", "path": field("path") }),
        Some("create_file") => json!({ "type": "create_file", "path": field("path"), "diff": field("diff") }),
        _ => json!({ "type": "update_file", "path": field("path"), "diff": field("diff") }),
    }
}

fn shell_output(output: &str) -> Value {
    json!([{ "stdout": output, "stderr": "", "outcome": { "type": "exit", "exit_code": 0 } }])
}
