//! Everything in an Anthropic request but the conversation. It must not know messages.

use agent::{Effort, Tool, ToolChoice, ToolKind, ToolName};

use crate::error::ApiError;
use crate::wire::fields::{At, Fields};
use crate::wire::form::{self, Form, Layout};
use crate::wire::responses::EFFORTS;
use crate::wire::schema;
use crate::wire::tools::{list, name};

/// Most tools of a request.
const TOOLS_MAX: usize = 1024;
/// A budget below this asks for little thought, one below the other for as much as usual.
const BUDGETS: (usize, usize) = (2048, 16_384);

/// `thinking`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Thinking {
    /// Whether it is switched off.
    pub(crate) off: bool,
    /// What is shown of it.
    pub(crate) display: Display,
    /// Most tokens of it.
    pub(crate) budget: Option<usize>,
}

/// What is shown of thoughts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Display {
    /// Nothing at all, not even that there are any: the caller asks for none, yet the model answers better with them.
    #[default]
    Nothing,
    /// That there are some, and their signatures.
    Omitted,
    /// All.
    Full,
}

impl Thinking {
    pub(super) fn read(at: At<'_>) -> Result<Self, ApiError> {
        #[derive(Clone, Copy, PartialEq)]
        enum Kind {
            Enabled,
            Adaptive,
            Disabled,
        }
        let fields = at.object()?;
        let kinds = [("enabled", Kind::Enabled), ("adaptive", Kind::Adaptive), ("disabled", Kind::Disabled)];
        let kind = fields.need("type")?.word(&kinds)?;
        let budget = |at: At<'_>| at.integer(1, i64::from(u32::MAX)).map(|tokens| tokens as usize);
        let displays = [("summarized", Display::Full), ("omitted", Display::Omitted)];
        let display = fields.optional("display", |at| at.word(&displays))?.unwrap_or(Display::Full);
        let thinking = Self {
            off: kind == Kind::Disabled,
            display: if kind == Kind::Disabled { Display::Nothing } else { display },
            budget: if kind == Kind::Enabled { Some(budget(fields.need("budget_tokens")?)?) } else { None },
        };
        fields.finish()?;
        Ok(thinking)
    }

    /// What is asked for outright counts; a budget says how much is wanted, besides where it ends.
    pub(super) fn effort(self, named: Option<Effort>) -> Option<Effort> {
        let by_budget = self.budget.map(|budget| match budget {
            little if little < BUDGETS.0 => Effort::Low,
            usual if usual < BUDGETS.1 => Effort::Medium,
            _ => Effort::High,
        });
        if self.off { Some(Effort::None) } else { named.or(by_budget) }
    }
}

/// `output_config`.
#[derive(Default)]
pub(super) struct Output {
    pub(super) effort: Option<Effort>,
    pub(super) form: Option<Form>,
}

pub(super) fn output(at: At<'_>) -> Result<Output, ApiError> {
    let fields = at.object()?;
    let output =
        Output { effort: fields.optional("effort", |at| at.word(&EFFORTS))?, form: fields.optional("format", form)? };
    fields.finish()?;
    Ok(output)
}

/// What the answer is held to.
pub(super) fn form(at: At<'_>) -> Result<Form, ApiError> {
    form::read(at, Layout::Nameless)
}

/// `tools`. What else stands beside a schema (examples, caching) changes nothing about the tool.
pub(super) fn tools(fields: &Fields<'_>) -> Result<Vec<Tool>, ApiError> {
    let Some(at) = fields.get("tools") else { return Ok(Vec::new()) };
    list(at, TOOLS_MAX, tool)
}

fn tool(at: At<'_>) -> Result<Tool, ApiError> {
    let fields = at.object()?;
    if let Some(kind) = fields.get("type").filter(|kind| *kind.value != "custom") {
        let message = format!(
            "tools of type {} are run by Anthropic or made for its models; give one with an input_schema",
            kind.value
        );
        return Err(ApiError { code: Some("unsupported_tool"), ..ApiError::unsupported(kind.path, message) });
    }
    Ok(Tool {
        name: ToolName::function(fields.need("name").and_then(name)?),
        description: fields.optional("description", At::string)?.unwrap_or_default(),
        kind: ToolKind::Function {
            parameters: Some(fields.need("input_schema").and_then(schema::of_function)?),
            strict: fields.optional("strict", At::bool)?.unwrap_or(false),
        },
    })
}

/// `tool_choice`, and whether several calls may come at once.
pub(super) fn tool_choice(fields: &Fields<'_>, tools: &[Tool]) -> Result<(ToolChoice, bool), ApiError> {
    let Some(at) = fields.get("tool_choice") else { return Ok((ToolChoice::Auto, false)) };
    let path = at.path.clone();
    let choice = at.object()?;
    let kind = choice.need("type")?;
    let chosen = match kind.str()? {
        "auto" => ToolChoice::Auto,
        "none" => ToolChoice::None,
        "any" if tools.is_empty() => {
            return Err(ApiError::invalid(path, "a tool must be called but none is given; give one, or choose auto"));
        }
        "any" => ToolChoice::Required,
        "tool" => {
            let at = choice.need("name")?;
            let name = ToolName::function(at.str()?);
            if !tools.iter().any(|tool| tool.name == name) {
                let message = format!("tool {:?} was chosen but not given; add it to the tools", name.name);
                return Err(ApiError::invalid(at.path, message));
            }
            ToolChoice::Named(name)
        }
        _ => return Err(kind.expected("one of \"auto\", \"any\", \"tool\", \"none\"")),
    };
    // The model was trained for one call at a time: that is what it does unless several are asked for outright.
    let disabled = choice.optional("disable_parallel_tool_use", At::bool)?;
    choice.finish()?;
    Ok((chosen, disabled == Some(false)))
}

/// What changes nothing about an answer of ours.
pub(super) fn hints(fields: &Fields<'_>) -> Result<(), ApiError> {
    fields.optional("metadata", |at| {
        let metadata = at.object()?;
        metadata.optional("user_id", At::string)?;
        metadata.finish()
    })?;
    fields.optional("service_tier", |at| at.word(&[("auto", ()), ("standard_only", ())]))?;
    fields.optional("cache_control", |at| at.object().map(drop))?;
    // Old thoughts are cleared as the model was trained, which is what this edit asks for; no other edit is made here.
    fields.optional("context_management", |at| {
        let management = at.object()?;
        let edits = management.optional("edits", |at| {
            at.array()?.try_for_each(|at| {
                let kind = at.object()?.need("type")?;
                match kind.str()? {
                    "clear_thinking_20251015" => Ok(()),
                    other => Err(ApiError::unsupported(
                        kind.path.clone(),
                        format!("{other} is not offered here; leave it out"),
                    )),
                }
            })
        });
        edits.map(|_| ())?;
        management.finish()
    })?;
    Ok(())
}

/// What Anthropic runs on its own machines.
pub(super) fn refuse_hosted(fields: &Fields<'_>) -> Result<(), ApiError> {
    for name in ["container", "mcp_servers", "inference_geo", "speed"] {
        let Some(at) = fields.get(name) else { continue };
        if at.value.as_array().is_none_or(|array| !array.is_empty()) {
            let message = format!("{name} is not offered by this server; leave it out");
            return Err(ApiError::unsupported(at.path, message));
        }
    }
    Ok(())
}
