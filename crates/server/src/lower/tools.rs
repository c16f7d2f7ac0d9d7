//! Tools and the choice among them, as the agent takes them. It must not know messages.

use agent::{Tool, ToolChoice, ToolKind, ToolName};

use crate::error::ApiError;
use crate::settings::HostedTools;
use crate::wire::responses::{CallerTool, Chosen, ToolChoice as Wanted, ToolEntry};

/// The caller's own tools. Those that OpenAI would run are refused, or passed over where the operator decided so.
pub(super) fn tools(entries: &[ToolEntry], hosted_tools: HostedTools) -> Result<Vec<Tool>, ApiError> {
    let mut tools = Vec::new();
    for ToolEntry { path, value: _, tool } in entries {
        match (tool, hosted_tools) {
            (CallerTool::Own(own), _) => tools.extend(own.iter().cloned()),
            (CallerTool::Hosted(_), HostedTools::Ignore) => {}
            (CallerTool::Hosted(kind), HostedTools::Refuse) => return Err(unsupported(path, kind)),
        }
    }
    Ok(tools)
}

/// The choice, with the names that the agent knows.
pub(super) fn tool_choice(wanted: &Wanted, tools: &[Tool]) -> Result<ToolChoice, ApiError> {
    let none_given = |path: &str| {
        let message = format!("{path} asks for a call, and there is no tool to call; give one, or let it be \"auto\"");
        Err(ApiError::invalid(path, message))
    };
    Ok(match wanted {
        Wanted::Auto => ToolChoice::Auto,
        Wanted::None => ToolChoice::None,
        Wanted::Required if tools.is_empty() => return none_given("tool_choice"),
        Wanted::Required => ToolChoice::Required,
        Wanted::Named(chosen) => match &find(chosen, tools)?[..] {
            [one] => ToolChoice::Named(one.clone()),
            several => ToolChoice::Allowed { tools: several.to_vec(), required: true },
        },
        Wanted::Allowed { tools: allowed, required } => {
            let mut names: Vec<ToolName> = Vec::new();
            for chosen in allowed {
                let found = find(chosen, tools)?;
                let new: Vec<ToolName> = found.into_iter().filter(|name| !names.contains(name)).collect();
                names.extend(new);
            }
            ToolChoice::Allowed { tools: names, required: *required }
        }
    })
}

/// The tools that are meant: one, or all of a namespace.
fn find(chosen: &Chosen, tools: &[Tool]) -> Result<Vec<ToolName>, ApiError> {
    let Chosen { path, kind, namespace, name } = chosen;
    if !matches!(kind.as_str(), "function" | "custom" | "namespace") {
        return Err(unsupported(path, kind));
    }
    let is_kind = |tool: &&Tool| match kind.as_str() {
        "function" => matches!(tool.kind, ToolKind::Function { .. }),
        "custom" => matches!(tool.kind, ToolKind::Custom(_)),
        _ => true,
    };
    let mut found: Vec<ToolName> = if kind == "namespace" {
        tools.iter().filter(|tool| tool.name.namespace == *name).map(|tool| tool.name.clone()).collect()
    } else {
        let named = |tool: &&Tool| {
            tool.name.name == *name && namespace.as_ref().is_none_or(|namespace| tool.name.namespace == *namespace)
        };
        tools.iter().filter(is_kind).filter(named).map(|tool| tool.name.clone()).collect()
    };
    if kind != "namespace" && found.len() > 1 {
        // A name that stands in several namespaces means the one outside of them.
        found.retain(|found| *found == ToolName::function(name));
    }
    if found.is_empty() {
        let given: Vec<String> = tools.iter().map(|tool| tool.name.name.clone()).collect();
        let given = if given.is_empty() { "none".to_owned() } else { given.join(", ") };
        let message = format!(
            "{path}.name: {kind} {name:?} is not among the tools given ({given}); add it, or choose one of them"
        );
        let refused = ApiError::invalid(format!("{path}.name"), message);
        return Err(ApiError { code: Some("unknown_tool"), ..refused });
    }
    Ok(found)
}

fn unsupported(path: &str, kind: &str) -> ApiError {
    let message = format!(
        "{path}: tools of type {kind:?} are not run by this server; leave it out, or let the operator set hosted_tools to \"ignore\", so that such tools are passed over"
    );
    ApiError { code: Some("unsupported_tool"), ..ApiError::invalid(format!("{path}.type"), message) }
}
