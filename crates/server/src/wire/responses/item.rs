//! One item of a conversation and what it means. Fields that are not known are passed over: clients hand back what other servers
//! wrote. It must not know what came before an item.

use agent::{Call, CallKind, Phase, ToolName};
use serde_json::Value;

use super::content::read_text;
use super::hosted;
use crate::error::ApiError;
use crate::wire::fields::{At, Fields};

/// What an item means.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Meaning {
    /// A message.
    Message {
        /// Whose.
        role: Role,
        /// What it says.
        text: String,
    },
    /// A thought.
    Reasoning {
        /// What it says; empty where the client does not tell.
        text: String,
        /// What the server sealed and the client kept.
        sealed: Option<String>,
    },
    /// A call of a tool of the caller's.
    Call(Call),
    /// What a tool answered.
    Output {
        /// The call that it answers.
        call_id: String,
        /// The answer.
        text: String,
    },
    /// A call of a tool that a server ran, and what it answered where that is part of the item.
    Hosted {
        /// The call.
        call: Call,
        /// The answer.
        output: Option<String>,
    },
    /// An item that is kept here, by its id.
    Reference(String),
    /// An earlier conversation, sealed.
    Compaction(String),
    /// Nothing that the model sees.
    Unseen,
}

/// Whose message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The user's.
    User,
    /// The developer's, or the system's, which means the same.
    Developer,
    /// The model's.
    Assistant(Phase),
}

impl Meaning {
    /// Reads an item.
    ///
    /// # Errors
    /// What is unknown, wrong or cannot be had, with its path.
    pub(crate) fn read(at: At<'_>) -> Result<Self, ApiError> {
        let path = at.path.clone();
        let fields = at.object()?;
        let Some(kind) = fields.get("type") else {
            if fields.get("role").is_some() {
                return read_message(&fields);
            }
            return Ok(Self::Reference(fields.need("id")?.string()?));
        };
        match kind.str()? {
            "message" => read_message(&fields),
            "reasoning" => read_reasoning(&fields),
            "function_call" => read_call(&fields, CallKind::Function, "arguments").map(Self::Call),
            "custom_tool_call" => read_call(&fields, CallKind::Custom, "input").map(Self::Call),
            "function_call_output" | "custom_tool_call_output" => {
                let text = fields.need("output").and_then(|at| read_text(at, "\n"))?;
                Ok(Self::Output { call_id: read_call_id(&fields)?, text })
            }
            "item_reference" => Ok(Self::Reference(fields.need("id")?.string()?)),
            "compaction" | "compaction_summary" => Ok(Self::Compaction(fields.need("encrypted_content")?.string()?)),
            name => match hosted::read(name, &fields)? {
                Some(meaning) => Ok(meaning),
                None if hosted::UNREADABLE.contains(&name) => {
                    let message = format!("{path} is {}: this model cannot read it; leave it out", kind.value);
                    Err(ApiError::unsupported(kind.path, message))
                }
                None => Err(kind.unknown("a type of item, such as message, reasoning or function_call_output")),
            },
        }
    }
}

fn read_message(fields: &Fields<'_>) -> Result<Meaning, ApiError> {
    let roles = [("user", 0), ("developer", 1), ("system", 1), ("assistant", 2)];
    let phases = [("commentary", Phase::Commentary), ("final_answer", Phase::Final)];
    let phase = fields.optional("phase", |at| at.word(&phases))?;
    let role = match fields.need("role")?.word(&roles)? {
        0 => Role::User,
        1 => Role::Developer,
        _ => Role::Assistant(phase.unwrap_or(Phase::Final)),
    };
    // What the model wrote was one text; what others write in parts are texts of their own.
    let between = if matches!(role, Role::Assistant(_)) { "" } else { "\n" };
    let text = fields.need("content").and_then(|at| read_text(at, between))?;
    Ok(Meaning::Message { role, text })
}

fn read_reasoning(fields: &Fields<'_>) -> Result<Meaning, ApiError> {
    let text = fields.optional("content", |at| read_text(at, ""))?.unwrap_or_default();
    // An extract is not what the model thought, so the model does not see it.
    fields.optional("summary", |at| read_text(at, ""))?;
    let sealed = fields.optional("encrypted_content", At::string)?.filter(|sealed| !sealed.is_empty());
    Ok(Meaning::Reasoning { text, sealed })
}

fn read_call(fields: &Fields<'_>, kind: CallKind, input: &'static str) -> Result<Call, ApiError> {
    let name = fields.need("name").and_then(nonempty)?;
    let namespace = fields.optional("namespace", nonempty)?;
    let input = fields.need(input)?;
    let input = match input.value {
        // Some clients hand arguments back as the object that they parsed.
        Value::Object(_) if kind == CallKind::Function => input.value.to_string(),
        _ => input.string()?,
    };
    let tool = ToolName { namespace: namespace.unwrap_or_else(|| "functions".to_owned()), name };
    Ok(Call { id: read_call_id(fields)?, tool, kind, input })
}

/// The id of a call.
pub(super) fn read_call_id(fields: &Fields<'_>) -> Result<String, ApiError> {
    fields.need("call_id").and_then(nonempty)
}

/// A string with something in it.
pub(super) fn nonempty(at: At<'_>) -> Result<String, ApiError> {
    let text = at.str()?;
    if text.is_empty() { Err(at.unknown("a text that is not empty")) } else { Ok(text.to_owned()) }
}
