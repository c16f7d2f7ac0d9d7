//! A request for a completion of text or of tokens. It must not know what becomes of it.

use engine::Priority;
use serde_json::Value;

use crate::error::ApiError;
use crate::wire::chat::StreamOptions;
use crate::wire::decoding::{Decoding, ids, priority, stops};
use crate::wire::fields::{At, Fields};
use crate::wire::form;

/// Most prompts of a request.
const PROMPTS_MAX: usize = COMPLETIONS_MAX;
/// Most completions of all prompts together: half of those that may wait at once, so that others find room too.
const COMPLETIONS_MAX: usize = 128;
/// Tokens that are generated where a request does not say, as OpenAI has it.
const TOKENS_DEFAULT: usize = 16;
/// Most alternatives that are told. OpenAI allows five.
const LOGPROBS_MAX: i64 = 20;

/// `POST /v1/completions`.
#[derive(Clone, Debug)]
pub(crate) struct CompletionRequest {
    /// The model's name.
    pub(crate) model: String,
    /// What is to be gone on with; one at least.
    pub(crate) prompts: Vec<Prompt>,
    /// Whether a text may spell control tokens.
    pub(crate) parse_special: bool,
    /// Most tokens to generate, for each.
    pub(crate) tokens_max: usize,
    /// Completions of each prompt.
    pub(crate) choices: usize,
    /// Whether the prompt comes before its completion.
    pub(crate) echo: bool,
    /// Log probabilities with so many alternatives.
    pub(crate) logprobs: Option<usize>,
    /// How tokens are chosen.
    pub(crate) decoding: Decoding,
    /// Texts that end a completion.
    pub(crate) stop: Vec<String>,
    /// Tokens that end it, besides the model's own.
    pub(crate) stop_ids: Vec<u32>,
    /// Whether the model's own ends are passed over.
    pub(crate) ignore_ends: bool,
    /// Whether control tokens are left out of the text.
    pub(crate) skip_special: bool,
    /// Whether token ids are told.
    pub(crate) return_ids: bool,
    /// Whether it comes in pieces, and what comes with them.
    pub(crate) stream: Option<StreamOptions>,
    /// Who goes first.
    pub(crate) priority: Priority,
    /// Separates prefixes from those of other salts.
    pub(crate) cache_salt: Option<String>,
}

/// What is to be gone on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Prompt {
    /// A text.
    Text(String),
    /// Tokens.
    Ids(Vec<u32>),
}

impl CompletionRequest {
    /// Reads a body.
    pub(crate) fn read(body: &Value) -> Result<Self, ApiError> {
        let fields = Fields::of_body(body)?;
        let flag =
            |name: &'static str, otherwise: bool| fields.optional(name, At::bool).map(|flag| flag.unwrap_or(otherwise));
        let choices = fields.optional("n", |at| at.integer(1, 128))?.unwrap_or(1) as usize;
        let request = Self {
            model: fields.need("model")?.string()?,
            prompts: prompts(fields.need("prompt")?)?,
            parse_special: flag("parse_special", false)?,
            tokens_max: fields
                .optional("max_tokens", |at| at.integer(0, i64::from(u32::MAX)))?
                .map_or(TOKENS_DEFAULT, |tokens| tokens as usize),
            choices,
            echo: flag("echo", false)?,
            logprobs: fields.optional("logprobs", |at| at.integer(0, LOGPROBS_MAX))?.map(|count| count as usize),
            decoding: Decoding::read(&fields)?,
            stop: fields.optional("stop", stops)?.unwrap_or_default(),
            stop_ids: fields.optional("stop_token_ids", ids)?.unwrap_or_default(),
            ignore_ends: flag("ignore_eos", false)?,
            skip_special: flag("skip_special_tokens", true)?,
            return_ids: flag("return_token_ids", false)?,
            stream: StreamOptions::read(&fields)?,
            priority: priority(&fields)?,
            cache_salt: fields.optional("cache_salt", At::string)?,
        };
        if request.prompts.len() * request.choices > COMPLETIONS_MAX {
            let message = format!(
                "{} prompts of {choices} completions each: at most {COMPLETIONS_MAX} together; send less",
                request.prompts.len()
            );
            return Err(ApiError::invalid("n", message));
        }
        request.refuse(&fields)?;
        fields.finish()?;
        Ok(request)
    }

