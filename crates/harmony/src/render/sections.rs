//! The text of system and developer messages, section by section, as the model was trained on it.

use std::collections::BTreeMap;

use super::SchemaRendering;
use super::json_text::json_text;
use super::resolve::resolve;
use super::typescript::type_text;
use crate::chat_content::{DeveloperContent, ResponseFormat, SystemContent, ToolDescription, ToolNamespace};

/// The line about functions appears when the conversation declares some.
pub(super) fn system_text(content: &SystemContent, has_functions: bool, schemas: SchemaRendering) -> String {
    let SystemContent {
        model_identity,
        reasoning_effort,
        tools,
        conversation_start_date,
        knowledge_cutoff,
        channel_config,
    } = content;
    let cutoff = knowledge_cutoff.as_ref().map(|date| format!("Knowledge cutoff: {date}"));
    let date = conversation_start_date.as_ref().map(|date| format!("Current date: {date}"));
    let top: Vec<String> = [model_identity.clone(), cutoff, date].into_iter().flatten().collect();
    let top = (!top.is_empty()).then(|| top.join("\n"));
    let effort = reasoning_effort.map(|effort| format!("Reasoning: {effort}"));
    let channels = channel_config.as_ref().filter(|config| !config.valid_channels.is_empty()).map(|config| {
        let mut line = format!("# Valid channels: {}.", config.valid_channels.join(", "));
        if config.channel_required {
            line.push_str(" Channel must be included for every message.");
        }
        if has_functions {
            line.push_str("\nCalls to these tools must go to the commentary channel: 'functions'.");
        }
        line
    });
    let sections: Vec<String> =
        [top, effort, tools_text(tools.as_ref(), schemas), channels].into_iter().flatten().collect();
    sections.join("\n\n")
}

pub(super) fn developer_text(content: &DeveloperContent, schemas: SchemaRendering) -> String {
    let DeveloperContent { instructions, tools, response_formats } = content;
    let instructions = instructions.as_ref().map(|text| format!("# Instructions\n\n{text}"));
    let formats = (!response_formats.is_empty()).then(|| {
        let formats: Vec<String> = response_formats.iter().map(format_text).collect();
        format!("# Response Formats\n\n{}", formats.join("\n\n"))
    });
    let sections: Vec<String> =
        [instructions, tools_text(tools.as_ref(), schemas), formats].into_iter().flatten().collect();
    sections.join("\n\n")
}

fn format_text(format: &ResponseFormat) -> String {
    let ResponseFormat { name, description, schema } = format;
    let mut text = format!("## {name}\n\n");
    comment(description.as_deref().unwrap_or_default(), &mut text);
    text.push_str(&json_text(schema));
    text
}

/// No section without namespaces; namespaces stand in alphabetic order.
fn tools_text(tools: Option<&BTreeMap<String, ToolNamespace>>, schemas: SchemaRendering) -> Option<String> {
    let tools = tools.filter(|tools| !tools.is_empty())?;
    let namespaces: Vec<String> = tools.values().map(|namespace| namespace_text(namespace, schemas)).collect();
    Some(format!("# Tools\n\n{}", namespaces.join("\n\n")))
}

fn namespace_text(namespace: &ToolNamespace, schemas: SchemaRendering) -> String {
    let ToolNamespace { name, description, tools } = namespace;
    let mut text = format!("## {name}\n\n");
    let description = description.as_deref().unwrap_or_default();
    if tools.is_empty() {
        // The heading's blank line is all there is without a description: the model never saw one.
        let lines: Vec<&str> = description.lines().collect();
        text.push_str(&lines.join("\n"));
        if lines.is_empty() {
            text.pop();
        }
        return text;
    }
    comment(description, &mut text);
    text.push_str(&format!("namespace {name} {{\n\n"));
    for tool in tools {
        tool_text(tool, schemas, &mut text);
    }
    text.push_str(&format!("}} // namespace {name}"));
    text
}

fn tool_text(tool: &ToolDescription, schemas: SchemaRendering, text: &mut String) {
    let ToolDescription { name, description, parameters } = tool;
    comment(description, text);
    let parameters = match (parameters, schemas) {
        (None, _) => String::new(),
        (Some(schema), SchemaRendering::Library) => format!("_: {}", type_text(schema, "")),
        (Some(schema), SchemaRendering::Resolved) => format!("_: {}", type_text(&resolve(schema), "")),
    };
    text.push_str(&format!("type {name} = ({parameters}) => any;\n\n"));
}

fn comment(lines: &str, text: &mut String) {
    for line in lines.lines() {
        text.push_str(&format!("// {line}\n"));
    }
}
