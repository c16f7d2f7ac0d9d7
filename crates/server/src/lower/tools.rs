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

/// The tool at this place of [`tools`], and the path of what it takes.
pub(super) fn declared(entries: &[ToolEntry], index: usize) -> Option<(String, &Tool)> {
    let declared = entries.iter().flat_map(|ToolEntry { path, value, tool }| {
        let own: &[Tool] = match tool {
            CallerTool::Own(own) => own,
            CallerTool::Hosted(_) => &[],
        };
        let is_namespace = value["type"] == "namespace";
        own.iter().enumerate().map(move |(inner, tool)| {
            let path = if is_namespace { format!("{path}.tools[{inner}]") } else { path.clone() };
            (path, tool)
        })
    });
    let (path, tool) = declared.into_iter().nth(index)?;
    let what = match tool.kind {
        ToolKind::Function { .. } => "parameters",
        ToolKind::Custom(_) => "format.definition",
    };
    Some((format!("{path}.{what}"), tool))
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::wire::responses::CreateResponse;

    fn chosen(choice: Value) -> Result<ToolChoice, ApiError> {
        let body = json!({ "input": "x", "tool_choice": choice, "tools": [
            { "type": "function", "name": "f" },
            { "type": "custom", "name": "c" },
            { "type": "namespace", "name": "n", "tools": [{ "type": "function", "name": "g" }, { "type": "function", "name": "h" }] },
        ] });
        let create = CreateResponse::read(&body)?;
        tool_choice(&create.tool_choice, &tools(&create.tools, HostedTools::Refuse)?)
    }

    #[test]
    fn every_spelling_of_the_choice_is_understood() {
        let (f, c) = (ToolName::function("f"), ToolName::function("c"));
        let inner = |name: &str| ToolName { namespace: "n".to_owned(), name: name.to_owned() };
        let allowed = |mode: &str| json!({ "type": "allowed_tools", "mode": mode, "tools": [{ "type": "function", "name": "f" }, { "type": "custom", "name": "c" }] });
        let both = |required| ToolChoice::Allowed { tools: vec![f.clone(), c.clone()], required };
        let cases = [
            (json!("auto"), ToolChoice::Auto),
            (json!("none"), ToolChoice::None),
            (json!("required"), ToolChoice::Required),
            (json!({ "type": "function", "name": "f" }), ToolChoice::Named(f.clone())),
            (json!({ "type": "custom", "name": "c" }), ToolChoice::Named(c.clone())),
            (json!({ "type": "function", "name": "g" }), ToolChoice::Named(inner("g"))),
            (json!({ "type": "function", "name": "h", "namespace": "n" }), ToolChoice::Named(inner("h"))),
            (
                json!({ "type": "namespace", "name": "n" }),
                ToolChoice::Allowed { tools: vec![inner("g"), inner("h")], required: true },
            ),
            (allowed("auto"), both(false)),
            (allowed("required"), both(true)),
        ];
        for (choice, expected) in cases {
            assert_eq!(chosen(choice.clone()).unwrap(), expected, "{choice}");
        }
    }

    #[test]
    fn who_is_not_given_cannot_be_chosen() {
        let cases = [
            (json!({ "type": "function", "name": "c" }), "tool_choice.name"),
            (json!({ "type": "custom", "name": "f" }), "tool_choice.name"),
            (json!({ "type": "function", "name": "f", "namespace": "n" }), "tool_choice.name"),
            (json!({ "type": "namespace", "name": "m" }), "tool_choice.name"),
            (
                json!({ "type": "allowed_tools", "mode": "auto", "tools": [{ "type": "function", "name": "x" }] }),
                "tool_choice.tools[0].name",
            ),
            (json!({ "type": "shell" }), "tool_choice.type"),
        ];
        for (choice, path) in cases {
            assert_eq!(chosen(choice.clone()).unwrap_err().param.as_deref(), Some(path), "{choice}");
        }
    }
}