    fn refuse(&self, fields: &Fields<'_>) -> Result<(), ApiError> {
        let best_of = fields.optional("best_of", |at| at.integer(0, 128))?;
        if best_of.is_some_and(|best_of| best_of as usize != self.choices && best_of > 1) {
            let message = "best_of is not offered unless it equals n; ask for all of them with n and choose";
            return Err(ApiError::unsupported("best_of", message));
        }
        if let Some(at) = fields.get("suffix").filter(|at| at.value != "") {
            let message = "suffix is not offered: the model was not trained to fill gaps; leave it out";
            return Err(ApiError::unsupported(at.path, message));
        }
        if self.echo && self.stream.is_some() && self.logprobs.is_some() {
            let message = "echo with logprobs is not offered in a stream; leave stream out";
            return Err(ApiError::unsupported("stream", message));
        }
        form::peers::refuse(fields)?;
        fields.optional("user", At::string)?;
        fields.optional("safety_identifier", At::string)?;
        fields.optional("prompt_cache_key", At::string)?;
        fields.optional("metadata", crate::wire::chat::metadata)?;
        fields.optional("client_metadata", |at| at.object().map(drop))?;
        fields.optional("service_tier", At::string)?;
        // No text of this vocabulary begins with a token of its own, and spaces between tokens are never added.
        fields.optional("add_special_tokens", At::bool)?;
        fields.optional("spaces_between_special_tokens", At::bool)?;
        Ok(())
    }
}

/// A text, texts, tokens, or several of those.
pub(super) fn prompts(at: At<'_>) -> Result<Vec<Prompt>, ApiError> {
    let one = |at: At<'_>| match at.value {
        Value::String(text) => Ok(Prompt::Text(text.clone())),
        Value::Array(array) if !array.is_empty() => ids(at).map(Prompt::Ids),
        _ => Err(at.expected("a string or an array of token ids")),
    };
    match at.value.as_array() {
        None => Ok(vec![one(at)?]),
        Some(array) if array.is_empty() => Err(at.expected("a string, token ids, or an array of those")),
        Some(array) if array.iter().all(Value::is_number) => Ok(vec![one(at)?]),
        Some(array) if array.len() > PROMPTS_MAX => Err(at.expected(&format!("at most {PROMPTS_MAX} prompts"))),
        Some(_) => at.array()?.map(one).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(extra: Value) -> Result<CompletionRequest, ApiError> {
        let mut body = json!({ "model": "m", "prompt": "a" });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        CompletionRequest::read(&body)
    }

    #[test]
    fn a_prompt_has_four_forms() {
        let prompts = |prompt: Value| with(json!({ "prompt": prompt })).unwrap().prompts;
        let text = |text: &str| Prompt::Text(text.to_owned());
        assert_eq!(prompts(json!("a")), [text("a")]);
        assert_eq!(prompts(json!(["a", "b"])), [text("a"), text("b")]);
        assert_eq!(prompts(json!([1, 2])), [Prompt::Ids(vec![1, 2])]);
        assert_eq!(prompts(json!([[1], [2, 3]])), [Prompt::Ids(vec![1]), Prompt::Ids(vec![2, 3])]);
    }

    #[test]
    fn what_routers_send_is_accepted() {
        let extra = json!({
            "max_tokens": 0, "echo": true, "logprobs": 1, "best_of": 1, "suffix": null, "stop_token_ids": [1],
            "skip_special_tokens": false, "return_token_ids": true, "temperature": 1, "priority": 0, "top_k": -1,
            "min_p": 0, "repetition_penalty": 1, "cache_salt": "s", "add_special_tokens": false, "ignore_eos": true,
        });
        let request = with(extra).unwrap();
        assert_eq!((request.tokens_max, request.stop_ids, request.ignore_ends), (0, vec![1], true));
    }

    #[test]
    fn whatever_is_wrong_is_named() {
        let cases = [
            (json!({ "prompt": [] }), "prompt"),
            (json!({ "prompt": {} }), "prompt"),
            (json!({ "prompt": [1, "a"] }), "prompt[0]"),
            (json!({ "prompt": [[1], [-1]] }), "prompt[1][0]"),
            (json!({ "n": 129 }), "n"),
            (json!({ "prompt": ["a", "b", "c"], "n": 128 }), "n"),
            (json!({ "logprobs": 21 }), "logprobs"),
            (json!({ "best_of": 3 }), "best_of"),
            (json!({ "suffix": "x" }), "suffix"),
            (json!({ "echo": true, "logprobs": 1, "stream": true }), "stream"),
            (json!({ "guided_json": {} }), "guided_json"),
        ];
        for (extra, path) in cases {
            assert_eq!(with(extra).unwrap_err().param.as_deref(), Some(path));
        }
    }
}
