//! A request for a chat completion, with what OpenAI's clients and those of its neighbours send. It must not know what becomes of it.

mod conversation;
mod thinking;
mod tools;

use agent::{Tool, ToolChoice};
use engine::Priority;
use serde_json::Value;

use crate::error::ApiError;
use crate::wire::decoding::{Decoding, priority, stops};
use crate::wire::fields::{At, Fields};
use crate::wire::form::{self, Form, Layout};
use crate::wire::reserve;
use crate::wire::responses::{
    METADATA_KEY_LETTERS_MAX, METADATA_PAIRS_MAX, METADATA_VALUE_LETTERS_MAX, VERBOSITIES, Verbosity,
};

pub(crate) use conversation::{ChatCall, ChatMessage};
pub(crate) use thinking::Thinking;

/// Most choices of a request, as OpenAI allows.
const CHOICES_MAX: i64 = 128;
/// Most messages of a conversation.
const MESSAGES_MAX: usize = 16_384;

/// `POST /v1/chat/completions`.
#[derive(Clone, Debug)]
pub(crate) struct ChatRequest {
    /// The model's name.
    pub(crate) model: String,
    /// The conversation; at least one message.
    pub(crate) messages: Vec<ChatMessage>,
    /// The messages as they came, where the completion is to be stored; else none.
    pub(crate) raw_messages: Vec<Value>,
    /// Tools of the caller.
    pub(crate) tools: Vec<Tool>,
    /// Whether the caller speaks of `functions`, as before there were tools.
    pub(crate) legacy_functions: bool,
    /// Which tools may or must be called.
    pub(crate) tool_choice: ToolChoice,
    /// Whether several calls may come at once; OpenAI's default is that they may, the model's that they do not.
    pub(crate) parallel_tool_calls: bool,
    /// The form of the answer.
    pub(crate) form: Form,
    /// How long to think, and whether it is shown.
    pub(crate) thinking: Thinking,
    /// How wordy the answer should be.
    pub(crate) verbosity: Option<Verbosity>,
    /// How tokens are chosen.
    pub(crate) decoding: Decoding,
    /// Most tokens, thoughts included.
    pub(crate) tokens_max: Option<usize>,
    /// Of those, how many are kept for the answer.
    pub(crate) reserve_answer_tokens: Option<usize>,
    /// Texts that end the answer.
    pub(crate) stop: Vec<String>,
    /// Answers to give.
    pub(crate) choices: usize,
    /// Log probabilities with so many alternatives.
    pub(crate) top_logprobs: Option<usize>,
    /// Whether the answer comes in pieces, and what comes with them.
    pub(crate) stream: Option<StreamOptions>,
    /// Whether the answer can be asked for later.
    pub(crate) store: bool,
    /// Of a stored answer.
    pub(crate) metadata: Option<Value>,
    /// Whether the caller named a tier, which is then named in the answer.
    pub(crate) service_tier: Option<Tier>,
    /// Who goes first.
    pub(crate) priority: Priority,
    /// Separates prefixes from those of other salts.
    pub(crate) cache_salt: Option<String>,
}

/// What comes with a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamOptions {
    /// A last chunk says how many tokens it took.
    pub(crate) usage: bool,
    /// Chunks are padded, so that their sizes tell less.
    pub(crate) obfuscation: bool,
}

/// A service tier. There is one queue; two of the names move a request in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    Default,
    Flex,
    Priority,
}

impl ChatRequest {
    /// Reads a body.
    pub(crate) fn read(body: &Value) -> Result<Self, ApiError> {
        let fields = Fields::of_body(body)?;
        let model = fields.need("model")?.string()?;
        let messages = fields.need("messages")?;
        if messages.value.as_array().is_none_or(|messages| !(1..=MESSAGES_MAX).contains(&messages.len())) {
            return Err(messages.expected(&format!("an array of 1 to {MESSAGES_MAX} messages")));
        }
        let store = fields.optional("store", At::bool)?.unwrap_or(false);
        let raw_messages = messages.value.as_array().filter(|_| store).cloned().unwrap_or_default();
        let messages = conversation::read(messages)?;
        let tools = tools::read(&fields)?;
        let tool_choice = tools::choice(&fields, &tools.tools)?;
        let tokens_max = tokens_max(&fields)?;
        let service_tier = fields.optional("service_tier", |at| at.word(TIERS))?;
        let priority = priority(&fields)?;
        let request = Self {
            model,
            messages,
            raw_messages,
            legacy_functions: tools.legacy,
            tools: tools.tools,
            tool_choice,
            parallel_tool_calls: fields.optional("parallel_tool_calls", At::bool)?.unwrap_or(false),
            form: form(&fields)?,
            thinking: Thinking::read(&fields)?,
            verbosity: fields.optional("verbosity", |at| at.word(&VERBOSITIES))?,
            decoding: Decoding::read(&fields)?,
            tokens_max,
            reserve_answer_tokens: reserve::read(&fields, tokens_max, "max_completion_tokens")?,
            stop: fields.optional("stop", stops)?.unwrap_or_default(),
            choices: fields.optional("n", |at| at.integer(1, CHOICES_MAX))?.unwrap_or(1) as usize,
            top_logprobs: top_logprobs(&fields)?,
            stream: StreamOptions::read(&fields)?,
            store,
            metadata: fields.optional("metadata", metadata)?,
            service_tier,
            priority: match service_tier {
                Some(Tier::Flex) => Priority::Low,
                Some(Tier::Priority) => Priority::High,
                Some(Tier::Default) | None => priority,
            },
            cache_salt: fields.optional("cache_salt", At::string)?,
        };
        hints(&fields)?;
        refuse_media(&fields)?;
        fields.finish()?;
        Ok(request)
    }
}

