//! A request of a router to go on with tokens, in the form that SGLang gave it. It must not know what becomes of it.

use engine::Priority;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::wire::completions::{Prompt, prompts};
use crate::wire::decoding::{Decoding, ids, priority, stops};
use crate::wire::fields::{At, Fields};

/// Tokens that are generated where a request does not say.
const TOKENS_DEFAULT: usize = 128;

/// `POST /generate`.
#[derive(Clone, Debug)]
pub(crate) struct GenerateRequest {
    /// The model's name; nothing where it does not matter.
    pub(crate) model: Option<String>,
    /// What is to be gone on with; one at least.
    pub(crate) prompts: Vec<Prompt>,
    /// Whether the prompts came in an array, and so do the answers.
    pub(crate) is_batch: bool,
    /// How tokens are chosen.
    pub(crate) decoding: Decoding,
    /// Most tokens to generate, for each.
    pub(crate) tokens_max: usize,
    /// Texts that end a completion.
    pub(crate) stop: Vec<String>,
    /// Tokens that end it, besides the model's own.
    pub(crate) stop_ids: Vec<u32>,
    /// Whether the model's own ends are passed over.
    pub(crate) ignore_ends: bool,
    /// Whether control tokens are left out of the text.
    pub(crate) skip_special: bool,
    /// Whether log probabilities are told, and with how many alternatives.
    pub(crate) logprobs: Option<usize>,
    /// From which token of the prompt on they are told; `None` tells none of the prompt.
    pub(crate) logprobs_from: Option<usize>,
    /// Whether it comes in pieces.
    pub(crate) stream: bool,
    /// Names the request, where the router has a name for it.
    pub(crate) id: Option<String>,
    /// Who goes first.
    pub(crate) priority: Priority,
}

impl GenerateRequest {
    /// Reads a body.
    pub(crate) fn read(body: &Value) -> Result<Self, ApiError> {
        let fields = Fields::of_body(body)?;
        let model = fields.optional("model", At::string)?;
        let text = fields.get("text");
        let prompt = match (fields.get("input_ids"), text) {
            (Some(at), None) | (None, Some(at)) => at,
            (Some(at), Some(_)) => {
                return Err(ApiError::invalid(at.path, "input_ids and text are both given; give one"));
            }
            (None, None) => fields.need("input_ids")?,
        };
        let is_batch = match prompt.value.as_array() {
            Some(array) => array.iter().any(|entry| !entry.is_number()),
            None => false,
        };
        let prompts = prompts(prompt)?;
        let nothing = json!({});
        let settings = fields.get("sampling_params");
        let settings = settings.unwrap_or(At { value: &nothing, path: "sampling_params".to_owned() }).object()?;
        let with_logprobs = fields.optional("return_logprob", At::bool)?.unwrap_or(false);
        let alternatives = fields.optional("top_logprobs_num", |at| at.integer(0, 20))?.unwrap_or(0) as usize;
        let from = fields.optional("logprob_start_len", |at| at.integer(-1, i64::from(u32::MAX)))?.unwrap_or(-1);
        let flag = |name: &'static str, otherwise: bool| {
            settings.optional(name, At::bool).map(|flag| flag.unwrap_or(otherwise))
        };
        let count = |name: &'static str| {
            settings.optional(name, |at| at.integer(0, i64::from(u32::MAX)).map(|count| count as usize))
        };
        let request = Self {
            model,
            prompts,
            is_batch,
            decoding: Decoding::read(&settings)?,
            tokens_max: count("max_new_tokens")?.unwrap_or(TOKENS_DEFAULT),
            stop: settings.optional("stop", stops)?.unwrap_or_default(),
            stop_ids: settings.optional("stop_token_ids", ids)?.unwrap_or_default(),
            ignore_ends: flag("ignore_eos", false)?,
            skip_special: flag("skip_special_tokens", true)?,
            logprobs: with_logprobs.then_some(alternatives),
            logprobs_from: usize::try_from(from).ok().filter(|_| with_logprobs),
            stream: fields.optional("stream", At::bool)?.unwrap_or(false),
            id: fields.optional("rid", At::string)?,
            priority: priority(&fields)?,
        };
        settings.optional("n", |at| at.integer(1, 1))?;
        settings.optional("min_new_tokens", |at| at.integer(0, 0))?;
        settings.optional("spaces_between_special_tokens", At::bool)?;
        settings.finish()?;
        // Prompts of one router, from one place, in one form.
        fields.optional("return_text_in_logprobs", At::bool)?;
        fields.optional("log_metrics", At::bool)?;
        if request.is_batch && request.stream {
            return Err(ApiError::unsupported("stream", "a batch is not streamed; send its prompts one by one"));
        }
        fields.finish()?;
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_routers_send_is_read() {
        let request = GenerateRequest::read(&json!({
            "input_ids": [1, 2], "sampling_params": { "max_new_tokens": 4, "temperature": 0, "top_k": -1, "ignore_eos": true },
            "return_logprob": true, "logprob_start_len": 0, "stream": true, "rid": "r",
        }))
        .unwrap();
        assert_eq!((request.prompts, request.is_batch), (vec![Prompt::Ids(vec![1, 2])], false));
        assert_eq!((request.tokens_max, request.logprobs, request.logprobs_from), (4, Some(0), Some(0)));
        let batch = GenerateRequest::read(&json!({ "text": ["a", "b"] })).unwrap();
        assert_eq!((batch.prompts.len(), batch.is_batch, batch.logprobs), (2, true, None));
    }

    #[test]
    fn whatever_is_wrong_is_named() {
        let cases = [
            (json!({}), "input_ids"),
            (json!({ "text": "a", "input_ids": [1] }), "input_ids"),
            (json!({ "text": "a", "sampling_params": { "x": 1 } }), "sampling_params.x"),
            (json!({ "text": "a", "sampling_params": { "temperature": -1 } }), "sampling_params.temperature"),
            (json!({ "text": ["a"], "stream": true }), "stream"),
            (json!({ "text": "a", "image_data": "x" }), "image_data"),
        ];
        for (body, path) in cases {
            assert_eq!(GenerateRequest::read(&body).unwrap_err().param.as_deref(), Some(path));
        }
    }
}
