//! Items of tools that a server ran, here or elsewhere, as they come back with a conversation: calls in the words that the model was
//! trained for, with their outputs. It must not know how such tools are run.

use agent::{Call, CallKind, ToolName};
use serde_json::{Value, json};

use super::item::{Meaning, nonempty, read_call_id};
use crate::error::ApiError;
use crate::wire::fields::{At, Fields};

/// Items that exist, of things that this model has no words for.
pub(super) const UNREADABLE: [&str; 10] = [
    "additional_tools",
    "compaction_trigger",
    "computer_call",
    "computer_call_output",
    "image_generation_call",
    "program",
    "program_output",
    "tool_search_call",
    "tool_search_output",
    "x_search_call",
];

/// Stands for an output that the item does not hold.
const NOT_KEPT: &str = "(the result was not kept)";

/// Reads an item of this type; `None` if there is no such type here.
pub(super) fn read(kind: &str, fields: &Fields<'_>) -> Result<Option<Meaning>, ApiError> {
    Ok(Some(match kind {
        "web_search_call" => search(fields)?,
        "file_search_call" => {
            let queries = fields.optional("queries", strings)?.unwrap_or_default();
            let input = json!({ "queries": queries }).to_string();
            let results = fields.get("results").map(|at| at.value.to_string());
            answered(fields, ("file_search", "msearch"), input, results)?
        }
        "code_interpreter_call" => code(fields)?,
        "mcp_call" => {
            let tool = ToolName {
                namespace: fields.need("server_label").and_then(nonempty)?,
                name: fields.need("name").and_then(nonempty)?,
            };
            let output = fields.optional("output", At::string)?;
            let error = fields.get("error").map(|at| format!("error: {}", plain(at.value)));
            let call =
                Call { id: id(fields)?, tool, kind: CallKind::Function, input: fields.need("arguments")?.string()? };
            Meaning::Hosted { call, output: output.or(error).or_else(|| Some(NOT_KEPT.to_owned())) }
        }
        "shell_call" => {
            let action = fields.need("action")?.object()?;
            let script = action.need("commands").and_then(strings)?.join("\n");
            asked(
                read_call_id(fields)?,
                ("container", "exec"),
                json!({ "command": ["bash", "-lc", script] }).to_string(),
            )
        }
        "local_shell_call" => {
            let action = fields.need("action")?.object()?;
            let command = action.need("command").and_then(strings)?;
            asked(read_call_id(fields)?, ("container", "exec"), json!({ "command": command }).to_string())
        }
        "apply_patch_call" => {
            let patch = fields.need("operation").and_then(patch)?;
            asked(read_call_id(fields)?, ("repo_browser", "apply_patch"), json!({ "patch": patch }).to_string())
        }
        "shell_call_output" => {
            let text = fields.need("output").and_then(shell_output)?;
            Meaning::Output { call_id: read_call_id(fields)?, text }
        }
        "local_shell_call_output" => {
            // Clients name the call by either.
            let call_id = if fields.get("call_id").is_some() { read_call_id(fields)? } else { id(fields)? };
            Meaning::Output { call_id, text: fields.need("output")?.string()? }
        }
        "apply_patch_call_output" => {
            let status = fields.optional("status", At::string)?.unwrap_or_default();
            let output = fields.optional("output", At::string)?;
            Meaning::Output { call_id: read_call_id(fields)?, text: output.unwrap_or(status) }
        }
        "mcp_list_tools" | "mcp_approval_request" | "mcp_approval_response" => Meaning::Unseen,
        _ => return Ok(None),
    }))
}

fn search(fields: &Fields<'_>) -> Result<Meaning, ApiError> {
    let Some(action) = fields.get("action") else {
        return answered(fields, ("browser", "search"), json!({ "query": "" }).to_string(), None);
    };
    let action = action.object()?;
    let text = |name| action.optional(name, At::string);
    let (name, input) = match action.need("type")?.str()? {
        "open_page" => ("open", json!({ "id": text("url")?.unwrap_or_default() })),
        "find_in_page" | "find" => ("find", json!({ "pattern": text("pattern")?.unwrap_or_default() })),
        _ => {
            let queries = action.optional("queries", strings)?.unwrap_or_default();
            ("search", json!({ "query": text("query")?.unwrap_or_else(|| queries.join("; ")) }))
        }
    };
    answered(fields, ("browser", name), input.to_string(), None)
}

fn code(fields: &Fields<'_>) -> Result<Meaning, ApiError> {
    let code = fields.optional("code", At::string)?.unwrap_or_default();
    let logs = |at: At<'_>| {
        let outputs = at.array()?.map(|at| at.object()?.optional("logs", At::string));
        let outputs: Vec<Option<String>> = outputs.collect::<Result<_, ApiError>>()?;
        Ok(outputs.into_iter().flatten().collect::<Vec<_>>().join("\n"))
    };
    let output = fields.optional("outputs", logs)?;
    let tool = ToolName { namespace: "python".to_owned(), name: String::new() };
    let call = Call { id: id(fields)?, tool, kind: CallKind::Custom, input: code };
    Ok(Meaning::Hosted { call, output: output.or_else(|| Some(NOT_KEPT.to_owned())) })
}

/// A call whose output is part of its item.
fn answered(
    fields: &Fields<'_>,
    tool: (&str, &str),
    input: String,
    output: Option<String>,
) -> Result<Meaning, ApiError> {
    let output = output.or_else(|| Some(NOT_KEPT.to_owned()));
    Ok(Meaning::Hosted { call: call(id(fields)?, tool, input), output })
}

/// A call whose output is an item of its own.
fn asked(id: String, tool: (&str, &str), input: String) -> Meaning {
    Meaning::Hosted { call: call(id, tool, input), output: None }
}

fn call(id: String, (namespace, name): (&str, &str), input: String) -> Call {
    let tool = ToolName { namespace: namespace.to_owned(), name: name.to_owned() };
    Call { id, tool, kind: CallKind::Function, input }
}

fn id(fields: &Fields<'_>) -> Result<String, ApiError> {
    fields.need("id").and_then(nonempty)
}

fn strings(at: At<'_>) -> Result<Vec<String>, ApiError> {
    at.array()?.map(At::string).collect()
}

/// An operation on a file in the form that the model writes.
fn patch(at: At<'_>) -> Result<String, ApiError> {
    let fields = at.object()?;
    let heads = [("create_file", "Add"), ("update_file", "Update"), ("delete_file", "Delete")];
    let head = fields.need("type")?.word(&heads)?;
    let path = fields.need("path")?.string()?;
    let diff = fields.optional("diff", At::string)?.unwrap_or_default();
    Ok(format!("*** Begin Patch\n*** {head} File: {path}\n{diff}\n*** End Patch"))
}

fn shell_output(at: At<'_>) -> Result<String, ApiError> {
    let one = |at: At<'_>| {
        let fields = at.object()?;
        let text = |name| fields.optional(name, At::string).map(Option::unwrap_or_default);
        let outcome = fields.get("outcome").map(|at| plain(&at.value["exit_code"])).filter(|code| code != "null");
        let ending = match outcome.as_deref() {
            None | Some("0") => String::new(),
            Some(code) => format!("exit code {code}"),
        };
        let texts = [text("stdout")?, text("stderr")?, ending];
        Ok(texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n"))
    };
    if at.value.is_string() {
        return at.string();
    }
    let outputs: Vec<String> = at.array()?.map(one).collect::<Result<_, ApiError>>()?;
    Ok(outputs.join("\n"))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