impl StreamOptions {
    /// `stream` and `stream_options`; nothing where the answer is to come as a whole.
    pub(crate) fn read(fields: &Fields<'_>) -> Result<Option<Self>, ApiError> {
        let streamed = fields.optional("stream", At::bool)?.unwrap_or(false);
        let Some(at) = fields.get("stream_options") else { return Ok(streamed.then(Self::default)) };
        let path = at.path.clone();
        let options = at.object()?;
        let read = Self {
            usage: options.optional("include_usage", At::bool)?.unwrap_or(false),
            obfuscation: options.optional("include_obfuscation", At::bool)?.unwrap_or(false),
        };
        options.finish()?;
        if !streamed && read != Self::default() {
            let message = "stream_options needs stream: true; add it, or leave the options out";
            return Err(ApiError::invalid(path, message));
        }
        Ok(streamed.then_some(read))
    }
}

impl Tier {
    /// What the answer calls it. All are served from one queue, whatever they are called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Flex => "flex",
            Self::Priority => "priority",
        }
    }
}

const TIERS: &[(&str, Tier)] = &[
    ("auto", Tier::Default),
    ("default", Tier::Default),
    ("flex", Tier::Flex),
    ("scale", Tier::Default),
    ("priority", Tier::Priority),
    ("fast", Tier::Priority),
];

/// Either of the two names; the newer one counts.
fn tokens_max(fields: &Fields<'_>) -> Result<Option<usize>, ApiError> {
    let read = |at: At<'_>| at.integer(1, i64::from(u32::MAX)).map(|tokens| tokens as usize);
    let older = fields.optional("max_tokens", read)?;
    Ok(fields.optional("max_completion_tokens", read)?.or(older))
}

fn top_logprobs(fields: &Fields<'_>) -> Result<Option<usize>, ApiError> {
    let wanted = fields.optional("logprobs", At::bool)?.unwrap_or(false);
    let top = fields.get("top_logprobs");
    let alternatives = top.clone().map(|at| at.integer(0, 20)).transpose()?;
    match (wanted, top, alternatives) {
        (false, Some(at), Some(1..)) => Err(ApiError::invalid(at.path, "top_logprobs needs logprobs: true; add it")),
        (false, _, _) => Ok(None),
        (true, _, alternatives) => Ok(Some(alternatives.unwrap_or(0) as usize)),
    }
}

/// The form of the answer, by whichever field.
fn form(fields: &Fields<'_>) -> Result<Form, ApiError> {
    let own = fields.optional("response_format", |at| form::read(at, Layout::Nested))?.unwrap_or_default();
    form::peers::read(fields, own)
}

/// Pairs of short texts.
pub(crate) fn metadata(at: At<'_>) -> Result<Value, ApiError> {
    let short = |(key, value): (&String, &Value)| {
        let value = value.as_str().is_some_and(|value| value.chars().count() <= METADATA_VALUE_LETTERS_MAX);
        value && key.chars().count() <= METADATA_KEY_LETTERS_MAX
    };
    match at.value.as_object() {
        Some(pairs) if pairs.len() <= METADATA_PAIRS_MAX && pairs.iter().all(short) => Ok(at.value.clone()),
        _ => Err(at.expected(&format!(
            "an object of at most {METADATA_PAIRS_MAX} strings, keys of at most {METADATA_KEY_LETTERS_MAX} and values of at most {METADATA_VALUE_LETTERS_MAX} letters"
        ))),
    }
}

/// What changes nothing about an answer of ours: who the user is, and what might make it faster. It must still have its form.
fn hints(fields: &Fields<'_>) -> Result<(), ApiError> {
    for name in ["user", "safety_identifier", "prompt_cache_key"] {
        fields.optional(name, At::string)?;
    }
    // Prefixes are always cached and none is kept for a promised time.
    fields.optional("prompt_cache_retention", |at| at.word(&[("in_memory", ()), ("in-memory", ()), ("24h", ())]))?;
    for name in ["prompt_cache_options", "client_metadata"] {
        fields.optional(name, |at| at.object().map(drop))?;
    }
    // A guess of the answer: tokens are guessed from the text so far anyway, and what is generated is the same.
    fields.optional("prediction", |at| {
        let prediction = at.object()?;
        prediction.need("type")?.word(&[("content", ())])?;
        prediction.need("content").and_then(conversation::text_of).map(drop)
    })?;
    Ok(())
}

/// The model reads and writes text only, and searches nothing by itself here.
fn refuse_media(fields: &Fields<'_>) -> Result<(), ApiError> {
    fields.optional("modalities", |at| {
        at.array()?.try_for_each(|at| match at.str()? {
            "text" => Ok(()),
            _ => Err(ApiError::unsupported(at.path, "the model writes text only; ask for the modality \"text\"")),
        })
    })?;
    for name in ["audio", "moderation", "web_search_options"] {
        if let Some(at) = fields.get(name) {
            let message = format!("{name} is not offered by this server; leave it out");
            return Err(ApiError::unsupported(at.path, message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
