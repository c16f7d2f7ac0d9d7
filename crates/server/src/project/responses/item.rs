//! Items of a response's output as JSON. It must not know when they are told.

use agent::{CallKind, Opening, Phase, ToolName};
use serde_json::{Value, json};

use super::Open;

impl Open {
    /// The item before it says anything: it has no parts yet.
    pub(super) fn item_in_progress(&self) -> Value {
        let mut item = self.item("in_progress");
        if item.get("content").is_some() {
            item["content"] = json!([]);
        }
        item
    }

    /// The item as far as it goes.
    pub(super) fn item(&self, status: &str) -> Value {
        let Self { id, opening, hosted, text, .. } = self;
        if let Some(hosted) = hosted {
            return hosted.item(self, status);
        }
        match opening {
            Opening::Reasoning => {
                json!({ "type": "reasoning", "id": id, "summary": [], "content": [self.part()], "status": status })
            }
            Opening::Message(phase) => {
                let phase = match phase {
                    Phase::Commentary => "commentary",
                    Phase::Final => "final_answer",
                };
                let content = [self.part()];
                json!({
                    "type": "message", "id": id, "role": "assistant", "status": status, "phase": phase, "content": content,
                })
            }
            Opening::Call { id: call_id, tool, kind } => {
                let (item_type, input) = match kind {
                    CallKind::Function => ("function_call", "arguments"),
                    CallKind::Custom => ("custom_tool_call", "input"),
                };
                let mut item = json!({ "type": item_type, "id": id, "call_id": call_id, "name": tool_name(tool) });
                if tool.namespace != "functions" && !tool.name.is_empty() {
                    item["namespace"] = json!(tool.namespace);
                }
                item[input] = json!(text);
                item["status"] = json!(status);
                item
            }
        }
    }

    /// The one part of an item that has parts.
    pub(super) fn part(&self) -> Option<Value> {
        let Self { opening, text, logprobs, annotations, .. } = self;
        match opening {
            Opening::Reasoning => Some(json!({ "type": "reasoning_text", "text": text })),
            Opening::Message(_) => {
                Some(json!({ "type": "output_text", "text": text, "annotations": annotations, "logprobs": logprobs }))
            }
            Opening::Call { .. } => None,
        }
    }
}

/// The name of a tool within its namespace.
pub(super) fn tool_name(tool: &ToolName) -> &str {
    if tool.name.is_empty() { &tool.namespace } else { &tool.name }
}
