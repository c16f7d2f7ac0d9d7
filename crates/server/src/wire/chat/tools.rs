//! Tools of a chat request, today's and the older `functions`. It must not know how they are declared to the model.

use agent::{CustomFormat, Tool, ToolChoice, ToolKind, ToolName};

use crate::error::ApiError;
use crate::wire::fields::{At, Fields};
use crate::wire::form::SYNTAXES;
use crate::wire::schema;
use crate::wire::tools::{list, name};

/// Most tools of a request.
const TOOLS_MAX: usize = 512;

/// The tools, and whether they came as `functions`.
pub(super) struct Tools {
    pub(super) tools: Vec<Tool>,
    pub(super) legacy: bool,
}

/// `tools`, or `functions`.
pub(super) fn read(fields: &Fields<'_>) -> Result<Tools, ApiError> {
    let tools = fields.get("tools");
    let functions = fields.get("functions");
    if let (Some(_), Some(at)) = (&tools, &functions) {
        return Err(ApiError::invalid(at.path.clone(), "functions and tools are both given; give tools only"));
    }
    let legacy = functions.is_some();
    let Some(at) = tools.or(functions) else { return Ok(Tools { tools: Vec::new(), legacy }) };
    let tools = list(at, TOOLS_MAX, if legacy { function } else { tool })?;
    Ok(Tools { tools, legacy })
}

/// `tool_choice`, or `function_call`.
pub(super) fn choice(fields: &Fields<'_>, tools: &[Tool]) -> Result<ToolChoice, ApiError> {
    let older = fields.get("function_call");
    let Some(at) = fields.get("tool_choice").or(older) else { return Ok(ToolChoice::Auto) };
    if at.value.is_string() {
        let words =
            [("none", ToolChoiceWord::None), ("auto", ToolChoiceWord::Auto), ("required", ToolChoiceWord::Required)];
        return match at.clone().word(&words)? {
            ToolChoiceWord::None => Ok(ToolChoice::None),
            ToolChoiceWord::Auto => Ok(ToolChoice::Auto),
            ToolChoiceWord::Required if tools.is_empty() => {
                Err(ApiError::invalid(at.path, "a tool must be called but none is given; give one, or choose auto"))
            }
            ToolChoiceWord::Required => Ok(ToolChoice::Required),
        };
    }
    let choice = at.clone().object()?;
    let Some(kind) = choice.get("type") else {
        return choice.need("name").and_then(|at| known(at, "function", tools)).map(ToolChoice::Named);
    };
    match kind.str()? {
        "allowed_tools" => allowed(choice.need("allowed_tools")?, tools),
        "function" | "custom" => named(&at, tools).map(ToolChoice::Named),
        _ => Err(kind.expected("one of \"function\", \"custom\", \"allowed_tools\"")),
    }
}

#[derive(Clone, Copy)]
enum ToolChoiceWord {
    None,
    Auto,
    Required,
}

fn allowed(at: At<'_>, tools: &[Tool]) -> Result<ToolChoice, ApiError> {
    let fields = at.object()?;
    let required = fields.need("mode")?.word(&[("auto", false), ("required", true)])?;
    let list = fields.need("tools")?;
    if list.value.as_array().is_some_and(Vec::is_empty) {
        return Err(list.expected("at least one tool"));
    }
    let allowed = list.array()?.map(|at| named(&at, tools)).collect::<Result<_, _>>()?;
    fields.finish()?;
    Ok(ToolChoice::Allowed { tools: allowed, required })
}

/// `{type, function: {name}}` or `{type, custom: {name}}`; the name may also stand beside the type, as in the Responses API.
fn named(at: &At<'_>, tools: &[Tool]) -> Result<ToolName, ApiError> {
    let fields = at.clone().object()?;
    let kind = fields.need("type")?.word(&[("function", "function"), ("custom", "custom")])?;
    match (fields.get(kind), fields.get("name")) {
        (None, Some(name)) => known(name, kind, tools),
        (_, _) => fields.need(kind)?.object()?.need("name").and_then(|at| known(at, kind, tools)),
    }
}

fn known(at: At<'_>, kind: &str, tools: &[Tool]) -> Result<ToolName, ApiError> {
    let name = at.str()?;
    let fits = |tool: &&Tool| tool.name.name == name && matches!(tool.kind, ToolKind::Custom(_)) == (kind == "custom");
    let tool = tools.iter().find(fits);
    tool.map(|tool| tool.name.clone()).ok_or_else(|| {
        let message = format!("{kind} {name:?} was chosen but not given; add it to the tools");
        ApiError::invalid(at.path, message)
    })
}

fn tool(at: At<'_>) -> Result<Tool, ApiError> {
    let fields = at.object()?;
    let kind = fields.need("type")?;
    match kind.str()? {
        "function" => fields.need("function").and_then(function),
        "custom" => fields.need("custom").and_then(custom),
        other => {
            let message = format!("tools of type {other:?} are not offered here; expected \"function\" or \"custom\"");
            Err(ApiError { code: Some("unsupported_tool"), ..ApiError::unsupported(kind.path, message) })
        }
    }
}

fn function(at: At<'_>) -> Result<Tool, ApiError> {
    let fields = at.object()?;
    Ok(Tool {
        name: ToolName::function(fields.need("name").and_then(name)?),
        description: fields.optional("description", At::string)?.unwrap_or_default(),
        kind: ToolKind::Function {
            parameters: fields.optional("parameters", schema::of_function)?,
            strict: fields.optional("strict", At::bool)?.unwrap_or(false),
        },
    })
}

fn custom(at: At<'_>) -> Result<Tool, ApiError> {
    let fields = at.object()?;
    let format = fields.optional("format", |at| {
        let format = at.object()?;
        if format.need("type")?.word(&[("text", true), ("grammar", false)])? {
            return Ok(CustomFormat::Text);
        }
        let grammar = format.need("grammar")?.object()?;
        let read = grammar.need("syntax")?.word(&SYNTAXES)?;
        grammar.need("definition").and_then(read).map(CustomFormat::Grammar)
    })?;
    Ok(Tool {
        name: ToolName::function(fields.need("name").and_then(name)?),
        description: fields.optional("description", At::string)?.unwrap_or_default(),
        kind: ToolKind::Custom(format.unwrap_or(CustomFormat::Text)),
    })
}
