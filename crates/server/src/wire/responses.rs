//! The request that creates a response: every parameter read, checked and named in the error if it cannot be had. It must not know
//! what is done with them.

mod content;
mod conversation;
mod hosted;
mod item;
mod reasoning;
mod text;
mod tool;
mod tool_choice;

use serde_json::{Map, Value};

pub(crate) use conversation::InputItem;
pub(crate) use item::{Meaning, Role};
pub(crate) use reasoning::{EFFORTS, Reasoning, Summary};
pub(crate) use text::{Text, VERBOSITIES, Verbosity};
pub(crate) use tool::{CallerTool, ToolEntry};
pub(crate) use tool_choice::{Chosen, ToolChoice};

use crate::error::ApiError;
use crate::history::Source;
use crate::wire::decoding::{Decoding, rank};
use crate::wire::fields::{At, Fields};
use crate::wire::reserve;

/// Pairs of `metadata`.
pub(crate) const METADATA_PAIRS_MAX: usize = 16;
/// Letters of a key of `metadata`.
pub(crate) const METADATA_KEY_LETTERS_MAX: usize = 64;
/// Letters of a value of `metadata`.
pub(crate) const METADATA_VALUE_LETTERS_MAX: usize = 512;
/// Letters of what names an end user.
const LABEL_LETTERS_MAX: usize = 512;
/// More tokens or calls than anybody can mean.
const COUNT_MAX: i64 = 1 << 31;

/// A request that creates a response.
#[derive(Clone, Debug)]
pub(crate) struct CreateResponse {
    /// The model by name; `None` takes the server's first.
    pub(crate) model: Option<String>,
    /// The new items.
    pub(crate) input: Vec<InputItem>,
    /// What comes before them.
    pub(crate) source: Source,
    /// The system prompt; never inherited.
    pub(crate) instructions: Option<String>,
    /// Tools in the order given.
    pub(crate) tools: Vec<ToolEntry>,
    /// Which tools may or must be called.
    pub(crate) tool_choice: ToolChoice,
    /// Whether several calls may come before an output. Off unless asked for: the model was trained for one at a time.
    pub(crate) parallel_tool_calls: bool,
    /// Most calls of built-in tools.
    pub(crate) max_tool_calls: Option<usize>,
    /// The form of the answer.
    pub(crate) text: Text,
    /// How to think.
    pub(crate) reasoning: Reasoning,
    /// What the answer shall contain besides.
    pub(crate) include: Include,
    /// How tokens are chosen.
    pub(crate) decoding: Decoding,
    /// Alternatives told for each token.
    pub(crate) top_logprobs: Option<usize>,
    /// Most tokens to generate, reasoning included.
    pub(crate) max_output_tokens: Option<usize>,
    /// Of those, how many are kept for the answer.
    pub(crate) reserve_answer_tokens: Option<usize>,
    /// What happens when the conversation is too long.
    pub(crate) truncation: agent::Truncation,
    /// The caller's own notes.
    pub(crate) metadata: Map<String, Value>,
    /// Whether the response can be retrieved later.
    pub(crate) store: bool,
    /// Whether events come as they happen.
    pub(crate) stream: bool,
    /// Whether the response is made without anybody waiting.
    pub(crate) background: bool,
    /// Whether deltas carry random padding, so that their lengths tell nothing to who watches the network.
    pub(crate) include_obfuscation: bool,
    /// Who goes first.
    pub(crate) priority: engine::Priority,
    /// How prefixes are kept.
    pub(crate) cache: Cache,
    /// The caller's name for the end user; deprecated.
    pub(crate) user: Option<String>,
    /// The caller's name for the end user.
    pub(crate) safety_identifier: Option<String>,
}

/// What the answer shall contain besides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Include {
    /// Sealed thoughts, for clients that keep the conversation themselves.
    pub(crate) encrypted_reasoning: bool,
    /// Log probabilities of text.
    pub(crate) logprobs: bool,
    /// What code printed.
    pub(crate) code_outputs: bool,
}

/// How prefixes are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cache {
    /// A hint which requests begin alike. Prefixes are found by what they say, so it changes nothing; it is echoed.
    pub(crate) key: Option<String>,
    /// Separates prefixes further within an owner.
    pub(crate) salt: Option<String>,
    /// The longest time that a prefix may be kept, as asked for.
    pub(crate) retention: Option<Retention>,
    /// Whether `prompt_cache_options` were given.
    pub(crate) options: bool,
}

