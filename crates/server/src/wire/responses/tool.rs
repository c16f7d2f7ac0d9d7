//! Tools as they are given. It must not know which of them are run here.

use agent::{CustomFormat, Tool, ToolKind, ToolName};
use serde_json::Value;

use crate::error::ApiError;
use crate::wire::fields::{At, Fields};
use crate::wire::form::SYNTAXES;
use crate::wire::schema;

/// Tools of one request.
const TOOLS_MAX: usize = 1024;
/// Letters of a name.
const NAME_LETTERS_MAX: usize = 128;
/// Tools that a server runs, or that need a kind of model that this is not.
const HOSTED: [&str; 17] = [
    "apply_patch",
    "code_interpreter",
    "computer",
    "computer_use",
    "computer_use_preview",
    "file_search",
    "image_generation",
    "local_shell",
    "mcp",
    "programmatic_tool_calling",
    "shell",
    "tool_search",
    "web_search",
    "web_search_2025_08_26",
    "web_search_preview",
    "web_search_preview_2025_03_11",
    "x_search",
];

/// One entry of `tools`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ToolEntry {
    /// Where it stands in the request.
    pub(crate) path: String,
    /// As it came, to be echoed.
    pub(crate) value: Value,
    /// What it is.
    pub(crate) tool: CallerTool,
}

/// What an entry of `tools` is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum CallerTool {
    /// A tool of the caller's, or all those of a namespace.
    Own(Vec<Tool>),
    /// A tool that the server would run, by its type.
    Hosted(&'static str),
}

pub(super) fn read_tools(at: At<'_>) -> Result<Vec<ToolEntry>, ApiError> {
    let path = at.path.clone();
    let entries = at.array()?;
    if entries.len() > TOOLS_MAX {
        let message = format!("{path} has {} tools: expected at most {TOOLS_MAX}; send fewer", entries.len());
        return Err(ApiError::invalid(path, message));
    }
    let entries: Vec<ToolEntry> = entries.map(read_entry).collect::<Result<_, _>>()?;
    refuse_twice(&entries)?;
    Ok(entries)
}

fn read_entry(at: At<'_>) -> Result<ToolEntry, ApiError> {
    let At { value, path } = at.clone();
    let fields = at.object()?;
    let kind = fields.need("type")?;
    let tool = match kind.str()? {
        "function" | "custom" => {
            let tool = read_own(&fields, "functions")?;
            fields.finish()?;
            CallerTool::Own(vec![tool])
        }
        "namespace" => {
            let tools = read_namespace(&fields)?;
            fields.finish()?;
            CallerTool::Own(tools)
        }
        // The fields of what is not run are not read.
        name => match HOSTED.iter().find(|hosted| **hosted == name) {
            Some(hosted) => CallerTool::Hosted(hosted),
            None => return Err(kind.unknown("a type of tool: function, custom, namespace, or one that a server runs")),
        },
    };
    Ok(ToolEntry { path, value: value.clone(), tool })
}

fn read_namespace(fields: &Fields<'_>) -> Result<Vec<Tool>, ApiError> {
    let namespace = fields.need("name").and_then(check_name)?;
    let description = fields.optional("description", At::string)?.unwrap_or_default();
    let tools = fields.need("tools")?;
    let read = |at: At<'_>| {
        let fields = at.object()?;
        fields.need("type")?.word(&[("function", ()), ("custom", ())])?;
        let tool = read_own(&fields, &namespace)?;
        fields.finish()?;
        Ok::<_, ApiError>(tool)
    };
    let mut tools: Vec<Tool> = tools.array()?.map(read).collect::<Result<_, _>>()?;
    // The prompt has no place for a namespace's description but that of its tools.
    if let Some(first) = tools.first_mut()
        && !description.is_empty()
    {
        first.description = format!("[{namespace}: {description}] {}", first.description).trim_end().to_owned();
    }
    Ok(tools)
}

fn read_own(fields: &Fields<'_>, namespace: &str) -> Result<Tool, ApiError> {
    let custom = fields.need("type")?.word(&[("function", false), ("custom", true)])?;
    let name = fields.need("name").and_then(check_name)?;
    let description = fields.optional("description", At::string)?.unwrap_or_default();
    // Tools are declared at once, whoever could have waited.
    fields.optional("defer_loading", At::bool)?;
    fields.optional("allowed_callers", check_callers)?;
    let kind = if custom {
        ToolKind::Custom(fields.optional("format", read_custom_format)?.unwrap_or(CustomFormat::Text))
    } else {
        fields.optional("output_schema", schema::read_schema)?;
        ToolKind::Function {
            parameters: fields.optional("parameters", schema::of_function)?,
            strict: fields.optional("strict", At::bool)?.unwrap_or(false),
        }
    };
    Ok(Tool { name: ToolName { namespace: namespace.to_owned(), name }, description, kind })
}

fn check_callers(at: At<'_>) -> Result<(), ApiError> {
    let path = at.path.clone();
    let callers: Vec<bool> =
        at.array()?.map(|at| at.word(&[("direct", true), ("programmatic", false)])).collect::<Result<_, _>>()?;
    if callers.iter().any(|direct| *direct) {
        return Ok(());
    }
    let message = format!("{path} leaves out \"direct\": tools are called by the model here, not by programs; add it");
    Err(ApiError::unsupported(path, message))
}

fn read_custom_format(at: At<'_>) -> Result<CustomFormat, ApiError> {
    let fields = at.object()?;
    let grammar = fields.need("type")?.word(&[("text", false), ("grammar", true)])?;
    let format = if grammar {
        let read = fields.need("syntax")?.word(&SYNTAXES)?;
        CustomFormat::Grammar(fields.need("definition").and_then(read)?)
    } else {
        CustomFormat::Text
    };
    fields.finish()?;
    Ok(format)
}

fn refuse_twice(entries: &[ToolEntry]) -> Result<(), ApiError> {
    let mut names = std::collections::HashSet::new();
    for ToolEntry { path, value: _, tool } in entries {
        let CallerTool::Own(tools) = tool else { continue };
        if let Some(tool) = tools.iter().find(|tool| !names.insert(&tool.name)) {
            let message = format!("tool {} is given twice; rename one", tool.name);
            return Err(ApiError::invalid(format!("{path}.name"), message));
        }
    }
    Ok(())
}

/// The name of a tool or a namespace.
fn check_name(at: At<'_>) -> Result<String, ApiError> {
    let name = at.str()?;
    let good = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    if name.is_empty() || name.len() > NAME_LETTERS_MAX || !name.chars().all(good) {
        let what = format!("1 to {NAME_LETTERS_MAX} letters, digits, underscores and hyphens");
        return Err(at.unknown(&what));
    }
    Ok(name.to_owned())
}
