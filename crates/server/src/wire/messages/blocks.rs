//! The messages of an Anthropic request and the blocks they are made of. It must not know the rest of the request.

use agent::Call;
use agent::{CallKind, ToolName};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::wire::fields::{At, Fields};
use crate::wire::tools::name;

/// Clients put a line into the system prompt that says what the request is billed for. It changes with every request, so that no
/// prefix would ever be found again, and tells the model nothing.
const BILLING_HEADER: &str = "x-anthropic-billing-header:";

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said {
    /// Instructions in the middle of a conversation.
    System(String),
    /// From the user or from tools.
    User(Vec<UserBlock>),
    /// From the model.
    Assistant(Vec<AssistantBlock>),
}

/// A part of what a user says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum UserBlock {
    /// Text.
    Text(String),
    /// What a tool answered.
    ToolResult {
        /// Where it stands in the request.
        path: String,
        /// The call that it answers.
        call_id: String,
        /// The answer.
        text: String,
    },
}

/// A part of what the model said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AssistantBlock {
    /// Text.
    Text(String),
    /// A thought; the signature is the thought itself, sealed.
    Thinking {
        /// As it was shown.
        text: String,
        /// As it was sealed.
        signature: Option<String>,
    },
    /// A thought that is not shown.
    Redacted(String),
    /// A call.
    ToolUse(Call),
}

/// The system prompt; nothing where it says nothing.
pub(super) fn system(at: At<'_>) -> Result<Option<String>, ApiError> {
    let texts = if at.value.is_string() {
        vec![at.string()?]
    } else {
        at.array()?.map(text_block).collect::<Result<Vec<_>, _>>()?
    };
    let told: Vec<String> =
        texts.into_iter().filter(|text| !text.is_empty() && !text.starts_with(BILLING_HEADER)).collect();
    Ok((!told.is_empty()).then(|| told.join("\n\n")))
}

#[derive(Clone, Copy)]
enum Role {
    System,
    User,
    Assistant,
}

/// A message.
pub(super) fn message(at: At<'_>) -> Result<Said, ApiError> {
    let fields = at.object()?;
    let content = fields.need("content")?;
    let text = content.value.as_str().map(str::to_owned);
    match (
        fields.need("role")?.word(&[("user", Role::User), ("assistant", Role::Assistant), ("system", Role::System)])?,
        text,
    ) {
        (Role::System, Some(text)) => Ok(Said::System(text)),
        (Role::System, None) => {
            content.array()?.map(text_block).collect::<Result<Vec<_>, _>>().map(|texts| Said::System(texts.join("\n")))
        }
        (Role::User, Some(text)) => Ok(Said::User(vec![UserBlock::Text(text)])),
        (Role::User, None) => blocks(content, user_block).map(Said::User),
        (Role::Assistant, Some(text)) => Ok(Said::Assistant(vec![AssistantBlock::Text(text)])),
        (Role::Assistant, None) => blocks(content, assistant_block).map(Said::Assistant),
    }
}

fn blocks<T>(at: At<'_>, read: impl Fn(At<'_>, &Fields<'_>, &str) -> Result<T, ApiError>) -> Result<Vec<T>, ApiError> {
    if !at.value.is_array() {
        return Err(at.expected("a string or an array of blocks"));
    }
    let block = |at: At<'_>| {
        let fields = at.clone().object()?;
        let kind = fields.need("type")?.string()?;
        read(at, &fields, &kind)
    };
    at.array()?.map(block).collect()
}

fn user_block(at: At<'_>, fields: &Fields<'_>, kind: &str) -> Result<UserBlock, ApiError> {
    match kind {
        "text" => fields.need("text")?.string().map(UserBlock::Text),
        "document" => document(fields).map(UserBlock::Text),
        "tool_result" => {
            let text = fields.optional("content", result_text)?.unwrap_or_default();
            let failed = fields.optional("is_error", At::bool)?.unwrap_or(false);
            Ok(UserBlock::ToolResult {
                path: at.path,
                call_id: fields.need("tool_use_id")?.string()?,
                text: if failed { format!("The tool failed: {text}") } else { text },
            })
        }
        _ => Err(unreadable(&at, kind)),
    }
}

fn assistant_block(at: At<'_>, fields: &Fields<'_>, kind: &str) -> Result<AssistantBlock, ApiError> {
    match kind {
        "text" => fields.need("text")?.string().map(AssistantBlock::Text),
        "thinking" => Ok(AssistantBlock::Thinking {
            text: fields.need("thinking")?.string()?,
            signature: fields.optional("signature", At::string)?.filter(|signature| !signature.is_empty()),
        }),
        "redacted_thinking" => fields.need("data")?.string().map(AssistantBlock::Redacted),
        "tool_use" => {
            let input = fields.optional("input", |at| {
                if at.value.is_object() { Ok(at.value.to_string()) } else { Err(at.expected("an object")) }
            })?;
            Ok(AssistantBlock::ToolUse(Call {
                id: fields.need("id")?.string()?,
                tool: ToolName::function(fields.need("name").and_then(name)?),
                kind: CallKind::Function,
                input: input.unwrap_or_else(|| json!({}).to_string()),
            }))
        }
        _ => Err(unreadable(&at, kind)),
    }
}

fn result_text(at: At<'_>) -> Result<String, ApiError> {
    if let Value::String(text) = at.value {
        return Ok(text.clone());
    }
    let read = |at: At<'_>, fields: &Fields<'_>, kind: &str| match kind {
        "text" => fields.need("text")?.string(),
        "document" => document(fields),
        _ => Err(unreadable(&at, kind)),
    };
    blocks(at, read).map(|texts| texts.join("\n"))
}

/// A document whose source is text.
fn document(fields: &Fields<'_>) -> Result<String, ApiError> {
    let at = fields.need("source")?;
    let source = at.clone().object()?;
    match source.need("type")?.str()? {
        "text" => source.need("data")?.string(),
        "content" => source.need("content").and_then(result_text),
        kind => Err(unreadable(&at, kind)),
    }
}

fn text_block(at: At<'_>) -> Result<String, ApiError> {
    let fields = at.clone().object()?;
    match fields.need("type")?.str()? {
        "text" => fields.need("text")?.string(),
        kind => Err(unreadable(&at, kind)),
    }
}

fn unreadable(at: &At<'_>, kind: &str) -> ApiError {
    let message =
        format!("{} is of type {kind:?}: this model reads text only and this server runs no tools; send text", at.path);
    ApiError::unsupported(at.path.clone(), message)
}