/// The longest time that a prefix may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retention {
    /// Never on a disk.
    InMemory,
    /// As long as there is room.
    Day,
}

impl CreateResponse {
    /// Reads a request's body.
    ///
    /// # Errors
    /// The first parameter that is unknown, wrong or not to be had, with its path.
    pub(crate) fn read(body: &Value) -> Result<Self, ApiError> {
        let fields = Fields::of_body(body)?;
        let request = Self::read_fields(&fields)?;
        fields.finish()?;
        let Self { input, source, store, background, .. } = &request;
        if input.is_empty() && *source == Source::Nothing {
            let message = "input is missing or empty: expected a text or items; it may only be left out behind previous_response_id or a conversation";
            let missing = ApiError::invalid("input", message);
            return Err(ApiError { code: Some("missing_required_parameter"), ..missing });
        }
        if *background && !store {
            let message = "background needs store: a response that nobody waits for must be kept; set store to true";
            return Err(ApiError::invalid("background", message));
        }
        Ok(request)
    }

    /// Reads the body of a request that only counts tokens: the same parameters, all of them optional.
    pub(crate) fn read_to_count(body: &Value) -> Result<Self, ApiError> {
        let fields = Fields::of_body(body)?;
        let request = Self::read_fields(&fields)?;
        fields.finish()?;
        Ok(request)
    }

    fn read_fields(fields: &Fields<'_>) -> Result<Self, ApiError> {
        refuse_unsupported(fields)?;
        let flag = |name, default| fields.optional(name, At::bool).map(|flag| flag.unwrap_or(default));
        let include = fields.optional("include", Include::read)?.unwrap_or_default();
        let tools = fields.optional("tools", tool::read_tools)?.unwrap_or_default();
        let tool_choice = fields.optional("tool_choice", ToolChoice::read)?.unwrap_or_default();
        let max_output_tokens = fields.optional("max_output_tokens", |at| count(at, 1))?;
        let truncation = [("auto", agent::Truncation::Auto), ("disabled", agent::Truncation::Disabled)];
        // Clients' notes about themselves; they say nothing about the answer.
        fields.optional("client_metadata", At::object)?;
        Ok(Self {
            model: fields.optional("model", At::string)?,
            input: fields.optional("input", conversation::read_input)?.unwrap_or_default(),
            source: conversation::read_source(fields)?,
            instructions: fields.optional("instructions", At::string)?,
            tools,
            tool_choice,
            parallel_tool_calls: flag("parallel_tool_calls", false)?,
            max_tool_calls: fields.optional("max_tool_calls", |at| count(at, 0))?,
            text: fields.optional("text", Text::read)?.unwrap_or_default(),
            reasoning: fields.optional("reasoning", Reasoning::read)?.unwrap_or_default(),
            include,
            decoding: Decoding::read_for_response(fields)?,
            top_logprobs: fields.optional("top_logprobs", |at| at.integer(0, 20))?.map(|count| count as usize),
            max_output_tokens,
            reserve_answer_tokens: reserve::read(fields, max_output_tokens, "max_output_tokens")?,
            truncation: fields.optional("truncation", |at| at.word(&truncation))?.unwrap_or_default(),
            metadata: fields.optional("metadata", read_metadata)?.unwrap_or_default(),
            store: flag("store", true)?,
            stream: flag("stream", false)?,
            background: flag("background", false)?,
            include_obfuscation: fields.optional("stream_options", read_stream_options)?.unwrap_or(false),
            priority: fields
                .optional("priority", |at| at.integer(-COUNT_MAX, COUNT_MAX))?
                .map(rank)
                .unwrap_or_default(),
            cache: Cache::read(fields)?,
            user: fields.optional("user", label)?,
            safety_identifier: fields.optional("safety_identifier", label)?,
        })
    }

    /// How many alternatives are to be told for each token of the text, if log probabilities are wanted at all: by `include`, or by
    /// asking for alternatives.
    pub(crate) fn logprobs(&self) -> Option<usize> {
        let alternatives = self.top_logprobs.unwrap_or(0);
        (self.include.logprobs || alternatives > 0).then_some(alternatives)
    }
}

