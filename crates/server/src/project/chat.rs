//! Turns as a chat completion: chunks while they go on, and the object at the end; the one is the other, put together. It must not
//! know requests.

pub(crate) mod choice;

use agent::{Outcome, Said, TurnEvent};
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use choice::Choice;

/// Chunks are padded to a multiple of so many letters.
const PADDING_LETTERS: usize = 32;

/// Everything about an answer that is known before it begins.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChatHead {
    /// `chatcmpl-…`.
    pub(crate) id: String,
    /// Unix seconds.
    pub(crate) created: i64,
    /// The model's name, as asked for.
    pub(crate) model: String,
    /// The tier, where the request named one.
    pub(crate) service_tier: Option<&'static str>,
    /// Of a stored answer.
    pub(crate) metadata: Option<Value>,
    /// Whether a call is a `function_call`, as before there were tools.
    pub(crate) legacy_functions: bool,
    /// Whether thoughts are shown.
    pub(crate) thoughts_shown: bool,
    /// Whether log probabilities are told.
    pub(crate) logprobs: bool,
    /// Whether a last chunk tells the usage.
    pub(crate) usage_chunk: bool,
    /// Whether chunks are padded.
    pub(crate) obfuscation: bool,
}

/// An answer of one or more choices, as far as it has come.
pub(crate) struct ChatProjection {
    head: ChatHead,
    choices: Vec<Choice>,
}

impl ChatProjection {
    /// An answer of so many choices.
    pub(crate) fn new(head: ChatHead, choices: usize) -> Self {
        Self { head, choices: (0..choices).map(|_| Choice::default()).collect() }
    }

    /// The first chunk of each choice.
    pub(crate) fn start(&self) -> Vec<Value> {
        let role = json!({ "role": "assistant", "content": "", "refusal": null });
        (0..self.choices.len()).map(|index| self.chunk(index, role.clone(), None, None)).collect()
    }

    /// What an event of a choice adds.
    pub(crate) fn push(&mut self, index: usize, event: &TurnEvent) -> Vec<Value> {
        let Some(choice) = self.choices.get_mut(index) else { return Vec::new() };
        let pieces = choice.push(&self.head, event);
        let mut chunks: Vec<Value> =
            pieces.into_iter().map(|piece| self.chunk(index, piece.delta, piece.logprobs, None)).collect();
        if let TurnEvent::Finished(_) = event {
            chunks.push(self.chunk(index, json!({}), None, self.finish_reason(index)));
        }
        chunks
    }

    /// The last chunk, where it is wanted, when all choices have ended.
    pub(crate) fn end(&self) -> Option<Value> {
        self.head.usage_chunk.then(|| {
            let mut chunk = self.envelope("chat.completion.chunk");
            chunk.insert("choices".to_owned(), json!([]));
            chunk.insert("usage".to_owned(), self.usage());
            Value::Object(chunk)
        })
    }

    /// What a client is told in the middle of a stream.
    pub(crate) fn fail(&self, error: &ApiError) -> Value {
        error.body()
    }

    /// The whole answer.
    pub(crate) fn object(&self) -> Value {
        let choice = |(index, choice): (usize, &Choice)| {
            // A choice that only calls has none: they are told of text.
            let told = choice.logprobs();
            let logprobs = (!told.is_empty()).then(|| json!({ "content": told, "refusal": null }));
            json!({
                "index": index, "message": choice.message(&self.head), "logprobs": logprobs,
                "finish_reason": self.finish_reason(index),
            })
        };
        let choices: Vec<Value> = self.choices.iter().enumerate().map(choice).collect();
        let mut object = self.envelope("chat.completion");
        object.insert("choices".to_owned(), Value::Array(choices));
        object.insert("usage".to_owned(), self.usage());
        if let Some(metadata) = &self.head.metadata {
            object.insert("metadata".to_owned(), metadata.clone());
        }
        Value::Object(object)
    }

    /// What each choice said.
    pub(crate) fn said(&self) -> impl Iterator<Item = &[Said]> {
        self.choices.iter().map(Choice::said)
    }

    /// Whether all choices have ended.
    pub(crate) fn is_over(&self) -> bool {
        self.choices.iter().all(|choice| choice.outcome().is_some())
    }

    fn finish_reason(&self, index: usize) -> Option<&'static str> {
        self.choices[index].finish_reason(&self.head)
    }

    fn envelope(&self, object: &str) -> Map<String, Value> {
        let head = &self.head;
        let mut envelope = Map::new();
        envelope.insert("id".to_owned(), json!(head.id));
        envelope.insert("object".to_owned(), json!(object));
        envelope.insert("created".to_owned(), json!(head.created));
        envelope.insert("model".to_owned(), json!(head.model));
        if let Some(tier) = head.service_tier {
            envelope.insert("service_tier".to_owned(), json!(tier));
        }
        envelope.insert("system_fingerprint".to_owned(), json!(FINGERPRINT));
        envelope
    }

    fn chunk(
        &self,
        index: usize,
        delta: Value,
        logprobs: Option<Vec<Value>>,
        finish_reason: Option<&'static str>,
    ) -> Value {
        let padding = self.head.obfuscation.then(|| {
            let letters = delta.to_string().len() % PADDING_LETTERS;
            "x".repeat(PADDING_LETTERS - letters)
        });
        // What a token brings is moved, since `json!` copies what it is given.
        let mut choice = json!({ "index": index, "delta": null, "logprobs": null, "finish_reason": finish_reason });
        choice["delta"] = delta;
        if let Some(content) = logprobs {
            choice["logprobs"] = json!({ "content": null, "refusal": null });
            choice["logprobs"]["content"] = Value::Array(content);
        }
        let mut chunk = self.envelope("chat.completion.chunk");
        chunk.insert("choices".to_owned(), Value::Array(vec![choice]));
        if self.head.usage_chunk {
            chunk.insert("usage".to_owned(), Value::Null);
        }
        if let Some(padding) = padding {
            chunk.insert("obfuscation".to_owned(), Value::String(padding));
        }
        Value::Object(chunk)
    }

    /// All choices read one prompt; each writes its own answer.
    fn usage(&self) -> Value {
        let outcomes = || self.choices.iter().filter_map(|choice| choice.outcome());
        let first = outcomes().next().map(|Outcome { usage, .. }| *usage).unwrap_or_default();
        let output: usize = outcomes().map(|outcome| outcome.usage.output_tokens).sum();
        let reasoning: usize = outcomes().map(|outcome| outcome.usage.reasoning_tokens).sum();
        json!({
            "prompt_tokens": first.input_tokens,
            "completion_tokens": output,
            "total_tokens": first.input_tokens + output,
            "prompt_tokens_details": { "cached_tokens": first.cached_tokens, "audio_tokens": 0 },
            "completion_tokens_details": {
                "reasoning_tokens": reasoning, "audio_tokens": 0,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
            },
        })
    }
}

/// What computes the answers; it changes where equal requests may get other ones.
pub(crate) const FINGERPRINT: &str = concat!("fp_glossa_", env!("CARGO_PKG_VERSION"));
