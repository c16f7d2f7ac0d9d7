//! What system and developer messages hold besides text: effort, date, tools, response formats. Data only.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;

/// The fields of a system message. [`Default`] is what the model was trained with; JSON sets only what it names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SystemContent {
    /// The first line: who the model is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_identity: Option<String>,
    /// How long to think.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Built-in tools by namespace, rendered in alphabetic order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<BTreeMap<String, ToolNamespace>>,
    /// The current date, written as `2025-06-28`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_start_date: Option<String>,
    /// Where the training data ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knowledge_cutoff: Option<String>,
    /// The channels the model may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_config: Option<ChannelConfig>,
}

impl Default for SystemContent {
    fn default() -> Self {
        Self {
            model_identity: Some("You are ChatGPT, a large language model trained by OpenAI.".to_owned()),
            reasoning_effort: Some(ReasoningEffort::Medium),
            tools: None,
            conversation_start_date: None,
            knowledge_cutoff: Some("2024-06".to_owned()),
            channel_config: Some(ChannelConfig {
                valid_channels: ["analysis", "commentary", "final"].map(str::to_owned).to_vec(),
                channel_required: true,
            }),
        }
    }
}

impl SystemContent {
    /// Sets the effort.
    #[must_use]
    pub fn with_reasoning_effort(mut self, effort: ReasoningEffort) -> Self {
        self.reasoning_effort = Some(effort);
        self
    }

    /// Sets the current date, as `2025-06-28`.
    #[must_use]
    pub fn with_date(mut self, date: impl Into<String>) -> Self {
        self.conversation_start_date = Some(date.into());
        self
    }

    /// Adds a namespace of built-in tools.
    #[must_use]
    pub fn with_tools(mut self, namespace: ToolNamespace) -> Self {
        self.tools.get_or_insert_default().insert(namespace.name.clone(), namespace);
        self
    }
}

/// The fields of a developer message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DeveloperContent {
    /// What other interfaces call the system prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// Tools by namespace, rendered in alphabetic order; functions stand in `functions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<BTreeMap<String, ToolNamespace>>,
    /// Forms the final answer must take. The official library has no field for them, only the trained text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub response_formats: Vec<ResponseFormat>,
}

impl DeveloperContent {
    /// Sets the instructions.
    #[must_use]
    pub fn with_instructions(mut self, instructions: impl Into<String>) -> Self {
        self.instructions = Some(instructions.into());
        self
    }

    /// Adds a namespace of tools.
    #[must_use]
    pub fn with_tools(mut self, namespace: ToolNamespace) -> Self {
        self.tools.get_or_insert_default().insert(namespace.name.clone(), namespace);
        self
    }

    /// Declares functions, in the namespace `functions`.
    #[must_use]
    pub fn with_functions(self, functions: Vec<ToolDescription>) -> Self {
        self.with_tools(ToolNamespace { name: "functions".to_owned(), description: None, tools: functions })
    }

    /// Adds a form of the final answer.
    #[must_use]
    pub fn with_response_format(mut self, format: ResponseFormat) -> Self {
        self.response_formats.push(format);
        self
    }
}

/// A form the final answer must take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResponseFormat {
    /// The heading.
    pub name: String,
    /// What it is for, rendered as a comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON Schema, rendered as compact JSON.
    pub schema: Value,
}

/// Tools under one name: `functions`, `browser`, …
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolNamespace {
    /// The namespace's name, the first part of a recipient.
    pub name: String,
    /// What the tools are for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The tools; none for a namespace that is itself the recipient, such as `python`.
    pub tools: Vec<ToolDescription>,
}

/// One tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolDescription {
    /// The name within the namespace.
    pub name: String,
    /// What it does, rendered as comment lines.
    pub description: String,
    /// The JSON Schema of its arguments, if it takes any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
}

/// Which channels the system message names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelConfig {
    /// The channels; with none the line is left out.
    pub valid_channels: Vec<String>,
    /// Whether the line says that each message must have one.
    pub channel_required: bool,
}

/// How long the model is asked to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReasoningEffort {
    /// Shortly.
    #[serde(alias = "low")]
    Low,
    /// As trained by default.
    #[serde(alias = "medium")]
    Medium,
    /// Long.
    #[serde(alias = "high")]
    High,
}

impl fmt::Display for ReasoningEffort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        })
    }
}

impl FromStr for ReasoningEffort {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        match word {
            "low" => Ok(Self::Low),
            "medium" => Ok(Self::Medium),
            "high" => Ok(Self::High),
            _ => {
                Err(Error::UnknownName { what: "reasoning effort", found: word.to_owned(), known: "low, medium, high" })
            }
        }
    }
}
