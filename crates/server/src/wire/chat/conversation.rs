//! The messages of a chat request. It must not know how a conversation is told to the model.

use agent::CallKind;
use serde_json::Value;

use crate::error::ApiError;
use crate::wire::fields::{At, Fields};
use crate::wire::tools::name;

/// Most letters of a user's name.
const USER_LETTERS_MAX: usize = 64;

/// A message. What the model said before may have been written by anybody.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ChatMessage {
    /// From `developer` or `system`.
    Instructions(String),
    /// From `user`.
    User {
        /// Which of several users it is.
        name: Option<String>,
        /// What is said.
        text: String,
    },
    /// From `assistant`.
    Assistant {
        /// What it thought, where the client keeps that.
        reasoning: Option<String>,
        /// What it said; a refusal is text as well.
        content: Option<String>,
        /// Whom it called.
        calls: Vec<ChatCall>,
    },
    /// From `tool`.
    Tool {
        /// Which call it answers.
        call_id: String,
        /// The answer.
        text: String,
    },
    /// From `function`, as before there were tools: it answers the last call of this name.
    Function {
        /// Whom it comes from.
        name: String,
        /// The answer.
        text: String,
    },
}

/// A call that the model made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChatCall {
    /// Names it; an older `function_call` has no name.
    pub(crate) id: Option<String>,
    /// Whom it calls.
    pub(crate) name: String,
    /// How the input is to be read.
    pub(crate) kind: CallKind,
    /// What the model wrote.
    pub(crate) input: String,
}

#[derive(Clone, Copy)]
enum Role {
    Instructions,
    User,
    Assistant,
    Tool,
    Function,
}

const ROLES: &[(&str, Role)] = &[
    ("developer", Role::Instructions),
    ("system", Role::Instructions),
    ("user", Role::User),
    ("assistant", Role::Assistant),
    ("tool", Role::Tool),
    ("function", Role::Function),
];

/// All messages.
pub(super) fn read(at: At<'_>) -> Result<Vec<ChatMessage>, ApiError> {
    at.array()?.map(message).collect()
}

/// A message. Fields that are not read here came with an answer of some server and are sent back: they are passed over.
fn message(at: At<'_>) -> Result<ChatMessage, ApiError> {
    let fields = at.object()?;
    let text = |name| fields.need(name).and_then(text_of);
    // Tools may have nothing to say.
    let answer = || fields.optional("content", text_of).map(Option::unwrap_or_default);
    match fields.need("role")?.word(ROLES)? {
        Role::Instructions => text("content").map(ChatMessage::Instructions),
        Role::User => Ok(ChatMessage::User { name: fields.optional("name", user)?, text: text("content")? }),
        Role::Assistant => assistant(&fields),
        Role::Tool => Ok(ChatMessage::Tool { call_id: fields.need("tool_call_id")?.string()?, text: answer()? }),
        Role::Function => Ok(ChatMessage::Function { name: fields.need("name")?.string()?, text: answer()? }),
    }
}

/// A user's name, on one line. OpenAI allows fewer signs.
fn user(at: At<'_>) -> Result<String, ApiError> {
    let name = at.str()?;
    if name.is_empty() || name.chars().count() > USER_LETTERS_MAX || name.chars().any(char::is_control) {
        return Err(at.unknown(&format!("a name of 1 to {USER_LETTERS_MAX} letters on one line")));
    }
    Ok(name.to_owned())
}

fn assistant(fields: &Fields<'_>) -> Result<ChatMessage, ApiError> {
    let mut reasoning = None;
    for name in ["reasoning", "reasoning_content", "thinking", "reasoning_text"] {
        // Others have objects under these names; only text is a thought.
        let text = fields.get(name).and_then(|at| at.value.as_str()).filter(|text| !text.is_empty());
        reasoning = reasoning.or(text.map(str::to_owned));
    }
    let refusal = fields.optional("refusal", At::string)?;
    let content = fields.optional("content", text_of)?.or(refusal).filter(|text| !text.is_empty());
    let mut calls = Vec::new();
    if let Some(at) = fields.get("tool_calls") {
        for at in at.array()? {
            calls.push(call(at)?);
        }
    }
    if let Some(at) = fields.get("function_call") {
        let (name, input) = named_input(&at.object()?, "arguments")?;
        calls.push(ChatCall { id: None, name, kind: CallKind::Function, input });
    }
    if let Some(at) = fields.get("audio") {
        return Err(ApiError::unsupported(at.path, "the model hears nothing; send the transcript as content"));
    }
    Ok(ChatMessage::Assistant { reasoning, content, calls })
}

fn call(at: At<'_>) -> Result<ChatCall, ApiError> {
    let fields = at.object()?;
    let kinds = [("function", CallKind::Function), ("custom", CallKind::Custom)];
    let kind = fields.optional("type", |at| at.word(&kinds))?.unwrap_or(CallKind::Function);
    let (name, input) = match kind {
        CallKind::Function => named_input(&fields.need("function")?.object()?, "arguments")?,
        CallKind::Custom => named_input(&fields.need("custom")?.object()?, "input")?,
    };
    Ok(ChatCall { id: Some(fields.need("id")?.string()?), name, kind, input })
}

/// Arguments that a client has parsed are written again.
fn named_input(fields: &Fields<'_>, input: &'static str) -> Result<(String, String), ApiError> {
    let name = fields.need("name").and_then(name)?;
    let input = match fields.need(input)? {
        At { value: Value::String(text), .. } => text.clone(),
        At { value: value @ Value::Object(_), .. } => value.to_string(),
        at => return Err(at.expected("a string")),
    };
    Ok((name, input))
}

/// A text, alone or in parts; parts are put on lines of their own.
pub(super) fn text_of(at: At<'_>) -> Result<String, ApiError> {
    if let Value::String(text) = at.value {
        return Ok(text.clone());
    }
    if !at.value.is_array() {
        return Err(at.expected("a string or an array of parts"));
    }
    let parts = at.array()?.map(part).collect::<Result<Vec<_>, _>>()?;
    Ok(parts.join("\n"))
}

fn part(at: At<'_>) -> Result<String, ApiError> {
    if let Value::String(text) = at.value {
        return Ok(text.clone());
    }
    let fields = at.clone().object()?;
    let kind = fields.need("type")?;
    match kind.str()? {
        "text" | "input_text" | "output_text" => fields.need("text")?.string(),
        "refusal" => fields.need("refusal")?.string(),
        // A thought in parts is no part of the answer.
        "thinking" | "reasoning" | "redacted_thinking" => Ok(String::new()),
        "image_url" | "input_image" | "input_audio" | "file" | "input_file" | "video_url" | "audio_url" => {
            let message =
                format!("{} is of type {:?}: the model reads text only; send text parts", at.path, kind.value);
            Err(ApiError::unsupported(at.path, message))
        }
        _ => Err(kind.expected("\"text\" or \"refusal\"")),
    }
}
