//! A request in the form of Anthropic's Messages API. It must not know what becomes of it.

mod blocks;
mod settings;

use agent::{Effort, Tool, ToolChoice};
use serde_json::Value;

use crate::error::ApiError;
use crate::wire::decoding::{Decoding, priority, stops};
use crate::wire::fields::{At, Fields};
use crate::wire::form::Form;
use crate::wire::reserve;

pub(crate) use blocks::{AssistantBlock, Said, UserBlock};
pub(crate) use settings::{Display, Thinking};

/// Most messages of a conversation, ten times fewer than Anthropic allows.
const MESSAGES_MAX: usize = 10_000;

/// `POST /v1/messages`, and without `tokens_max` `POST /v1/messages/count_tokens`.
#[derive(Clone, Debug)]
pub(crate) struct MessagesRequest {
    /// The model's name.
    pub(crate) model: String,
    /// What the model is told first.
    pub(crate) system: Option<String>,
    /// The conversation; at least one message, the last one not the assistant's.
    pub(crate) messages: Vec<Said>,
    /// Tools of the caller.
    pub(crate) tools: Vec<Tool>,
    /// Which tools may or must be called.
    pub(crate) tool_choice: ToolChoice,
    /// Whether the model may call several at once.
    pub(crate) parallel_tool_calls: bool,
    /// The form of the answer.
    pub(crate) form: Form,
    /// How long to think; `None` takes the server's default.
    pub(crate) effort: Option<Effort>,
    /// Whether it is shown, and most tokens of it.
    pub(crate) thinking: Thinking,
    /// How tokens are chosen.
    pub(crate) decoding: Decoding,
    /// Most tokens, thoughts included; none where tokens are only counted.
    pub(crate) tokens_max: Option<usize>,
    /// Of those, how many are kept for the answer.
    pub(crate) reserve_answer_tokens: Option<usize>,
    /// Texts that end the answer.
    pub(crate) stop: Vec<String>,
    /// Whether the answer comes in pieces.
    pub(crate) stream: bool,
    /// Who goes first.
    pub(crate) priority: engine::Priority,
}

impl MessagesRequest {
    /// Reads the body of a request that is to be answered.
    pub(crate) fn read(body: &Value) -> Result<Self, ApiError> {
        let fields = Fields::of_body(body)?;
        let tokens_max = fields.need("max_tokens")?.integer(1, i64::from(u32::MAX))? as usize;
        Self::read_fields(fields, Some(tokens_max))
    }

    /// Reads the body of a request whose tokens are to be counted.
    pub(crate) fn read_to_count(body: &Value) -> Result<Self, ApiError> {
        let fields = Fields::of_body(body)?;
        // Some clients send the whole request.
        fields.get("max_tokens");
        Self::read_fields(fields, None)
    }

    fn read_fields(fields: Fields<'_>, tokens_max: Option<usize>) -> Result<Self, ApiError> {
        let messages = fields.need("messages")?;
        if messages.value.as_array().is_none_or(|messages| !(1..=MESSAGES_MAX).contains(&messages.len())) {
            return Err(messages.expected(&format!("an array of 1 to {MESSAGES_MAX} messages")));
        }
        let path = messages.path.clone();
        let messages = messages.array()?.map(blocks::message).collect::<Result<Vec<_>, _>>()?;
        if let Some(Said::Assistant(_)) = messages.last() {
            let message = format!(
                "the last of {path} is the assistant's: answers cannot be begun for the model; end with a user's"
            );
            return Err(ApiError::unsupported(path, message));
        }
        let tools = settings::tools(&fields)?;
        let (tool_choice, parallel_tool_calls) = settings::tool_choice(&fields, &tools)?;
        let thinking = fields.optional("thinking", Thinking::read)?.unwrap_or_default();
        let output = fields.optional("output_config", settings::output)?.unwrap_or_default();
        let form = fields.optional("output_format", settings::form)?.or(output.form);
        let request = Self {
            model: fields.need("model")?.string()?,
            system: fields.optional("system", blocks::system)?.flatten(),
            messages,
            tools,
            tool_choice,
            parallel_tool_calls,
            form: form.unwrap_or_default(),
            effort: thinking.effort(output.effort),
            thinking,
            decoding: Decoding::read(&fields)?,
            tokens_max,
            reserve_answer_tokens: reserve::read(&fields, tokens_max, "max_tokens")?,
            stop: fields.optional("stop_sequences", stops)?.unwrap_or_default(),
            stream: fields.optional("stream", At::bool)?.unwrap_or(false),
            priority: priority(&fields)?,
        };
        settings::hints(&fields)?;
        settings::refuse_hosted(&fields)?;
        fields.finish()?;
        Ok(request)
    }
}

#[cfg(test)]
mod tests;