impl Include {
    fn read(at: At<'_>) -> Result<Self, ApiError> {
        let mut include = Self::default();
        for element in at.array()? {
            match element.str()? {
                "reasoning.encrypted_content" => include.encrypted_reasoning = true,
                "message.output_text.logprobs" => include.logprobs = true,
                "code_interpreter_call.outputs" => include.code_outputs = true,
                // Nothing is searched here yet.
                "web_search_call.action.sources" | "web_search_call.results" | "file_search_call.results" => {}
                // The model has no pictures in its input, so there are never any to be left out.
                "message.input_image.image_url" | "computer_call_output.output.image_url" => {}
                _ => {
                    return Err(element.unknown(
                        "a name of something that a response can include, such as \"reasoning.encrypted_content\"",
                    ));
                }
            }
        }
        Ok(include)
    }
}

impl Cache {
    fn read(fields: &Fields<'_>) -> Result<Self, ApiError> {
        let retentions =
            [("in_memory", Retention::InMemory), ("in-memory", Retention::InMemory), ("24h", Retention::Day)];
        Ok(Self {
            key: fields.optional("prompt_cache_key", At::string)?,
            salt: fields.optional("cache_salt", At::string)?,
            retention: fields.optional("prompt_cache_retention", |at| at.word(&retentions))?,
            options: fields.optional("prompt_cache_options", read_cache_options)?.is_some(),
        })
    }
}

/// Parameters that ask for something that is not here. `null` asks for nothing.
fn refuse_unsupported(fields: &Fields<'_>) -> Result<(), ApiError> {
    let unsupported = [
        ("prompt", "prompt templates are not kept here; send what the template says as instructions and input"),
        ("moderation", "there is no moderation model here; leave moderation out"),
        (
            "context_management",
            "conversations are not compacted on their own; call /v1/responses/compact, or set truncation to auto",
        ),
    ];
    for (name, message) in unsupported {
        if fields.get(name).is_some() {
            return Err(ApiError::unsupported(name, message));
        }
    }
    // The tier that a request got stands in the response, and here there is one.
    let tiers = ["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"].map(|tier| (tier, ()));
    fields.optional("service_tier", |at| at.word(&tiers))?;
    Ok(())
}

fn read_cache_options(at: At<'_>) -> Result<(), ApiError> {
    let fields = at.object()?;
    fields.optional("ttl", |at| at.word(&[("30m", ())]))?;
    if let Some(mode) = fields.get("mode") {
        let explicit = mode.word(&[("implicit", false), ("explicit", true)])?;
        if explicit {
            let path = fields.path_of("mode");
            let message = format!("{path} is \"explicit\": prefixes are found by themselves here; leave it out");
            return Err(ApiError::unsupported(path, message));
        }
    }
    fields.finish()
}

fn read_stream_options(at: At<'_>) -> Result<bool, ApiError> {
    let fields = at.object()?;
    let include_obfuscation = fields.optional("include_obfuscation", At::bool)?.unwrap_or(false);
    // Of Chat Completions; usage is part of every response anyway.
    fields.optional("include_usage", At::bool)?;
    fields.finish()?;
    Ok(include_obfuscation)
}

pub(crate) fn read_metadata(at: At<'_>) -> Result<Map<String, Value>, ApiError> {
    let Some(pairs) = at.value.as_object() else { return Err(at.expected("an object of texts")) };
    let refused = |path: String, what: String| Err(ApiError::invalid(path.clone(), format!("{path} {what}")));
    if pairs.len() > METADATA_PAIRS_MAX {
        return refused(at.path, format!("has {} pairs: expected at most {METADATA_PAIRS_MAX}", pairs.len()));
    }
    for (key, value) in pairs {
        let element = At { value, path: format!("{}.{key}", at.path) };
        if key.chars().count() > METADATA_KEY_LETTERS_MAX {
            return refused(
                at.path,
                format!("has a key with more than {METADATA_KEY_LETTERS_MAX} letters; shorten it"),
            );
        }
        if element.str()?.chars().count() > METADATA_VALUE_LETTERS_MAX {
            return refused(element.path, format!("has more than {METADATA_VALUE_LETTERS_MAX} letters; shorten it"));
        }
    }
    Ok(pairs.clone())
}

fn count(at: At<'_>, least: i64) -> Result<usize, ApiError> {
    Ok(at.integer(least, COUNT_MAX)? as usize)
}

fn label(at: At<'_>) -> Result<String, ApiError> {
    let path = at.path.clone();
    let label = at.string()?;
    if label.chars().count() > LABEL_LETTERS_MAX {
        let message = format!("{path} has more than {LABEL_LETTERS_MAX} letters; shorten it");
        return Err(ApiError::invalid(path, message));
    }
    Ok(label)
}

#[cfg(test)]
mod tests;
